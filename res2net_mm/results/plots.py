"""The paper's tables as plots: its own numbers hollow and dashed, what was measured solid."""

import re
import textwrap
from collections import defaultdict
from pathlib import Path

from .curves import plot_curves
from .tables import Table, show

SIZES = ('Small', 'Medium', 'Large', 'All'), ('APS', 'APM', 'APL', 'AP')  # Table 6's columns and Table 8's
COLORS = {'ResNet-50': '#E69F00', 'Res2Net-50': '#0072B2'}  # tell apart for the color-blind, too
SERIES = '#E69F00', '#009E73', '#0072B2'


def plot(tables: list[Table], folder: str | Path) -> list[Path]:
    """Draw what some tables have to draw.

    Args:
        tables (list[Table]): The tables; AP by size is drawn of 6 and 8, AP against the scale of 7 and 8,
            accuracy against the number of parameters of Figure 5; AP by size of tables of other runs, too.
        folder (str | Path): Where ``ap_by_size.png``, ``ap_against_scale.png``, ``ap_by_size_other_1.png``,
            ``figure_5.png`` and ``curves_NAME.png`` of each work directory that numbers are from go.

    Returns:
        list[Path]: The pictures.
    """
    paths = plot_tables(tables, folder)
    for work_dir in dict.fromkeys(run.work_dir for table in tables for run in table.runs):
        name = '_'.join(p for p in work_dir.parts if p not in ('/', '.', '..'))
        paths.append(plot_curves(work_dir, Path(folder, f'curves_{name}.png')))
    return [path for path in paths if path]


