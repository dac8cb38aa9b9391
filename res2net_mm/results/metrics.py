"""The metrics of one run as a table."""

from rich import box
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

# COCO's summary: the column, and mmdet's name for it after 'coco/bbox_' (or another IoU type).
COCO_COLUMNS = dict(
    AP='mAP',
    AP50='mAP_50',
    AP75='mAP_75',
    APs='mAP_s',
    APm='mAP_m',
    APl='mAP_l',
    AR='AR@100',
    ARs='AR_s@1000',
    ARm='AR_m@1000',
    ARl='AR_l@1000',
)


def metrics_table(metrics: dict, title: str) -> Group:
    """Lay out what an evaluator returned.

    Args:
        metrics (dict): Names such as ``coco/bbox_mAP_50`` and values.
        title (str): The title.

    Returns:
        rich.console.Group: COCO's columns with a row for boxes and one for masks, if there are such metrics,
        in mmdet's fractions of 1, where a size without an object shows -; below, a row for each other metric.
    """
    others, parts = dict(metrics), [Text(title, 'bold')]
    kinds = [k for k in ('bbox', 'segm') if f'coco/{k}_mAP' in metrics]
    columns = {c: key for c, key in COCO_COLUMNS.items() if any(f'coco/{k}_{key}' in metrics for k in kinds)}
    table = Table('', *columns, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for kind in kinds:
        values = (metrics.get(f'coco/{kind}_{key}', -1) for key in columns.values())
        table.add_row(kind, *('-' if v < 0 else f'{v:.3f}' for v in values))
        others = {name: v for name, v in others.items() if not name.startswith(f'coco/{kind}_')}
    if kinds:
        parts.append(table)
    if others:
        table = Table('metric', 'value')
        for name, value in others.items():
            table.add_row(name, f'{value:.4f}' if isinstance(value, float) else str(value))
        parts.append(table)
    return Group(*parts)


def print_metrics(metrics: dict, title: str) -> None:
    """Print :func:`metrics_table`, or that there is nothing to print (mmdet's way to say: no detections)."""
    Console().print(metrics_table(metrics, title) if metrics else f'{title}: no metrics; nothing was found')
