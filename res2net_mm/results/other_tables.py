"""Runs that no published number belongs to."""

import re
from collections import defaultdict

from .metrics import COCO_COLUMNS
from .records import Run
from .tables import Cell, Row, Table, gain

# The first part of a metric's name, what it is about, and the factor that makes per cent of it.
KINDS = {
    'coco/bbox_': ('boxes, %', 2),
    'coco/segm_': ('masks, %', 2),
    'coco/': ('key points, %', 2),
    'pascal_voc/': ('boxes, %', 2),
}
HEADINGS = {name: column for column, name in COCO_COLUMNS.items()} | {
    f'{kind}{long}': f'{kind}{short}'
    for kind in ('AP', 'AR')
    for long, short in ((' .5', '50'), (' .75', '75'), (' (M)', 'm'), (' (L)', 'l'))
}
RES2NET = re.compile(r'(^|_)r2n(x?)(\d+)(v1b)?(_\d+w\d+s)?(?=_|$)')  # in a config's name


def other_tables(runs: list[Run]) -> list[Table]:
    """Lay out runs that no published number belongs to: a table for each data set and kind of metric.

    A Res2Net's row follows the ResNet's of the same depth, if that was run, and is followed by the gain.

    Args:
        runs (list[Run]): The runs. Of a work directory the newest on a data set counts.
    """
    newest = {(run.work_dir, run.config, _conditions(run)): run for run in runs}
    tables = defaultdict(dict)
    # A baseline, then the Res2Nets that gain over it.
    runs = sorted(newest.values(), key=lambda r: (_baseline(r.config), r.config != _baseline(r.config)))
    for run in runs:
        for metric, value in run.metrics.items():
            kind = next((kind for kind in KINDS if metric.startswith(kind)), '')
            column = metric.removeprefix(kind)
            if kind != 'coco/' or column.startswith('A'):  # one of key points, none of a single class
                cells = tables[_conditions(run), kind].setdefault(run, {})
                cells[column] = value.scaleb(KINDS.get(kind, ('', 0))[1])
    return [_other(f'other {i}', *key, table) for i, (key, table) in enumerate(sorted(tables.items()), 1)]


def _conditions(run: Run) -> tuple[str, ...]:
    images, folder, boxes = run.data['images'], run.data.get('folder'), run.data.get('boxes')
    return (
        run.data['type'],
        *([folder] if folder else []),
        f'{images:,} image{"s" * (images != 1)}',
        *([f'{boxes} boxes'] if boxes else []),
        *(['test-time augmentation'] if run.record['tta'] else []),
    )


def _baseline(config: str) -> str:
    return RES2NET.sub(r'\1r\2\3', config)


def _other(name: str, conditions: tuple[str, ...], kind: str, found: dict[Run, dict]) -> Table:
    columns = list(dict.fromkeys(column for values in found.values() for column in values))
    rows, by_config = [], {}
    for run, values in found.items():
        cells = [Cell({}, values.get(column), [run], column in values) for column in columns]
        rows.append(Row([run.config], cells))
        by_config[run.config] = rows[-1]
        baseline = by_config.get(_baseline(run.config))
        if baseline and baseline is not rows[-1]:
            rows.append(gain(rows[-1], baseline))
    title = ', '.join([f'Other runs: {conditions[0]}', *conditions[1:], *KINDS.get(kind, ())[:1]])
    return Table(name, title, ['Config'], [HEADINGS.get(c, c) for c in columns], rows, 1, compared=False)
