"""Checkpoints of a training: written whole, never replaced by less, found again."""

import json
import os
from pathlib import Path

import filelock
import torch
from mmengine.dist import all_reduce, get_world_size, is_main_process
from mmengine.hooks import CheckpointHook, Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import nn

from ..checkpoints import CheckpointError, check_file, read_training
from ..errors import UserError
from ..files import write_text
from .repeatable import NumberedBatchSampler

INTERRUPTED = 'interrupted.pth'  # saved on a signal, and gone when a regular checkpoint follows
GRADIENTS = 'gradients'  # a checkpoint's key


class SafeCheckpointHook(CheckpointHook):
    """mmengine's, but a checkpoint is deleted only when its successor stands, and resuming loses nothing.

    A checkpoint knows how many of an epoch's batches were learned from; one saved between two steps of the
    optimizer has the gradients accumulated. One whose weights aren't finite is not saved.
    """

    def before_train(self, runner: Runner) -> None:
        """Take up what a resumed training saved, in whatever folder it is now."""
        super().before_train(runner)
        self._outdated, self._backend = [], self.file_backend
        self.file_backend = _Listing(self._backend, self._outdated)
        if getattr(self, 'best_ckpt_path', None):
            self.best_ckpt_path = self._path(os.path.basename(self.best_ckpt_path))
        for key, path in getattr(self, 'best_ckpt_path_dict', {}).items():
            self.best_ckpt_path_dict[key] = path and self._path(os.path.basename(path))
        if last := runner.message_hub.runtime_info.get('last_ckpt'):
            self.last_ckpt = self._path(os.path.basename(last))

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Add what mmengine leaves out.

        Raises:
            UserError: If a weight isn't finite.
        """
        for name, weight in checkpoint['state_dict'].items():
            if not torch.isfinite(weight).all():
                raise UserError(f'{name} is not finite after iteration {runner.iter + 1}: nothing is saved')
        checkpoint['meta']['position'] = getattr(runner.train_loop, 'position', 0)
        if 'optimizer' in checkpoint and _between_steps(runner):
            named = _model(runner).named_parameters()
            checkpoint[GRADIENTS] = {name: p.grad.cpu() for name, p in named if p.grad is not None}

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Go on behind the batches that were learned from, with the gradients accumulated."""
        if not runner._resume:
            return
        loop, meta = runner.train_loop, checkpoint['meta']
        batches = loop.dataloader.batch_sampler
        if isinstance(batches, NumberedBatchSampler):
            batches.number = meta['iter']
            batches.skipped = meta['iter'] if batches.endless else meta.get('position', 0)
            if batches.endless:
                loop.dataloader_iterator.skip_iter = lambda iterations: None  # would load them
            else:
                loop.position = batches.skipped
        parameters = dict(_model(runner).named_parameters())
        for name, gradient in checkpoint.get(GRADIENTS, {}).items():
            parameters[name].grad = gradient.to(parameters[name].device)

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        _average_gradients(runner)
        if self.max_keep_ckpts > 0 and step not in self.keep_ckpt_ids:
            if len(self.keep_ckpt_ids) == self.max_keep_ckpts:
                self._outdated.append(self._path(self.filename_tmpl.format(self.keep_ckpt_ids[0])))
            self.keep_ckpt_ids.append(step)  # a deque of that length: the first one falls out
            runner.message_hub.update_info('keep_ckpt_ids', list(self.keep_ckpt_ids))
        name = self.filename_tmpl.format(step)
        self.last_ckpt = self._path(name)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        runner.save_checkpoint(
            self.out_dir,
            name,
            self.file_client_args,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
            backend_args=self.backend_args,
            **self.args,
        )
        _name_last(runner, self.last_ckpt)
        self._remove(self._path(INTERRUPTED), *self._outdated)

    def _save_best_checkpoint(self, runner: Runner, metrics: dict) -> None:
        super()._save_best_checkpoint(runner, metrics)
        self._remove(*self._outdated)

    def _remove(self, *paths: str) -> None:
        for path in paths if is_main_process() else ():
            for file in (path, f'{path}.sha256'):
                if self._backend.isfile(file):
                    self._backend.remove(file)
        self._outdated.clear()

    def _path(self, name: str) -> str:
        return self.file_backend.join_path(self.out_dir, name)


