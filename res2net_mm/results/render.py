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

from .tables import Cell, Row, Table, places, show
from .work_dirs import Run

LEGEND = (
    '· not run, - no such number; difference: measured less published (the upper, if there are two); '
    'gain: over the baseline, such as the ResNet of the same depth'
)
SUPERSCRIPTS = str.maketrans('0123456789', '⁰¹²³⁴⁵⁶⁷⁸⁹')
STYLES = {'measured': 'bold', '': 'bold', 'difference': 'cyan'}  # published numbers are dim
LATEX = str.maketrans(
    {
        **{char: f'\\{char}' for char in '{}%_&#$'},
        **{char: f'${char}$' for char in '<>|'},
        '\\': r'\textbackslash{}',
        '~': r'\textasciitilde{}',
        '^': r'\textasciicircum{}',
        '×': r'$\times$',
        '·': r'$\cdot$',
        '↑': r'$\uparrow$',
        '↓': r'$\downarrow$',
    }
)


@dataclass
class Line:
    """A printed line of a row: one source's numbers, the measured ones, or their difference."""

    kind: str
    labels: list[str]
    texts: list[str]
    mark: str = ''  # the run of all its numbers, as its number in the list below the table
    marks: list[str] | None = None  # the runs of each, if they are of several


def lines(table: Table, number: dict[Run, int]) -> Iterator[Line]:
    """Lay a table out: under each row's published numbers the measured ones and the difference."""
    group = None
    for row in table.rows:
        labels = list(row.labels)
        if table.grouped and labels[0] == group:
            labels[0] = ''
        group = row.labels[0]
        for source in table.sources:
            if any(source in cell.published for cell in row.cells):
                texts = [_published(cell.published.get(source), row, table) for cell in row.cells]
                yield Line(source, labels, texts)
                labels = [''] * len(labels)
        # A gain's runs are those of its two rows, a mean's are too many.
        marked = [bool(c.runs) and c.measured is not None and not (row.gain or c.mean) for c in row.cells]
        marks = [str(number[cell.runs[0]]) if m else '' for m, cell in zip(marked, row.cells)]
        texts = [_measured(cell, row, table) for cell in row.cells]
        one = len({*marks} - {''}) < 2
        kind = 'measured' if table.sources else ''
        yield Line(kind, labels, texts, max(marks) if one else '', None if one else marks)
        if not row.gain and any(cell.difference is not None for cell in row.cells):
            texts = [_difference(cell, table) for cell in row.cells]
            yield Line('difference', [''] * len(labels), texts)


def _published(value: Decimal | str | None, row: Row, table: Table) -> str:
    if value is None:
        return '-'
    if isinstance(value, str):
        return value
    return f'{value:{"+" if row.gain and value else ""}.{table.digits}f}'


def _measured(cell: Cell, row: Row, table: Table) -> str:
    if cell.measured is None:
        return '·' if cell.open and not cell.runs else '-'
    return show(cell.measured, table.digits, cell.published.values(), sign=row.gain)


def _difference(cell: Cell, table: Table) -> str:
    if cell.difference is None:
        return ''
    digits = places(cell.measured, table.digits, cell.published.values())
    return f'{cell.difference:{"+" if cell.difference else ""}.{digits}f}'


def _marked(texts: list[str], line: Line, form: Callable[[str], str]) -> list[str]:
    """Add the runs' marks to a line's kind and numbers."""
    marks = [line.mark, *(line.marks or [''] * len(line.texts))]
    return [text + (form(mark) if mark else '') for text, mark in zip(texts, marks)]


def remarks(table: Table, number: dict[Run, int]) -> list[tuple[str, str]]:
    """What stands under a table: each as its mark, if any, and its text."""
    found = [(str(number[run]), _trained(table, run)) for run in table.runs]
    found += [('', f'{source}: {text}') for source, text in table.sources.items()]
    return found + [('', note) for note in table.notes]


def _trained(table: Table, run: Run) -> str:
    otherwise = table.deviations.get(run)
    return f'{run}' + (f'; its training: {"; ".join(otherwise)}' if otherwise else '')


