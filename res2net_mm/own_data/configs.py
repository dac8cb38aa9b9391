"""What the configs of all methods state of one's own data.

A config is a list of a comment and the statements below it: their left and right sides, which are values, or
:class:`Name` for text; None for a statement without a right side.
"""

from collections.abc import Callable

import numpy as np

from .data import Data

PIPELINES = {'train_pipeline, test_pipeline = _base_.train_pipeline, _base_.test_pipeline': None}


class Name(str):
    """Text that is written into a config as it is."""


def metainfo(data: Data, **more) -> tuple:
    """The classes."""
    return (
        'The classes, in the order of their numbers.',
        dict(metainfo=dict(classes=(*data.classes,), **more)),
    )


def loaders(datasets: dict[str, dict], batch: int, pipelines: bool = True) -> dict:
    """The data loaders of the splits; without a test set, the validation set is for both.

    Args:
        datasets (dict[str, dict]): What differs from the shipped config's data set, by split.
        batch (int): Images an iteration.
        pipelines (bool): Whether the config has pipelines of its own, or such as it must name.
    """
    stated = dict(test_dataloader=Name('val_dataloader'))
    for split, dataset in datasets.items():
        if pipelines:
            dataset = dataset | dict(pipeline=Name('train_pipeline' if split == 'train' else 'test_pipeline'))
        size = dict(batch_size=batch) if split == 'train' else {}
        stated[f'{split}_dataloader'] = dict(**size, num_workers=2, dataset=dataset)
    return {f'{split}_dataloader': stated[f'{split}_dataloader'] for split in ('train', 'val', 'test')}


def sides(data: Data) -> tuple[int, int]:
    """The median lengths of the training images' shorter and longer sides."""
    return tuple(map(int, np.median([sorted(picture.size) for picture in data.splits['train']], axis=0)))


def by_epochs(images: int, batch: int, iterations: int, least: int, most: int) -> tuple:
    """How long a run learns that counts epochs."""
    per_epoch = -(-images // batch)
    count = min(most, max(least, -(-iterations // per_epoch)))
    warmup, steps = min(500, max(2, count * per_epoch // 10)), [count * 2 // 3, count * 8 // 9]
    return (
        f'About {iterations:,} iterations, but {least} epochs at least and {most} at most.\n'
        '# To try it: --cfg-options train_cfg.max_epochs=1',
        dict(
            train_cfg=dict(max_epochs=count, val_interval=max(1, count // 10)),
            default_hooks=dict(checkpoint=dict(interval=max(1, count // 10))),
            param_scheduler=[
                dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=warmup),
                dict(type='MultiStepLR', by_epoch=True, milestones=steps, gamma=0.1),
            ],
        ),
    )


def by_iterations(
    images: int, passes: int, batch: int, least: int, most: int, scheduler: Callable[[int], dict]
) -> tuple:
    """How long a run learns that counts iterations."""
    count = min(most, max(least, images * passes // batch))
    return (
        f'{passes} passes over the images, but {least:,} iterations at least and {most:,} at most.\n'
        '# To try it: --cfg-options train_cfg.max_iters=10 train_cfg.val_interval=10',
        dict(
            train_cfg=dict(max_iters=count, val_interval=count // 10),
            default_hooks=dict(checkpoint=dict(interval=count // 10)),
            param_scheduler=[scheduler(count) | dict(by_epoch=False)],
        ),
    )


def learning_rate(rate: float, per: int, batch: int) -> tuple:
    """A learning rate that is meant for ``per`` images an iteration, for ``batch`` of them."""
    return (
        f'{rate} for {per} images an iteration. On several GPUs or with another batch: --auto-scale-lr',
        dict(
            optim_wrapper=dict(optimizer=dict(lr=float(f'{rate * batch / per:.3g}'))),
            auto_scale_lr=dict(base_batch_size=batch),
        ),
    )
