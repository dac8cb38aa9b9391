"""The metrics of one run as a table."""

from rich import box
from rich.console import Console
from rich.table import Table

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


def metrics_table(metrics: dict, title: str) -> Table:
    """Lay out what an evaluator returned.

    Args:
        metrics (dict): Names such as ``coco/bbox_mAP_50`` and values.
        title (str): The table's title.

    Returns:
        rich.table.Table: COCO's columns with a row for boxes and one for masks, if the metrics are
        COCO's, in mmdet's fractions of 1; else a row for each metric. A size without an object shows -.
    """
    kinds = [k for k in ('bbox', 'segm') if f'coco/{k}_mAP' in metrics]
    if not kinds:
        table = Table('metric', 'value', title=title)
        for name, value in metrics.items():
            table.add_row(name, f'{value:.4f}' if isinstance(value, float) else str(value))
        return table
    columns = {c: key for c, key in COCO_COLUMNS.items() if any(f'coco/{k}_{key}' in metrics for k in kinds)}
    table = Table('', *columns, title=title, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for kind in kinds:
        values = (metrics.get(f'coco/{kind}_{key}', -1) for key in columns.values())
        table.add_row(kind, *('-' if v < 0 else f'{v:.3f}' for v in values))
    return table


def print_metrics(metrics: dict, title: str) -> None:
    """Print :func:`metrics_table`, or that there is nothing to print (mmdet's way to say: no detections)."""
    Console().print(metrics_table(metrics, title) if metrics else f'{title}: no metrics; nothing was found')