def _numbered(tables: list[Table]) -> dict[Run, int]:
    runs = dict.fromkeys(run for table in tables for run in table.runs)
    return {run: i for i, run in enumerate(runs, 1)}


def terminal(tables: list[Table], ends: list[str], width: int | None = None) -> str:
    """For a terminal.

    Args:
        tables (list[Table]): The tables.
        ends (list[str]): Lines to end with.
        width (int, optional): Columns, without colour. Defaults to the terminal's.
    """
    console = Console(width=width, no_color=width is not None, highlight=False)
    number = _numbered(tables)
    with console.capture() as capture:
        for table in tables:
            grid = RichTable(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
            console.print(Text(table.title, 'bold'))
            for label in [*table.labels, '']:
                grid.add_column(label, no_wrap=True)
            for column in table.columns:
                grid.add_column(Text(column), justify='right')
            for line in lines(table, number):
                if table.grouped and grid.row_count and line.labels[0]:
                    grid.add_section()
                style = STYLES.get(line.kind, 'dim')
                texts = _marked([line.kind, *line.texts], line, lambda mark: mark.translate(SUPERSCRIPTS))
                grid.add_row(*line.labels, *(Text(t, style) for t in texts))
            # Rather wider than the terminal than with a number cut short.
            terminal_width = console.width
            wide = Measurement.get(console, console.options.update_width(1000), grid).maximum
            console.width = max(wide, terminal_width)
            console.print(grid, '')
            console.width = terminal_width
            for mark, text in remarks(table, number):
                console.print(Text(f'{mark.translate(SUPERSCRIPTS)} {text}'.strip(), 'dim'))
            console.print()
        if tables and tables[0].sources:
            console.print(Text(LEGEND, 'dim'))
        for line in ends:
            console.print(Text(line))
    return re.sub(r' +$', '', capture.get(), flags=re.MULTILINE)


def markdown(tables: list[Table], ends: list[str]) -> str:
    """For a page in Markdown (GitHub's)."""

    def escape(text: str) -> str:
        for char in '\\`*_|<>':
            text = text.replace(char, f'\\{char}')
        return text

    number, parts = _numbered(tables), []
    for table in tables:
        rows = [f'### {escape(table.title)}', '']
        rows.append(_row(escape(t) for t in (*table.labels, '', *table.columns)))
        rows.append(_row(['---'] * (len(table.labels) + 1) + ['---:'] * len(table.columns)))
        for line in lines(table, number):
            mark = '**{}**' if STYLES.get(line.kind) == 'bold' else '{}'
            texts = [mark.format(t) if t.strip('-·') else t for t in line.texts]
            texts = _marked([f'*{line.kind}*' if line.kind else '', *texts], line, '<sup>{}</sup>'.format)
            rows.append(_row([*map(escape, line.labels), *texts]))
        rows.append('')
        for mark, text in remarks(table, number):
            rows.append(f'- <sup>{mark}</sup> {escape(text)}' if mark else f'- {escape(text)}')
        parts += ['\n'.join(rows), '']
    if tables and tables[0].sources:
        parts += [LEGEND, '']
    return '\n'.join([*parts, *(f'- {escape(line)}' for line in ends)]).rstrip() + '\n'


def _row(texts) -> str:
    return f'| {" | ".join(texts)} |'


def latex(tables: list[Table], ends: list[str]) -> str:
    """For a paper: ``table`` environments with ``booktabs``."""
    number, parts = _numbered(tables), [r'% \usepackage{booktabs}']
    for table in tables:
        # LaTeX numbers tables itself.
        title = table.title.partition('. ')[2] if table.name.isdigit() else table.title
        rows = [r'\begin{table}', r'\centering', rf'\caption{{{title.translate(LATEX)}}}']
        rows += [rf'\label{{tab:{table.name.replace("_", "-").replace(" ", "-")}}}']
        columns = 'l' * (len(table.labels) + 1) + 'r' * len(table.columns)
        rows += [rf'\begin{{tabular}}{{{columns}}}', r'\toprule']
        header = [*table.labels, '', *table.columns]
        rows += [' & '.join(t.translate(LATEX) for t in header) + r' \\', r'\midrule']
        for i, line in enumerate(lines(table, number)):
            if table.grouped and i and line.labels[0]:
                rows.append(r'\addlinespace')
            form = r'\textbf{{{}}}' if STYLES.get(line.kind) == 'bold' else '{}'
            texts = [form.format(_signed(t)) if t.strip('-·') else t.translate(LATEX) for t in line.texts]
            texts = _marked([rf'\emph{{{line.kind}}}', *texts], line, r'\textsuperscript{{{}}}'.format)
            rows.append(' & '.join([*(t.translate(LATEX) for t in line.labels), *texts]) + r' \\')
        rows += [r'\bottomrule', r'\end{tabular}', r'\par\smallskip\footnotesize\raggedright']
        for mark, text in remarks(table, number):
            rows.append((rf'\textsuperscript{{{mark}}} ' if mark else '') + text.translate(LATEX) + r'\par')
        if table.sources:
            rows.append(LEGEND.translate(LATEX))
        parts.append('\n'.join([*rows, r'\end{table}']))
    return '\n\n'.join(parts) + '\n' + ''.join(f'% {line}\n' for line in ends)


def _signed(text: str) -> str:
    """A number in LaTeX, where only mathematics has a minus sign."""
    return f'$-${text[1:]}' if text.startswith('-') else text.translate(LATEX)


def as_csv(tables: list[Table], ends: list[str]) -> str:
    """A line for each number, unrounded, with its source or its runs; ``ends`` has no place in it."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator='\n')
    writer.writerow(['table', 'row', 'column', 'kind', 'value', 'source', 'run'])
    for table in tables:
        for name, row in _named(table):
            for column, cell in zip(table.columns, row.cells):
                kind = 'gain' if row.gain else 'measured'
                runs = ' '.join(str(run.folder) for run in cell.runs)
                for source, value in cell.published.items():
                    published = 'published gain' if row.gain else 'published'
                    writer.writerow([table.name, name, column, published, value, source, ''])
                if cell.open:
                    value = '' if cell.measured is None else cell.measured
                    writer.writerow([table.name, name, column, kind, value, '', runs])
                if cell.difference is not None and not row.gain:
                    source = next(s for s, v in cell.published.items() if isinstance(v, Decimal))
                    writer.writerow([table.name, name, column, 'difference', cell.difference, source, runs])
    return file.getvalue()


def _named(table: Table) -> Iterator[tuple[str, Row]]:
    """Rows with their names; a gain goes by the name of the row whose gain it is."""
    name = ''
    for row in table.rows:
        name = name if row.gain else ' '.join(row.labels)
        yield name, row


def as_json(tables: list[Table], ends: list[str]) -> str:
    """Everything, nested, with the numbers unrounded."""

    def number(value):
        return float(value) if isinstance(value, Decimal) else value

    def of(cell: Cell) -> dict:
        return dict(
            published={source: number(value) for source, value in cell.published.items()},
            measured=number(cell.measured),
            difference=number(cell.difference),
            runs=[str(run.folder) for run in cell.runs],
        )

    def of_table(table: Table) -> dict:
        rows = []
        for name, row in _named(table):
            cells = {column: of(cell) for column, cell in zip(table.columns, row.cells)}
            if row.gain:
                rows[-1]['gain'] = cells
            else:
                rows.append(dict(row=name, labels=dict(zip(table.labels, row.labels)), columns=cells))
        runs = {
            str(run.folder): dict(
                part='test' if run.step is None else 'validation',
                step=run.step,
                checkpoint=run.cfg.get('load_from'),
                images=run.images,
                training=table.deviations.get(run, []),
            )
            for run in table.runs
        }
        return dict(title=table.title, sources=table.sources, notes=table.notes, rows=rows, runs=runs)

    content = dict(tables={table.name: of_table(table) for table in tables}, remarks=ends)
    return json.dumps(content, indent=1, ensure_ascii=False) + '\n'


FORMATS = dict(terminal=terminal, markdown=markdown, latex=latex, csv=as_csv, json=as_json)
