"""The paper's tables: published numbers and what runs measured, side by side."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from pathlib import Path

from ..config import digits_configs, load_config, shipped_configs
from .complexity import complexity
from .metrics import COCO_COLUMNS
from .paper import paper
from .work_dirs import PER_ITER, Run, deviations, read_config, training_deviations

DEMO_TITLE = 'Demo data: drawn scenes, not a result of the paper'
KEYPOINT_COLUMNS = {
    f'{kind}{long}': f'{kind}{short}'
    for kind in ('AP', 'AR')
    for long, short in ((' .5', '50'), (' .75', '75'), (' (M)', 'm'), (' (L)', 'l'))
}
BACKBONE = re.compile(r'_(r\d+|r2nx?\d+(v1b)?(_\d+w\d+s)?)(?=_|$)')  # in a config's name


@dataclass
class Cell:
    """One number of a table.

    Attributes:
        published (dict): Numbers, or text that is shown as it is, by source.
        measured (Decimal | int, optional): What the runs measured, in the table's unit; an int is a count.
        runs (list[Run]): Where that is from: a run; for a gain, two; for a mean, all.
        open (bool): Whether there is something to measure.
        mean (bool): Whether it is a mean over runs, or their spread.
    """

    published: dict[str, Decimal | str]
    measured: Decimal | int | None = None
    runs: list[Run] = field(default_factory=list)
    open: bool = True
    mean: bool = False

    @property
    def reference(self) -> Decimal | None:
        """The published number that the measured one is compared with: the first source's."""
        return next((v for v in self.published.values() if isinstance(v, Decimal)), None)

    @property
    def difference(self) -> Decimal | None:
        """What was measured less what was published."""
        if self.measured is None or self.reference is None:
            return None
        return self.measured - self.reference


@dataclass
class Row:
    """A row of a table, of numbers or of one row's gains over another."""

    labels: list[str]
    cells: list[Cell]
    gain: bool = False


@dataclass
class Table:
    """A table, ready to be laid out.

    Attributes:
        name (str): ``5`` for Table 5.
        title (str): What it shows, and its unit.
        labels (list[str]): Headings of the rows' labels.
        columns (list[str]): Headings of the numbers.
        rows (list[Row]): Its rows.
        digits (int): Decimals of the published numbers.
        grouped (bool): Whether the first label is that of a group of rows.
        notes (list[str]): What to know of it.
        deviations (dict[Run, list[str]]): How the runs were trained otherwise than their configs say.
    """

    name: str
    title: str
    labels: list[str]
    columns: list[str]
    rows: list[Row]
    digits: int
    grouped: bool = False
    notes: list[str] = field(default_factory=list)
    deviations: dict[Run, list[str]] = field(default_factory=dict)

    @property
    def runs(self) -> list[Run]:
        """The runs that its numbers are from, in their order, less those of means, which are many."""
        cells = [cell for row in self.rows for cell in row.cells if not cell.mean]
        return list(dict.fromkeys(run for cell in cells for run in cell.runs))

    @property
    def sources(self) -> dict[str, str]:
        """The sources of its published numbers and what they are."""
        used = {source for row in self.rows for cell in row.cells for source in cell.published}
        return {source: text for source, text in paper()['sources'].items() if source in used}


def specs() -> dict[str, dict]:
    """What is known of each table, and of each figure that is shown as one, by name."""
    return {**paper()['tables'], **{f'Figure {name}': spec for name, spec in paper()['figures'].items()}}


@cache
def backbone_size(file: Path, digits: int) -> Decimal:
    """Millions of parameters of a config's backbone, rounded."""
    return round(Decimal(complexity(load_config(str(file)))['backbone']), digits)


@cache
def shipped(name: str) -> dict | None:
    """A config that the package ships, by its name; None if there is none."""
    file = shipped_configs().get(name)
    return read_config(file) if file else None


def paper_tables(runs: list[Run], names: Iterable[str] = ()) -> tuple[list[Table], list[str]]:
    """Fill the paper's tables.

    Args:
        runs (list[Run]): What was run, by time.
        names (Iterable[str]): Names as in :func:`specs`. Defaults to all tables.

    Returns:
        tuple[list[Table], list[str]]: The tables, and for each run that is not in them, though its config
        is, the reason.
    """
    chosen = {name: specs()[name] for name in names or paper()['tables']}
    used, left_out = _choose(runs, chosen)
    return [_fill(name, spec, used) for name, spec in chosen.items()], left_out


def show(value: Decimal | int, digits: int, published: Iterable = (), sign: bool = False) -> str:
    """Write a measured number: a digit more than the published ones, where the metric file has it.

    It never looks like a published number that it isn't: until it doesn't, more digits are shown.

    Example:
        >>> show(Decimal('33.6604'), 1, [Decimal('33.7')])
        '33.66'
        >>> show(Decimal('33.7001'), 1, [Decimal('33.7')])
        '33.7001'
    """
    return f'{value:{"+" if sign and value else ""}.{places(value, digits, published)}f}'


