"""Tables as text: for a terminal, Markdown, LaTeX, CSV and JSON."""

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table as RichTable
from rich.text import Text

from .records import Run
from .tables import Cell, Row, Table, decimals, show

LEGEND = (
    '· not run, - no such number; difference: measured less published (the upper, if there are two); '
    'gain: over the baseline, such as the ResNet of the same depth'
)
STYLES = {'measured': 'bold', '': 'bold', 'difference': 'cyan'}  # published numbers are dim
SUPERSCRIPTS = str.maketrans('0123456789', '⁰¹²³⁴⁵⁶⁷⁸⁹')
MARKDOWN = str.maketrans({char: f'\\{char}' for char in '\\`*_|<>[]'})
LATEX = str.maketrans(
    {
        **{char: f'\\{char}' for char in '{}%_&#$'},
        **{char: f'${char}$' for char in '<>|'},
        **{'\\': r'\textbackslash{}', '~': r'\textasciitilde{}', '^': r'\textasciicircum{}'},
        **{'×': r'$\times$', '·': r'$\cdot$', '↑': r'$\uparrow$', '↓': r'$\downarrow$'},
    }
)


@dataclass
class Line:
    """A printed line of a row: its kind (a source, 'measured', 'difference'), its texts, each text's mark.

    A mark is the number of the run below the table; that of the whole line stands at its kind.
    """

    kind: str
    labels: list[str]
    texts: list[str]
    marks: list[str]
    begins: bool  # a group

    def cells(self, mark: Callable, bold: str = '{}', kind: str = '{}', text: Callable = str) -> list[str]:
        """Its kind and numbers as a format writes them."""
        bold = bold if STYLES.get(self.kind) == 'bold' else '{}'
        texts = [bold.format(text(t)) if t.strip('-·') else text(t) for t in self.texts]
        texts = [kind.format(self.kind) if self.kind else '', *texts]
        return [t + (mark(m) if m else '') for t, m in zip(texts, self.marks)]


def lines(table: Table, number: dict[Run, int]) -> Iterator[Line]:
    """Lay a table out: under each row's published numbers the measured ones and the difference."""
    group = None
    for row in table.rows:
        begins = table.grouped and row.labels[0] != group
        group = row.labels[0]
        labels = ['', *row.labels[1:]] if table.grouped and not begins else row.labels
        # A gain's runs are those of its two rows, a mean's are too many.
        marked = [len(cell.runs) == 1 and cell.measured is not None for cell in row.cells]
        marks = [str(number[cell.runs[0]]) if m else '' for m, cell in zip(marked, row.cells)]
        one = len({*marks} - {''}) < 2
        marks = [max(marks), *[''] * len(marks)] if one else ['', *marks]
        printed = {
            source: [_published(cell.published.get(source), row, table) for cell in row.cells]
            for source in table.sources
            if any(source in cell.published for cell in row.cells)
        }
        printed['measured' if table.sources else ''] = [_measured(cell, row, table) for cell in row.cells]
        if not row.gain and any(cell.difference is not None for cell in row.cells):
            printed['difference'] = [_difference(cell, table) for cell in row.cells]
        for kind, texts in printed.items():
            yield Line(kind, labels, texts, marks if kind in ('measured', '') else [''] * len(marks), begins)
            labels, begins = [''] * len(labels), False


def _published(value: Decimal | str | None, row: Row, table: Table) -> str:
    if value is None or isinstance(value, str):
        return value or '-'
    return f'{value:{"+" if row.gain and value else ""}.{table.digits}f}'


def _measured(cell: Cell, row: Row, table: Table) -> str:
    if cell.measured is None:
        return '·' if cell.open and not cell.runs else '-'
    return show(cell.measured, table.digits, cell.published.values(), sign=row.gain)


def _difference(cell: Cell, table: Table) -> str:
    if cell.difference is None:
        return ''
    digits = decimals(cell.measured, table.digits, cell.published.values())
    return f'{cell.difference:{"+" if cell.difference else ""}.{digits}f}'


def remarks(table: Table, number: dict[Run, int]) -> list[tuple[str, str]]:
    """What stands under a table: each as its mark, if any, and its text."""
    found = []
    for run in table.runs:
        known = [str(run), *run.footnotes]
        if table.compared and run.changes:
            known.append(f'trained with {"; ".join(run.changes)}')
        found.append((str(number[run]), '; '.join(known)))
    return [*found, *(('', f'{k}: {v}') for k, v in table.sources.items()), *(('', n) for n in table.notes)]


def _numbered(tables: list[Table]) -> dict[Run, int]:
    return {run: i for i, run in enumerate(dict.fromkeys(r for table in tables for r in table.runs), 1)}


