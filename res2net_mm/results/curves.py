"""A run's loss and metrics over time, as a plot."""

import json
from pathlib import Path

SCORES = ('mAP', 'mAP_50', 'mIoU', 'AP', 'max_F', 'accuracy/top1')  # what is plotted, if a run measured it


def read_scalars(work_dir: str | Path) -> tuple[list[dict], list[dict]]:
    """What a run and those that it resumed logged, by mmengine's LocalVisBackend.

    Args:
        work_dir (str | Path): The run's work directory.

    Returns:
        tuple[list[dict], list[dict]]: What was logged in training and of evaluations, by step. A run that
        was resumed replaces what came after, a run from the start everything.
    """
    train, val = {}, {}
    for file in sorted(Path(work_dir).glob('*/vis_data/scalars.json')):
        lines = file.read_text('utf-8').splitlines()
        logged = [json.loads(line) for line in lines if line.endswith('}')]  # a killed run's last is torn
        new_train = {r['step']: r for r in logged if 'loss' in r}
        new_val = {r['step']: r for r in logged if 'loss' not in r}
        if new_train:
            if min(new_train) <= min(train, default=0):
                val = {}
            first, first_val = min(new_train), min(new_val, default=float('inf'))
            train = {k: r for k, r in train.items() if k < first} | new_train
            val = {k: r for k, r in val.items() if k < first_val} | new_val
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
    left.set(xlabel='iteration', ylabel='training loss')
    for name in val[-1] if val else ():
        if name in SCORES or name.endswith(tuple(f'{sep}{score}' for sep in '/_' for score in SCORES)):
            right.plot([r['step'] for r in val], [r.get(name) for r in val], 'o-', label=name)
    unit = 'epoch' if 'epoch' in train[-1] else 'iteration'
    right.set(xlabel=unit, ylabel='on the validation set')
    for axis in (left, right):
        axis.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)  # even of a single step
        axis.set_ylim(0, None)
        axis.grid(alpha=0.3)
        axis.spines[['top', 'right']].set_visible(False)
        if axis.lines:
            axis.legend(fontsize='small')
    figure.suptitle(Path(work_dir).name)
    path = Path(path or Path(work_dir, 'curves.png'))
    figure.savefig(path, dpi=120)
    return path
