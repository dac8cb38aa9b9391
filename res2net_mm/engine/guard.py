"""What ends a training early: a signal, a loss that isn't finite, data that doesn't come."""

import atexit
import math
import multiprocessing
import signal
from collections.abc import Callable

import torch
from mmengine.dist import get_world_size
from mmengine.hooks import CheckpointHook, EMAHook, Hook
from mmengine.optim import AmpOptimWrapper
from mmengine.runner import Runner
from torch import distributed
from torch.utils.data import DataLoader

from ..errors import SIGNALS, Interrupted, UserError
from ..registry import HOOKS
from .saving import save_interrupted


@HOOKS.register_module()
class GuardHook(Hook):
    """End a training in time: with a checkpoint on SIGTERM and SIGUSR1, before one if its loss isn't finite.

    It also ends a run whose next batch doesn't come within the data loader's ``timeout``: PyTorch waits
    without end for a worker that stops while it hands over a tensor.

    A signal is heeded at the end of the iteration, or at once in an evaluation of a single process; the
    training can then be resumed. All processes of a distributed training end together: they ask each other in
    each iteration, on the CPU.

    Args:
        patience (int): The loss may be NaN or infinite in fewer iterations in a row than this. Default: 1.
    """

    priority = 80  # behind the schedulers, before a checkpoint is saved

    def __init__(self, patience: int = 1):
        self.patience = patience
        self._bad = 0
        self._signal = self._group = None
        self._handlers = {}

    def before_train(self, runner: Runner) -> None:
        """Listen to signals."""
        for number in SIGNALS:
            self._handlers[number] = signal.signal(number, self._note)
        if hasattr(signal, 'SIGALRM'):  # not on Windows
            self._handlers[signal.SIGALRM] = signal.signal(signal.SIGALRM, _no_data)
        if get_world_size() > 1:
            self._group = distributed.new_group(backend='gloo')

    def after_train(self, runner: Runner) -> None:
        """Leave the signals to whom they were, also if the training was ended by an error."""
        _set_alarm(0)
        while self._handlers:
            signal.signal(*self._handlers.popitem())

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch=None) -> None:
        """Note that data has come."""
        _set_alarm(0)

    before_val_iter = before_train_iter

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """End the training if there is a reason.

        Raises:
            Interrupted: If a signal came.
            UserError: If a loss, or the gradient's norm, isn't finite.
        """
        bad = _not_finite(runner, outputs or {})
        self._bad = self._bad + 1 if bad else 0
        news = [bad if self._bad >= self.patience else '', self._signal or 0]
        if self._group is not None:
            news = _agree(news, self._group)
        if news[0]:
            lr = next(iter(runner.optim_wrapper.get_lr().values()))[0]
            raise UserError(
                f'{news[0]} in iteration {runner.iter + 1} (learning rate {lr:g}). {_last_saved(runner)} '
                'A lower learning rate or gradient clipping (optim_wrapper.clip_grad.max_norm=35) may help'
            )
        if news[1]:
            self._end(runner, news[1], dict(epoch=runner.epoch, iter=runner.iter + 1))
        _expect_data(runner.train_dataloader, batch_idx)

    def after_val_iter(self, runner: Runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """End an evaluation, which is made up for on resuming."""
        if not self._handlers:  # an evaluation alone: nobody waits for SIGALRM
            return
        if self._signal and self._group is None:
            for hook in runner.hooks:
                if isinstance(hook, EMAHook):
                    hook.after_val_epoch(runner)  # exchanges the weights back
            self._end(runner, self._signal, dict(epoch=runner.epoch, iter=runner.iter))
        _expect_data(runner.val_dataloader, batch_idx)

    def _note(self, number: int, frame) -> None:
        self._signal = number

    def _end(self, runner: Runner, number: int, meta: dict) -> None:
        for hook in runner.hooks:
            if isinstance(hook, CheckpointHook):
                path = save_interrupted(runner, hook, meta)
                if self._group is not None:  # the end of one process has a launcher kill that which saves
                    distributed.barrier(self._group)
                raise Interrupted(f'{signal.Signals(number).name}: saved {path}; --resume goes on from it')
        raise Interrupted(
            f'{signal.Signals(number).name}: nothing saved, as the config has no CheckpointHook'
        )


def start_worker(then: Callable[[int], None] | None, number: int) -> None:
    """Have a data worker leave the signals to the training: a whole process group may get them.

    Args:
        then (Callable): What else the worker starts with, if anything.
        number (int): The worker's number.
    """
    if hasattr(signal, 'pthread_sigmask'):
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    if then:
        then(number)


@atexit.register
def kill_workers() -> None:
    """End data workers, also stopped ones: SIGTERM alone, as Python sends it at the exit, is waited for."""
    workers = [child for child in multiprocessing.active_children() if child.daemon]
    if workers and hasattr(signal, 'SIGCHLD'):
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # PyTorch's handler raises where a worker is killed
    for worker in workers:
        worker.kill()


def _expect_data(loader: DataLoader, batch_idx: int) -> None:
    """Have SIGALRM come if the next batch doesn't, and PyTorch's own timeout, which is before it, neither."""
    if loader.timeout and (batch_idx + 1) % len(loader):
        _set_alarm(math.ceil(loader.timeout) + 5)


def _set_alarm(seconds: int) -> None:
    if hasattr(signal, 'SIGALRM'):
        signal.alarm(seconds)


def _no_data(number: int, frame) -> None:
    raise RuntimeError('DataLoader timed out')


def _not_finite(runner: Runner, outputs: dict) -> str:
    """Which losses aren't finite; mmengine has copied them from the device already, to log them."""
    names = [f'train/{name}' for name in outputs]
    if not isinstance(runner.optim_wrapper, AmpOptimWrapper):  # which skips such steps
        names.append(f'train/{getattr(runner.optim_wrapper, "grad_name", None)}')
    logged = runner.message_hub.log_scalars
    values = {name.removeprefix('train/'): logged[name].current() for name in names if name in logged}
    return ', '.join(f'{name} is {value}' for name, value in values.items() if not math.isfinite(value))


def _agree(news: list, group) -> list:
    """What any process has to say: the first text, and the greatest number."""
    flag = torch.tensor([bool(news[0]), news[1]], dtype=torch.int32)
    distributed.all_reduce(flag, distributed.ReduceOp.MAX, group)
    texts = [news[0]]
    if flag[0]:
        texts = [None] * get_world_size()
        distributed.all_gather_object(texts, news[0], group)
    return [next(filter(None, texts), ''), int(flag[1])]


def _last_saved(runner: Runner) -> str:
    saved = [h.last_ckpt for h in runner.hooks if isinstance(h, CheckpointHook) and h.last_ckpt]
    return f'The last good checkpoint is {saved[0]}.' if saved else 'No checkpoint was saved yet.'