def terminal(tables: list[Table], ends: list[str], width: int | None = None) -> str:
    """For a terminal.

    Args:
        tables (list[Table]): The tables.
        ends (list[str]): Lines to end with.
        width (int, optional): Columns, without color. Defaults to the terminal's.
    """
    console = Console(width=width, no_color=width is not None, highlight=False)
    number = _numbered(tables)
    with console.capture() as capture:
        for table in tables:
            grid = RichTable(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
            for label in [*table.labels, '']:
                grid.add_column(label, no_wrap=True)
            for column in table.columns:
                grid.add_column(Text(column), justify='right')
            for line in lines(table, number):
                if line.begins:
                    grid.add_section()
                texts = line.cells(lambda mark: mark.translate(SUPERSCRIPTS))
                grid.add_row(*line.labels, *(Text(t, STYLES.get(line.kind, 'dim')) for t in texts))
            console.print(Text(table.title, 'bold'))
            # Rather wider than the terminal than with a number cut short.
            wide = Measurement.get(console, console.options.update_width(1000), grid).maximum
            console.width, narrow = max(wide, console.width), console.width
            console.print(grid, '')
            console.width = narrow
            for mark, text in remarks(table, number):
                console.print(Text(f'{mark.translate(SUPERSCRIPTS)} {text}'.strip(), 'dim'))
            console.print()
        if tables:
            console.print(Text(LEGEND, 'dim'))
        for end in ends:
            console.print(Text(end))
    return re.sub(r' +$', '', capture.get(), flags=re.MULTILINE)


def markdown(tables: list[Table], ends: list[str]) -> str:
    """For a page in Markdown (GitHub's)."""
    number, out = _numbered(tables), []
    for table in tables:
        rows = [[*table.labels, '', *table.columns]]
        rows.append(['---'] * (len(table.labels) + 1) + ['---:'] * len(table.columns))
        for line in lines(table, number):
            texts = line.cells('<sup>{}</sup>'.format, '**{}**', '*{}*')
            rows.append([*(label.translate(MARKDOWN) for label in line.labels), *texts])
        out += [f'### {table.title.translate(MARKDOWN)}', '', *(f'| {" | ".join(row)} |' for row in rows), '']
        for mark, text in remarks(table, number):
            out.append(f'- <sup>{mark}</sup> '.replace('<sup></sup> ', '') + text.translate(MARKDOWN))
        out.append('')
    if tables:
        out += [LEGEND, '']
    return '\n'.join([*out, *(f'- {end.translate(MARKDOWN)}' for end in ends)]).rstrip() + '\n'


def latex(tables: list[Table], ends: list[str]) -> str:
    """For a paper: ``table`` environments with ``booktabs``."""
    number, out = _numbered(tables), [r'% \usepackage{booktabs}']
    for table in tables:
        # LaTeX numbers tables itself.
        title = table.title.partition('. ')[2] if table.name.isdigit() else table.title
        out += ['', r'\begin{table}', r'\centering', rf'\caption{{{title.translate(LATEX)}}}']
        out.append(rf'\label{{tab:{re.sub("[_ ]", "-", table.name)}}}')
        columns = 'l' * (len(table.labels) + 1) + 'r' * len(table.columns)
        header = ' & '.join(t.translate(LATEX) for t in [*table.labels, '', *table.columns])
        out += [rf'\begin{{tabular}}{{{columns}}}', r'\toprule', header + r' \\', r'\midrule']
        for i, line in enumerate(lines(table, number)):
            forms = r'\textbf{{{}}}', r'\emph{{{}}}'
            texts = line.cells(r'\textsuperscript{{{}}}'.format, *forms, _in_latex)
            space = r'\addlinespace ' if line.begins and i else ''
            out.append(space + ' & '.join([*map(_in_latex, line.labels), *texts]) + r' \\')
        out += [r'\bottomrule', r'\end{tabular}', r'\par\smallskip\footnotesize\raggedright']
        for mark, text in remarks(table, number):
            out.append((rf'\textsuperscript{{{mark}}} ' if mark else '') + text.translate(LATEX) + r'\par')
        out += [LEGEND.translate(LATEX), r'\end{table}']
    return '\n'.join([*out, '', *(f'% {end}' for end in ends)]).rstrip() + '\n'


def _in_latex(text: str) -> str:
    """Text, or a number: only mathematics has a minus sign."""
    return re.sub(r'^-(?=\d)', '$-$', text.translate(LATEX))


def _numbers(table: Table) -> Iterator[dict]:
    """Every number, unrounded, with its source or the folders of its runs; a gain goes by its row's name."""
    name = ''
    for row in table.rows:
        name = name if row.gain else ' '.join(row.labels)
        for column, cell in zip(table.columns, row.cells):
            folders = [str(run.folder) for run in cell.runs]
            kinds = ('published gain', 'gain') if row.gain else ('published', 'measured')
            numbers = [(kinds[0], source, value, []) for source, value in cell.published.items()]
            if cell.open:
                numbers.append((kinds[1], '', cell.measured, folders))
            if cell.difference is not None and not row.gain:
                source = next(s for s, v in cell.published.items() if isinstance(v, Decimal))
                numbers.append(('difference', source, cell.difference, folders))
            for kind, source, value, runs in numbers:
                yield dict(row=name, column=column, kind=kind, value=value, source=source, runs=runs)


def as_csv(tables: list[Table], ends: list[str]) -> str:
    """A line for each number; ``ends`` has no place in it."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator='\n')
    writer.writerow(['table', 'row', 'column', 'kind', 'value', 'source', 'run'])
    for table in tables:
        for number in _numbers(table):
            if isinstance(number['value'], Decimal):
                number['value'] = f'{number["value"]:f}'
            *values, runs = number.values()
            writer.writerow([table.name, *values, ' '.join(runs)])
    return file.getvalue()


def as_json(tables: list[Table], ends: list[str]) -> str:
    """Every number, and what is known of the tables and the runs."""
    of_tables, of_runs = {}, {}
    for table in tables:
        known = dict(title=table.title, sources=table.sources, notes=table.notes)
        of_tables[table.name] = dict(known, numbers=[*_numbers(table)])
        for run in table.runs:
            known = dict(run.record, training_changes=run.changes, footnotes=run.footnotes)
            of_runs[str(run.folder)] = known
    content = dict(tables=of_tables, runs=of_runs, remarks=ends)
    return json.dumps(content, indent=1, ensure_ascii=False, default=float) + '\n'


FORMATS = dict(terminal=terminal, markdown=markdown, latex=latex, csv=as_csv, json=as_json)
