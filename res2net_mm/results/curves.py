"""A run's loss and metrics over time, as a plot."""

import json
from pathlib import Path

SCORES = ('mAP', 'mAP_50', 'mIoU', 'AP', 'accuracy/top1')  # what is plotted, if a run measured it


def read_records(file: Path, **options) -> list[dict]:
    """What one run logged, by mmengine's LocalVisBackend.

    Args:
        file (Path): Its ``scalars.json``.
        **options: For :func:`json.loads`.
    """
    lines = file.read_text().splitlines()
    lines = [line for line in lines if line.endswith('}')]  # a killed run's last is torn
    return [json.loads(line, **options) for line in lines]


def read_scalars(work_dir: str | Path) -> tuple[list[dict], list[dict]]:
    """What a run and those that it resumed logged.

    Args:
        work_dir (str | Path): The run's work directory.

    Returns:
        tuple[list[dict], list[dict]]: The training records and the evaluation records, by step. A run that
        was resumed replaces what came after, a run from the start everything.
    """
    train, val = {}, {}
    for file in sorted(Path(work_dir).glob('*/vis_data/scalars.json')):
        records = read_records(file)
        new_train = {r['step']: r for r in records if 'loss' in r}
        new_val = {r['step']: r for r in records if 'loss' not in r}
        if new_train:
            if min(new_train) <= min(train, default=0):
                val = {}
            kept = min(new_train), min(new_val, default=float('inf'))
            train = {k: r for k, r in train.items() if k < kept[0]} | new_train
            val = {k: r for k, r in val.items() if k < kept[1]} | new_val
    return list(train.values()), list(val.values())


def plot_curves(work_dir: str | Path, path: str | Path | None = None) -> Path | None:
    """Draw the training losses and the scores on the validation set of a run.

    Args:
        work_dir (str | Path): The run's work directory.
        path (str | Path, optional): The picture to write. Defaults to ``curves.png`` in it.

    Returns:
        Path: The picture; None if there is nothing to draw.
    """
    train, val = read_scalars(work_dir)
    if not train:
        return None
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout='constrained')
    left, right = figure.subplots(1, 2)
    for name in sorted(k for k in train[-1] if 'loss' in k):
        values = [(r['step'], r[name]) for r in train if name in r]
        left.plot(*zip(*values), label=name, lw=2.5 if name == 'loss' else 1)
    left.set(xlabel='iteration', ylabel='training loss', ylim=(0, None))
    left.legend(fontsize='small')

    names = [k for k in (val[-1] if val else {}) if k.endswith(tuple(f'_{s}' for s in SCORES))]
    names += [k for k in (val[-1] if val else {}) if k in SCORES or k.rpartition('/')[2] in SCORES]
    for name in names:
        right.plot([r['step'] for r in val], [r.get(name) for r in val], 'o-', label=name)
    right.set(
        xlabel='epoch' if 'epoch' in train[-1] else 'iteration',
        ylabel='on the validation set',
        ylim=(0, None),
    )
    right.xaxis.get_major_locator().set_params(integer=True)
    if names:
        right.legend(fontsize='small')
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.spines[['top', 'right']].set_visible(False)
    figure.suptitle(Path(work_dir).name)
    path = Path(path or Path(work_dir, 'curves.png'))
    figure.savefig(path, dpi=120)
    return path