def places(value: Decimal | int, digits: int, published: Iterable = ()) -> int:
    """How many decimals :func:`show` gives a number."""
    if isinstance(value, int):
        return 0
    exact = max(digits, -value.as_tuple().exponent)
    n = min(exact, digits + 1)
    while n < exact and round(value, n) in published:
        n += 1
    return n


def _slots(spec: dict) -> Iterator[tuple]:
    """Which runs a table has places for: config, ``--tta`` or not, whose boxes; and on how many images."""
    for group in spec['groups']:
        for row in group['rows']:
            for column in spec['columns']:
                if 'config' in row:
                    tta = column in spec.get('tta', ())
                    yield (row['config'], tta, group.get('boxes')), group['images']


def _choose(runs: list[Run], tables: dict[str, dict]) -> tuple[dict[tuple, tuple[Run, list[str]]], list[str]]:
    """Find the run for each place of the tables.

    Of a work directory the newest counts that isn't unfinished; of several, the newest test or, if none was
    tested, the newest.
    """
    slots = {}
    for name, spec in reversed(tables.items()):
        slots.update((slot, (name, images)) for slot, images in _slots(spec))
    every = {slot[0] for spec in specs().values() for slot, _ in _slots(spec)}
    wanted = {slot[0] for slot in slots}
    newest, left_out = {}, {}  # by work directory and reason: the newest run
    for run in runs:
        names = [name for name in run.names if name in every]
        if not names:
            what = ', '.join(sorted(run.names)) or 'no config in its work directory'
            left_out[run.work_dir, f'no config of a table ({what}){_hint(run)}'] = run
            continue
        faults = {name: _faults(run, name, slots) for name in names if name in wanted}
        if not faults:  # of a table that wasn't asked for
            continue
        name = min(faults, key=lambda n: len(faults[n]))
        if faults[name]:
            more = len(faults[name]) - 3
            listed = '; '.join(faults[name][:3]) + (f'; and {more} more' if more > 0 else '')
            left_out[run.work_dir, listed] = run
            continue
        place = (name, run.tta, run.boxes), run.work_dir
        other = newest.get(place)
        if other and other.finished and not run.finished:
            left_out[run.work_dir, f'not finished; {other.folder} counts in its place'] = run
        else:
            newest[place] = run
    chosen = {}
    for slot, run in sorted(
        ((slot, run) for (slot, _), run in newest.items()),
        key=lambda item: (item[1].part == 'test', item[1].folder.name),
    ):
        if slot in chosen:
            left_out[chosen[slot].work_dir, f'{run.folder} counts in its place'] = chosen[slot]
        chosen[slot] = run
    used = {slot: (run, training_deviations(run, shipped(slot[0]))) for slot, run in chosen.items()}
    return used, [f'{run.folder}: {reason}' for (_, reason), run in left_out.items()]


def _faults(run: Run, name: str, slots: dict) -> list[str]:
    """Why a run is none of a table's config; empty if it is."""
    slot = (name, run.tta, run.boxes)
    if slot not in slots:
        how = 'with --tta' if run.tta else f'in {run.boxes} boxes'
        return [f'tested {how}; no table has a place for that of {name}']
    table, images = slots[slot]
    if run.images != images:
        has = 'unknown number of images' if run.images is None else f'{run.images:,} images'
        return [f'{has}, {_heading(table)} needs {images:,}{_hint(run)}']
    if run.demo:
        return [f'drawn scenes{_hint(run)}']
    if shipped(name) is None:
        return [f'there is no config {name} to compare it with']
    return deviations(run, shipped(name))


def _hint(run: Run) -> str:
    return ' (demo data: see --demo)' if run.demo else ''


def _heading(name: str) -> str:
    return f'Table {name}' if name.isdigit() else name


def _fill(name: str, spec: dict, used: dict[tuple, tuple[Run, list[str]]]) -> Table:
    rows, marked, gain_name = [], {}, spec.get('gain', 'gain')
    lower = [column in spec.get('lower', ()) for column in spec['columns']]
    for group in spec['groups']:
        label = [group['name']] if 'name' in group else []
        by_backbone = {}
        for entry in group['rows']:
            cells = []
            for i, column in enumerate(spec['columns']):
                published = {s: entry[s][i] for s in paper()['sources'] if s in entry}
                cell = Cell({s: _number(v) for s, v in published.items() if v is not None})
                metric = group['metrics'][i] if 'metrics' in group else None
                cell.open = 'metrics' not in group or (metric is not None and 'config' in entry)
                slot = (entry.get('config'), column in spec.get('tta', ()), group.get('boxes'))
                if metric == 'backbone':
                    cell.measured = backbone_size(shipped_configs()[entry['config']], spec['digits'])
                elif metric and slot in used:
                    run, marked[run] = used[slot]
                    cell.runs = [run]
                    if metric in run.metrics:
                        value = run.metrics[metric].scaleb(2 if group.get('percent') else 0)
                        cell.measured = 100 - value if group.get('error') else value
                cells.append(cell)
            row = Row(label + entry['row'], cells)
            rows.append(row)
            by_backbone.setdefault(entry['row'][0], row)
            if 'over' in entry:
                rows.append(gain(row, by_backbone[entry['over']], gain_name, len(label), lower))
    title = f'{_heading(name)}. {spec["title"]}' if name[-1].isdigit() else spec['title']
    return Table(
        name,
        title,
        spec['labels'],
        spec['columns'],
        rows,
        spec['digits'],
        grouped='name' in spec['groups'][0],
        notes=spec.get('notes', []),
        deviations={run: lines for run, lines in marked.items() if lines},
    )


