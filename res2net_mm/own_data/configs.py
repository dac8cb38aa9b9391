"""What the configs of all methods state of one's own data, as text."""

import numpy as np

from .data import Data

PIPELINES = 'train_pipeline, test_pipeline = _base_.train_pipeline, _base_.test_pipeline\n'


def classes(data: Data, more: str = '') -> str:
    """The names of the classes; ``more`` is text of further meta information."""
    text = repr((*data.classes,))
    if len(text) > 80:
        lines = ['']
        for name in data.classes:
            if len(lines[-1]) + len(name) > 90:
                lines.append('')
            lines[-1] += f'{" " if lines[-1] else ""}{name!r},'
        text = '\n        '.join(['(', *lines]) + '\n    )'
    text = f'\n    classes={text},{more}\n' if len(text) > 80 or more else f'classes={text}'
    return f'\n# The classes, in the order of their numbers.\nmetainfo = dict({text})\n'


def loaders(datasets: dict[str, list[str]], batch: int) -> str:
    """The data loaders of the splits; without a test set, the validation set is for both.

    Args:
        datasets (dict[str, list[str]]): What differs from the shipped config's data set, by split.
        batch (int): Images an iteration.
    """
    text = '\n'
    for split, lines in datasets.items():
        size = f'    batch_size={batch},\n' if split == 'train' else ''
        lines = ''.join(f'        {line},\n' for line in lines)
        text += f'{split}_dataloader = dict(\n{size}    num_workers=2,\n    dataset=dict(\n{lines}    ),\n)\n'
    return text + ('' if 'test' in datasets else 'test_dataloader = val_dataloader\n')


def sides(data: Data) -> tuple[int, int]:
    """The median lengths of the training images' shorter and longer sides."""
    return tuple(map(int, np.median([sorted(picture.size) for picture in data.splits['train']], axis=0)))


def by_epochs(images: int, batch: int, iterations: int, least: int, most: int) -> str:
    """How long a run learns that counts epochs."""
    per_epoch = -(-images // batch)
    count = min(most, max(least, -(-iterations // per_epoch)))
    interval, warmup = max(1, count // 10), min(500, max(2, count * per_epoch // 10))
    return f"""
# About {iterations:,} iterations, but {least} epochs at least and {most} at most.
# To try it: --cfg-options train_cfg.max_epochs=1
train_cfg = dict(max_epochs={count}, val_interval={interval})
default_hooks = dict(checkpoint=dict(interval={interval}), logger=dict(interval=10))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end={warmup}),
    dict(type='MultiStepLR', by_epoch=True, milestones=[{count * 2 // 3}, {count * 8 // 9}], gamma=0.1),
]
"""


def by_iterations(images: int, passes: int, batch: int, least: int, most: int) -> tuple[str, int]:
    """How long a run learns that counts iterations, but for its schedule; and that number."""
    count = min(most, max(least, images * passes // batch))
    text = f"""
# {passes} passes over the images, but {least:,} iterations at least and {most:,} at most.
# To try it: --cfg-options train_cfg.max_iters=10 train_cfg.val_interval=10
train_cfg = dict(max_iters={count}, val_interval={count // 10})
default_hooks = dict(checkpoint=dict(interval={count // 10}), logger=dict(interval=10))
"""
    return text, count


def learning_rate(rate: float, per: int, batch: int) -> str:
    """A learning rate that is meant for ``per`` images an iteration, for ``batch`` of them."""
    return f"""
# {rate} is for {per} images an iteration. On several GPUs or with another batch: --auto-scale-lr
optim_wrapper = dict(optimizer=dict(lr={rate * batch / per:.3g}))
auto_scale_lr = dict(base_batch_size={batch})
"""
