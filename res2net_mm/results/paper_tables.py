"""The paper's tables, with what runs measured in them."""

from collections.abc import Iterable
from decimal import Decimal

from .paper import paper
from .records import Run
from .tables import Cell, Row, Table, gain


def specs() -> dict[str, dict]:
    """What is known of each table, and of each figure that is shown as one, by name."""
    return {**paper()['tables'], **{f'Figure {name}': spec for name, spec in paper()['figures'].items()}}


LeftOut = list[tuple[Run, str]]


def paper_tables(runs: list[Run], names: Iterable[str] = ()) -> tuple[list[Table], LeftOut, list[Run]]:
    """Fill the paper's tables.

    For each row the newest run counts, an unfinished one only where there is no other.

    Args:
        runs (list[Run]): What was run, in the order of :func:`~res2net_mm.results.records.find_runs`.
        names (Iterable[str]): Names as in :func:`specs`. Defaults to all tables.

    Returns:
        tuple[list[Table], LeftOut, list[Run]]: The tables; the runs that are not in them, of
        a work directory the newest, with the reason; and of those all of other configs, or on other data.
    """
    chosen = {name: specs()[name] for name in names or paper()['tables']}
    configs = {slot[0] for spec in specs().values() for slot, _ in _slots(spec)}
    wanted = {slot[0] for spec in chosen.values() for slot, _ in _slots(spec)}
    slots = {slot: (name, n) for name, spec in reversed(chosen.items()) for slot, n in _slots(spec)}
    used, left_out, others = {}, {}, []
    for run in runs:
        slot = run.config, run.record['tta'], run.data.get('boxes')
        table, images = slots.get(slot, (None, None))
        changes = (run.record['changes'] or {}).get('evaluation')
        reason = None
        if run.config not in configs:
            reason = f'no config of a table ({run.config})'
        elif run.config not in wanted:  # of a table that wasn't asked for
            continue
        elif table is None:
            how = 'with --tta' if run.record['tta'] else f'in {run.data.get("boxes")} boxes'
            reason = f'tested {how}, which no table has of {run.config}'
        elif run.data['images'] != images:
            reason = f'{run.data["images"]:,} images, {_heading(table)} needs {images:,}'
        elif changes is None:
            reason = f'it was not compared with the shipped {run.config}'
        elif changes:
            more = f'; and {len(changes) - 3} more' if len(changes) > 3 else ''
            reason = '; '.join(changes[:3]) + more
        if reason and (table is None or run.data['images'] != images):
            others.append(run)
        if reason:
            left_out[run.work_dir, reason] = run  # of equal ones the newest
            continue
        other = used.get(slot)
        if other and (other.work_dir != run.work_dir or other.record['started'] > run.record['started']):
            left_out[other.work_dir, f'{run.folder} counts in its place'] = other
        used[slot] = run
    tables = [_fill(name, spec, used) for name, spec in chosen.items()]
    return tables, [(run, reason) for (_, reason), run in left_out.items()], others


def _slots(spec: dict) -> Iterable[tuple]:
    """Which runs a table has rows for: config, ``--tta`` or not, whose boxes; and on how many images."""
    for group in spec['groups']:
        for row in group['rows']:
            for column in spec['columns']:
                if 'config' in row:
                    tta = column in spec.get('tta', ())
                    yield (row['config'], tta, group.get('boxes')), group['images']


def _heading(name: str) -> str:
    return f'Table {name}' if name.isdigit() else name


def _fill(name: str, spec: dict, used: dict[tuple, Run]) -> Table:
    rows = []
    lower = [column in spec.get('lower', ()) for column in spec['columns']]
    for group in spec['groups']:
        label = [group['name']] if 'name' in group else []
        by_backbone = {}
        for entry in group['rows']:
            cells = []
            for i, column in enumerate(spec['columns']):
                published = {s: entry[s][i] for s in paper()['sources'] if s in entry}
                metric = group['metrics'][i] if 'metrics' in group else None
                run = used.get((entry.get('config'), column in spec.get('tta', ()), group.get('boxes')))
                cells.append(
                    Cell(
                        {s: _number(v) for s, v in published.items() if v is not None},
                        _measured(run, metric, group, spec['digits']) if run and metric else None,
                        [run] if run and metric else [],
                        'metrics' not in group or (metric is not None and 'config' in entry),
                    )
                )
            row = Row(label + entry['row'], cells)
            rows.append(row)
            by_backbone.setdefault(entry['row'][0], row)
            if 'over' in entry:
                baseline = by_backbone[entry['over']]
                rows.append(gain(row, baseline, len(label), spec.get('gain', 'gain'), lower))
    title = f'{_heading(name)}. {spec["title"]}' if name[-1].isdigit() else spec['title']
    grouped = 'name' in spec['groups'][0]
    return Table(
        name, title, spec['labels'], spec['columns'], rows, spec['digits'], grouped, spec.get('notes', [])
    )


def _number(value: float | str) -> Decimal | str:
    return value if isinstance(value, str) else Decimal(str(value))


def _measured(run: Run, metric: str, group: dict, digits: int) -> Decimal | None:
    if metric == 'backbone':
        return round(Decimal(run.record['parameters']['backbone']) / 10**6, digits)
    if metric not in run.metrics:
        return None
    value = run.metrics[metric].scaleb(2 if group.get('percent') else 0)
    return 100 - value if group.get('error') else value
