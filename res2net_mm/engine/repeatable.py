"""Trainings that can be repeated: an interrupted and resumed one learns what an uninterrupted one does.

No random state is saved. What an iteration draws, in the data workers as in the model, depends on nothing but
the training's seed, the process and the iteration's number: on a CPU a resumed training equals the
uninterrupted one bit for bit, with whatever number of workers.
"""

import random
from collections.abc import Iterator
from itertools import count, islice

import numpy as np
import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.registry import DATA_SAMPLERS
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch.utils.data import BatchSampler, Dataset, Sampler


def set_seeds(*numbers: int) -> None:
    """Seed Python's, NumPy's and PyTorch's global generators by a hash of some numbers."""
    words = np.random.SeedSequence(numbers).generate_state(4)
    random.seed(int(words[0]))
    np.random.seed(words[1])
    torch.manual_seed(int(words[2]) << 32 | int(words[3]))


class SeedHook(Hook):
    """Seed what the model draws in an iteration, such as dropout."""

    priority = 'VERY_HIGH'

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch=None) -> None:
        """Seed the generators."""
        set_seeds(runner.seed, get_rank(), 0, runner.iter)


class NumberedBatch(list):
    """The indices of a batch's samples, and the batch's number in the training."""

    number: int


class NumberedBatchSampler:
    """Batches that know their number, for :func:`load_seeded`; a resumed training starts behind some of them.

    Args:
        sampler (Sampler): Where indices come from.
        batch_size (int): Samples per batch.
        drop_last (bool): Whether an incomplete last batch is dropped. Default: False.
        batch_sampler (dict, optional): Config of what makes the batches. Default: None (PyTorch's).
        endless (bool): Whether one epoch follows another, as in a training by iterations. Default: False.

    Attributes:
        number (int): The next batch's number.
        skipped (int): How many batches the next iteration over this begins behind.
    """

    def __init__(
        self,
        sampler: Sampler,
        batch_size: int,
        drop_last: bool = False,
        batch_sampler: dict | None = None,
        endless: bool = False,
    ):
        kind = batch_sampler or dict(type=BatchSampler, drop_last=False)
        if drop_last:
            kind = dict(kind, drop_last=True)
        self.batches = DATA_SAMPLERS.build(kind, default_args=dict(sampler=sampler, batch_size=batch_size))
        self.sampler, self.batch_size = sampler, batch_size  # hooks ask for them
        self.endless = endless
        self.number = self.skipped = 0

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[NumberedBatch]:
        skipped, self.skipped = self.skipped, 0
        for indices in islice(self._epochs(), skipped, None):
            batch = NumberedBatch(indices)
            batch.number = self.number
            self.number += 1
            yield batch

    def _epochs(self) -> Iterator[list[int]]:
        yield from self.batches
        for epoch in count(1) if self.endless and len(self) else ():
            self.sampler.set_epoch(epoch)
            yield from self.batches


def load_seeded(dataset: Dataset, seed: int, rank: int, batch: NumberedBatch) -> list:
    """Load a batch's samples, whose augmentation depends on the batch's number alone."""
    set_seeds(seed, rank, 1, batch.number)
    return [dataset[index] for index in batch]


class ResumableEpochLoop(EpochBasedTrainLoop):
    """mmengine's, but an epoch can begin in the middle.

    Attributes:
        position (int): How many of the epoch's batches were learned from.
    """

    position = 0

    def run_epoch(self) -> None:
        """Train for the rest of an epoch."""
        self.runner.call_hook('before_train_epoch')
        self.runner.model.train()
        for index, data_batch in enumerate(self.dataloader, self.position):
            self.position = index + 1
            self.run_iter(index, data_batch)
        self.position = 0
        self.runner.call_hook('after_train_epoch')
        self._epoch += 1