def save_interrupted(runner: Runner, hook: CheckpointHook, meta: dict) -> str:
    """Save a training that ends before its time, where its hook saves; return the file's path."""
    _average_gradients(runner)
    runner.save_checkpoint(hook.out_dir, INTERRUPTED, by_epoch=False, meta=meta)
    path = hook.file_backend.join_path(hook.out_dir, INTERRUPTED)
    _name_last(runner, path)
    return path


def _name_last(runner: Runner, path: str) -> None:
    """Write down which checkpoint mmengine's Runner resumes from."""
    if is_main_process():
        write_text(Path(runner.work_dir, 'last_checkpoint'), path)


class _Listing:
    """A file backend that defers removals: the paths are added to a list."""

    def __init__(self, backend, removed: list[str]):
        self._backend, self.remove = backend, removed.append

    def __getattr__(self, name: str):
        return getattr(self._backend, name)


class MissedEvaluationHook(Hook):
    """Evaluate on resuming, if a training was cut off before the evaluation that was due had ended."""

    priority = 'LOWEST'  # when the other hooks are ready

    def before_train(self, runner: Runner) -> None:
        """Evaluate if need be."""
        loop = runner.train_loop
        by_epoch = hasattr(loop, 'position')
        reached, planned = (loop.epoch, loop.max_epochs) if by_epoch else (loop.iter, loop.max_iters)
        if not (runner._resume and reached and runner.val_loop) or getattr(loop, 'position', 0):
            return
        due = reached >= loop.val_begin and (reached % loop.val_interval == 0 or reached == planned)
        if due and not any(
            _evaluated(path) >= reached for path in Path(runner.work_dir).glob('*/record.json')
        ):
            runner.logger.info('The evaluation that was due when the training was cut off:')
            runner.val_loop.run()


def _evaluated(path: Path) -> int:
    try:
        return int(json.loads(path.read_text(encoding='utf-8')).get('evaluated') or 0)
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return 0


def find_checkpoint(folder: Path) -> tuple[Path | None, list[str]]:
    """The checkpoint to resume a training from.

    Args:
        folder (Path): Where the training saved checkpoints.

    Returns:
        tuple[Path | None, list[str]]: The whole one that got furthest, and why others were passed over.
    """
    found, problems = [], []
    for path in folder.glob('*.pth'):
        if path.name.startswith('best_'):  # has no optimizer
            continue
        try:
            found.append((read_training(path)['meta']['iter'], path.stat().st_mtime, path))
        except CheckpointError as error:
            problems.append(str(error))
    for _, _, path in sorted(found, reverse=True):
        try:
            check_file(path)
            return path, problems
        except CheckpointError as error:
            problems.append(str(error))
    return None, problems


def lock(work_dir: str) -> filelock.FileLock:
    """Lock a work directory until this process ends, and remove the temporary files of a killed training.

    Raises:
        UserError: If another one is in it, or it can't be written.
    """
    folder = Path(work_dir)
    held = filelock.FileLock(folder / '.lock')
    try:
        folder.mkdir(parents=True, exist_ok=True)
        held.acquire(timeout=0)
        for part in folder.glob('.*.part'):
            part.unlink()
    except filelock.Timeout:
        raise UserError(f'another training writes to {folder}; give this one another --work-dir') from None
    except OSError as error:
        raise UserError(f"can't write to the work directory {folder}: {error.strerror}") from None
    return held


def _model(runner: Runner) -> nn.Module:
    return runner.model.module if is_model_wrapper(runner.model) else runner.model


def _between_steps(runner: Runner) -> bool:
    wrapper = runner.optim_wrapper
    return getattr(wrapper, '_accumulative_counts', 1) > 1 and not wrapper.should_update()


def _average_gradients(runner: Runner) -> None:
    """Give all processes the same accumulated gradients, so that one process can save them.

    The step that follows is the same: it averages over the processes anyway.
    """
    if get_world_size() > 1 and _between_steps(runner):
        for parameter in _model(runner).parameters():
            if parameter.requires_grad:
                gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
                all_reduce(gradient, 'mean')
                if gradient.any():  # of a parameter that another process used
                    parameter.grad = gradient