def _number(value: float | str) -> Decimal | str:
    return value if isinstance(value, str) else Decimal(str(value))


def gain(row: Row, twin: Row, name: str, at: int, lower: list[bool]) -> Row:
    """What a row gained over its twin: published where one source has both, measured where both were run.

    Args:
        row (Row): The row.
        twin (Row): The other.
        name (str): What to call it.
        at (int): Which of the labels takes the name.
        lower (list[bool]): Of each column, whether less is a gain.
    """
    cells = []
    for a, b, less in zip(row.cells, twin.cells, lower):
        sign = -1 if less else 1
        published = {
            s: sign * (a.published[s] - b.published[s])
            for s in a.published
            if s in b.published and isinstance(a.published[s], Decimal)
        }
        cell = Cell(published, open=a.open and b.open)
        if a.measured is not None and b.measured is not None:
            cell.measured, cell.runs = sign * (a.measured - b.measured), a.runs + b.runs
        cells.append(cell)
    labels = [*row.labels[:at], name, *[''] * (len(row.labels) - at - 1)]
    return Row(labels, cells, gain=True)


def demo_tables(runs: list[Run]) -> list[Table]:
    """Runs on the demo data: a table for each experiment and kind of output, with gains over the ResNet twin.

    Args:
        runs (list[Run]): What was run, by time; what isn't on the demo data is left out, and what is on its
            digits (see :func:`~res2net_mm.results.digits.digits_tables`).
    """
    newest = {}
    for run in runs:
        if run.demo and run.names and not digits_configs().keys() & set(run.names):
            name = max(run.work_dir.glob('*.py'), key=lambda p: p.stat().st_mtime).stem
            how = ['multi-scale + flip'] if run.tta else []
            how += [f'{run.boxes} boxes'] if run.boxes else []
            newest[BACKBONE.sub('', name), ', '.join(how), run.backbone] = run
    tables = defaultdict(list)
    # a ResNet before the Res2Nets that gain over it
    for experiment, how, backbone in sorted(newest, key=lambda k: (*k[:2], 'Res2Net' in k[2], k[2])):
        run = newest[experiment, how, backbone]
        for kind in ('coco/bbox_', 'coco/segm_', 'coco/', 'pascal_voc/', ''):
            if any(_metric(kind, key) for key in run.metrics):
                tables[experiment, how, kind].append(run)
    return [_demo_table(*key, runs) for key, runs in tables.items()]


def _metric(kind: str, key: str) -> bool:
    """Whether a metric is one of a kind, and no timing or count."""
    name = key.removeprefix(kind)
    if kind in ('coco/bbox_', 'coco/segm_'):
        return key.startswith(kind) and name in COCO_COLUMNS.values()
    if kind == 'coco/':
        return key.startswith('coco/A')  # not coco/bbox_...
    return key.startswith(kind) and '/' not in name and name not in ('images', PER_ITER, 'time', 'data_time')


def _demo_table(experiment: str, how: str, kind: str, runs: list[Run]) -> Table:
    names = {value: column for column, value in COCO_COLUMNS.items()} | KEYPOINT_COLUMNS
    keys = list(dict.fromkeys(key for run in runs for key in run.metrics if _metric(kind, key)))
    if kind in ('coco/bbox_', 'coco/segm_'):
        keys = [f'{kind}{name}' for name in COCO_COLUMNS.values() if f'{kind}{name}' in keys]
    rows = {}
    for run in runs:
        values = (run.metrics.get(key) for key in keys)
        cells = [Cell({}, None if v is None else v.scaleb(2 if '/' in kind else 0), [run]) for v in values]
        row = rows[run.backbone] = Row([run.backbone], cells)
        twin = re.sub(r'Res2Net-(\d+).*', r'ResNet-\1', run.backbone)
        if twin != run.backbone and twin in rows:
            rows[f'{run.backbone} gain'] = gain(row, rows[twin], 'gain', 0, [False] * len(keys))
    what = {'coco/bbox_': 'boxes', 'coco/segm_': 'masks'}.get(kind)
    title = f'{DEMO_TITLE}. {", ".join(filter(None, (experiment, how, what)))} (%)'
    columns = [names.get(key.removeprefix(kind), key.removeprefix(kind)) for key in keys]
    images = sorted({run.images for run in runs if run.images})
    notes = [f'{" or ".join(f"{n:,}" for n in images)} images'] if images else []
    return Table(f'demo {experiment}', title, ['Backbone'], columns, list(rows.values()), 1, notes=notes)
