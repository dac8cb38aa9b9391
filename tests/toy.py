"""A training of milliseconds that draws random numbers wherever a real one does."""

import itertools
import random

import numpy as np
import torch
from mmengine.config import Config
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.registry import DATASETS, METRICS, MODELS
from torch import nn

from res2net_mm.engine import runner as tools
from res2net_mm.engine.safe_runner import SafeRunner

COUNTER = itertools.count()


@MODELS.register_module()
class ToyModel(BaseModel):
    """Two layers with dropout and BN."""

    def __init__(self, spoil=()):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.3), nn.Linear(8, 1))
        self.spoil, self.seen = spoil, []

    def forward(self, inputs, mode='tensor'):
        x = torch.stack(inputs)
        if mode == 'loss':
            loss = self.layers(x).square().mean()
            self.seen.append(x[:, 0].int().tolist())
            return dict(loss_a=loss, loss_b=loss * (float('nan') if len(self.seen) in self.spoil else 0.1))
        return [dict(score=self.layers(x).mean().item())]


@DATASETS.register_module()
class ToyData(torch.utils.data.Dataset):
    """Twenty samples, augmented by all three random generators."""

    def __init__(self, augment=True):
        self.augment = augment

    metainfo = dict(classes=('a',))

    def __len__(self):
        return 20

    def __getitem__(self, index):
        drawn = [random.random(), np.random.rand(), torch.rand(())] if self.augment else [0.5] * 3
        return dict(inputs=torch.tensor([index, *drawn]))


@METRICS.register_module()
class ToyMetric(BaseMetric):
    """The mean output."""

    def process(self, data_batch, data_samples):
        self.results.extend(sample['score'] for sample in data_samples)

    def compute_metrics(self, results):
        return dict(score=float(np.mean(results)))


class CutHook(Hook):
    """End a training as if its process had been killed."""

    priority = 'LOWEST'

    def __init__(self, point, iteration):
        self.point, self.iteration = point, iteration

    def _cut(self, runner, point):
        if point == self.point and runner.iter + 1 >= self.iteration:
            raise Killed

    def after_train_iter(self, runner, *args, **kwargs):
        self._cut(runner, 'iter')

    def before_val_epoch(self, runner):
        self._cut(runner, 'val')


class Killed(Exception):
    pass


def toy_config(
    work_dir, by_epoch=True, sampler=None, save=None, workers=0, accumulate=1, ema=False, spoil=(), **changes
):
    loader = dict(
        dataset=dict(type='ToyData'),
        sampler=dict(type=sampler or ('DefaultSampler' if by_epoch else 'InfiniteSampler'), shuffle=True),
        batch_size=3,
        num_workers=workers,
        persistent_workers=bool(workers),
    )
    epochs, iterations = dict(max_epochs=3, val_interval=1), dict(max_iters=21, val_interval=7)
    return Config(
        dict(
            model=dict(type='ToyModel', spoil=spoil),
            train_dataloader=loader,
            val_dataloader=dict(
                loader,
                dataset=dict(type='ToyData', augment=False),
                sampler=dict(type='DefaultSampler', shuffle=False),
            ),
            val_evaluator=dict(type='ToyMetric'),
            train_cfg=dict(by_epoch=by_epoch, **(epochs if by_epoch else iterations)),
            val_cfg=dict(),
            optim_wrapper=dict(optimizer=dict(type='Adam', lr=0.01), accumulative_counts=accumulate),
            param_scheduler=[dict(type='LinearLR', by_epoch=False, begin=0, end=15)],
            default_hooks=dict(
                checkpoint=save
                or dict(type='CheckpointHook', interval=1 if by_epoch else 7, by_epoch=by_epoch)
            ),
            custom_hooks=[dict(type='EMAHook')] if ema else [],
            work_dir=str(work_dir),
            launcher='none',
            log_level='WARNING',
            experiment_name=f'toy_{next(COUNTER)}',
        )
        | changes
    )


def train_toy(cfg, resume=False, hooks=()):
    """Train as tools/train.py does; return the runner, also if the training is cut off."""
    if resume:
        tools.resume_from(cfg, None)
    runner = SafeRunner.from_cfg(cfg)
    tools.record(runner, {})
    for hook in hooks:
        runner.register_hook(hook)
    try:
        runner.train()
    except Killed:
        pass
    return runner