def plot_tables(tables: list[Table], folder: str | Path) -> list[Path]:
    """Draw what :func:`plot` does but for the curves."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    by_name = {table.name: table for table in tables}
    sizes = [by_name[name] for name in ('6', '8') if name in by_name]
    scales = [by_name[name] for name in ('7', '8') if name in by_name]
    paths = [plot_sizes(sizes, folder / 'ap_by_size.png')] if sizes else []
    paths += [plot_scales(scales, folder / 'ap_against_scale.png')] if scales else []
    for table in tables:
        if not table.compared and {'APm', 'APl'} <= {*table.columns}:
            paths.append(plot_other_sizes(table, folder / f'ap_by_size_{table.name.replace(" ", "_")}.png'))
    return paths + plot_series(tables, folder)


def plot_sizes(tables: list[Table], path: Path) -> Path:
    """Draw AP by object size for Res2Net-50 26w4s and its baseline, ResNet-50, from Tables 6 and 8."""
    figure, axes = _figure(len(tables))
    for axis, table in zip(axes, tables):
        columns = next(names for names in SIZES if names[0] in table.columns)
        rows = [row for row in table.rows if row.labels[0] in ('AP (%)', 'masks') and row.labels[1] in COLORS]
        rows = [row for row in rows if row.labels[2:] in ([], ['64w'], ['26w×4s'])]
        for at, row in zip((-0.2, 0.2), rows):
            backbone, color = row.labels[1], COLORS[row.labels[1]]
            for i, column in enumerate(columns):
                cell, label = row.cells[table.columns.index(column)], '' if i else backbone
                paper = dict(fill=False, ec=color, ls='--', lw=1.5, label=label and f'{label}, paper')
                axis.bar(i + at, float(cell.reference), width=0.36, **paper)
                value = cell.reference if cell.measured is None else cell.measured
                if cell.measured is not None:
                    label = label and f'{label}, measured'
                    axis.bar(i + at, float(value), width=0.24, color=color, label=label)
                text = show(value, table.digits, cell.published.values())
                top = i + at, float(max(value, cell.reference))
                axis.annotate(text, top, (0, 2), textcoords='offset points', ha='center', fontsize='x-small')
        axis.set_xticks(range(4), ('small', 'medium', 'large', 'all'))
        kind = 'mask' if table.name == '8' else 'box'
        axis.set(xlabel='object size', ylabel=f'{kind} AP (%)', title=f'Table {table.name}')
        axis.set_ylim(0, 1.2 * axis.get_ylim()[1])
        axis.legend(fontsize='small', ncols=2, loc='upper left', frameon=False)
    return _save(figure, path)


def plot_other_sizes(table: Table, path: Path) -> Path:
    """Draw AP by object size for the runs of a table of other runs."""
    from matplotlib import colormaps

    figure, (axis,) = _figure(1)
    columns = [column for column in ('APs', 'APm', 'APl', 'AP') if column in table.columns]
    rows = [row for row in table.rows if not row.gain]
    for i, row in enumerate(rows):
        width, color = 0.8 / max(2, len(rows)), colormaps['viridis'](0.15 + 0.7 * i / max(1, len(rows) - 1))
        at = [x + width * (i - (len(rows) - 1) / 2) for x in range(len(columns))]
        cells = [row.cells[table.columns.index(column)] for column in columns]
        values = [float('nan') if cell.measured is None else float(cell.measured) for cell in cells]
        axis.bar(at, values, width=0.9 * width, color=color, label=row.labels[0])
    names = dict(APs='small', APm='medium', APl='large', AP='all')
    axis.set_xticks(range(len(columns)), [names[column] for column in columns])
    axis.set(xlabel='object size', ylabel='AP (%)')
    axis.set_title(textwrap.fill(table.title, 70), fontsize='medium')
    axis.set_ylim(0, max(1, 1.2 * axis.get_ylim()[1]))
    axis.legend(fontsize='small', frameon=False)
    return _save(figure, path)


def plot_scales(tables: list[Table], path: Path) -> Path:
    """Draw AP or mean IoU against the scale of the 50-layer networks of Tables 7 and 8; ResNet's is 1."""
    figure, axes = _figure(len(tables))
    for axis, table in zip(axes, tables):
        at = table.labels.index('Backbone')
        rows = [r for r in table.rows if r.labels[at].endswith('-50') and r.labels[0] != 'boxes']
        scales = [int((re.findall(r'×(\d+)s', row.labels[-1]) or [1])[0]) for row in rows]
        cells = [row.cells[0] for row in rows]
        paper = [float(cell.reference) for cell in cells]
        axis.plot(scales, paper, 'o--', color='#0072B2', mfc='none', label='paper')
        measured = [(s, float(c.measured)) for s, c in zip(scales, cells) if c.measured is not None]
        if measured:
            axis.plot(*zip(*measured), 'o-', color='#D55E00', label='measured')
        axis.set_xticks(scales, [f'{s}\n{row.labels[-1]}' for s, row in zip(scales, rows)])
        what = 'mean IoU (%)' if table.name == '7' else 'mask AP (%)'
        axis.set(xlabel='scale s (1: ResNet-50), and the setting', ylabel=what, title=f'Table {table.name}')
        axis.margins(y=0.2)
        axis.legend(fontsize='small', loc='lower right', frameon=False)
    return _save(figure, path)


def plot_series(tables: list[Table], folder: Path) -> list[Path]:
    """Draw what was measured of figures that came as tables: a line for each group of rows.

    The second column is drawn against the first, and a third, if there is one, as its error bars.
    """
    paths = []
    for table in tables:
        series = defaultdict(list)
        for row in table.rows if 'Figure' in table.name else ():
            values = [None if cell.measured is None else float(cell.measured) for cell in row.cells[:3]]
            if None not in values[:2]:
                series[row.labels[0]].append([float('nan') if v is None else v for v in values])
        if series:
            figure, (axis,) = _figure(1)
            for (name, points), color in zip(series.items(), SERIES):
                axis.errorbar(*zip(*points), fmt='o-', color=color, label=name, capsize=3)
            axis.set(xlabel=table.columns[0], ylabel=f'measured {" ± ".join(table.columns[1:3])}')
            axis.set_title(textwrap.fill(table.title, 70), fontsize='medium')
            axis.legend(fontsize='small', frameon=False)
            paths.append(_save(figure, folder / f'{table.name.lower().replace(" ", "_")}.png'))
    return paths


def _figure(panels: int):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5 * panels + 1, 4), layout='constrained')
    return figure, figure.subplots(1, panels, squeeze=False)[0]


def _save(figure, path: Path) -> Path:
    for axis in figure.axes:
        axis.grid(alpha=0.3, axis='y')
        axis.set_axisbelow(True)
        axis.spines[['top', 'right']].set_visible(False)
    figure.savefig(path, dpi=120)
    return path
