"""mmengine's Runner, made for trainings that are cut off and for files that don't fit."""

import copy
from contextlib import nullcontext
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from mmengine.dist import get_rank, master_only
from mmengine.evaluator import Evaluator
from mmengine.hooks import CheckpointHook
from mmengine.runner import BaseLoop, Runner
from torch import nn
from torch.utils.data import DataLoader

from ..checkpoints import loading_whole, write_sha256
from ..datasets.images import SkippedImagesHook, name_bad_images, skipped_file
from ..errors import UserError
from ..files import replacing
from ..lookup import class_name, find_registered
from .guard import GuardHook, start_worker
from .repeatable import NumberedBatchSampler, ResumableEpochLoop, SeedHook, load_seeded
from .saving import MissedEvaluationHook, SafeCheckpointHook

DATA_TIMEOUT = 600  # seconds that a data worker may take for a batch


class SafeRunner(Runner):
    """mmengine's Runner, whose checkpoints are whole and whose trainings can be resumed exactly.

    In place of mmengine's ``CheckpointHook`` and ``EpochBasedTrainLoop`` it has :class:`SafeCheckpointHook`
    and :class:`ResumableEpochLoop`, and it adds the other hooks imported here. A data worker that doesn't
    answer for ten minutes ends the run; ``timeout`` in a data loader's config changes that. Images are read
    by :class:`res2net_mm.LoadImageFromFile`.

    Attributes:
        strict (bool): Whether a checkpoint of another model is refused, of which mmengine takes what fits.
    """

    strict = True

    def register_hooks(self, default_hooks: dict | None = None, custom_hooks: list | None = None) -> None:
        """Register a config's hooks and this package's."""
        default_hooks = dict(default_hooks or {})
        saving = default_hooks.setdefault('checkpoint', dict(type=CheckpointHook))
        if isinstance(saving, dict) and class_name(saving.get('type')) == 'CheckpointHook':
            default_hooks['checkpoint'] = dict(saving, type=SafeCheckpointHook)
        super().register_hooks(default_hooks, custom_hooks)
        for kind in (GuardHook, SeedHook, MissedEvaluationHook, SkippedImagesHook):
            if not any(isinstance(hook, kind) for hook in self.hooks):
                self.register_hook(kind())

    def build_dataloader(self, dataloader: DataLoader | dict, *args, **kwargs) -> DataLoader:
        """Build a data loader that names bad images and waits a limited time for its workers, if any."""
        if isinstance(dataloader, dict):
            dataloader, of_workers = copy.deepcopy(dataloader), dict(timeout=DATA_TIMEOUT)
            name_bad_images(dataloader, skipped_file(self))
            if dataloader.get('num_workers'):
                dataloader = of_workers | dataloader
            else:
                for key in ('persistent_workers', 'prefetch_factor', 'timeout'):
                    dataloader.pop(key, None)
        loader = Runner.build_dataloader(dataloader, *args, **kwargs)
        if loader.num_workers:
            loader.worker_init_fn = partial(start_worker, loader.worker_init_fn)
        return loader

    def build_evaluator(self, evaluator: Evaluator | dict | list[dict]) -> Evaluator:
        """Build an evaluator; OneDL's MMDetection has a faster way to CocoMetric's numbers."""
        faster = find_registered('FasterCocoMetric') if find_spec('faster_coco_eval') else None

        def sooner(metric):
            if not faster or not isinstance(metric, dict):
                return metric
            kind = metric.get('type')
            found = find_registered(kind) if isinstance(kind, str) else kind
            return dict(metric, type=faster) if found is faster.__base__ else metric

        many = isinstance(evaluator, list)
        return super().build_evaluator([*map(sooner, evaluator)] if many else sooner(evaluator))

    def build_train_loop(self, loop: BaseLoop | dict) -> BaseLoop:
        """Build a training's loop, whose batches know their number in the training."""
        config = self._train_dataloader
        if isinstance(loop, BaseLoop) or not isinstance(config, dict):
            return super().build_train_loop(loop)
        loop, loader = dict(loop), dict(config)
        kind = class_name(
            loop.get('type', 'EpochBasedTrainLoop' if loop.get('by_epoch') else 'IterBasedTrainLoop')
        )
        if kind == 'EpochBasedTrainLoop':
            loop.pop('by_epoch', None)
            loop['type'] = ResumableEpochLoop
        arguments = {key: loader.pop(key) for key in ('drop_last', 'batch_sampler') if key in loader}
        loader['batch_sampler'] = dict(
            type=NumberedBatchSampler, endless=kind == 'IterBasedTrainLoop', **arguments
        )
        per_rank = self._randomness_cfg.get('diff_rank_seed', False)
        self._train_dataloader = built = self.build_dataloader(loader, self.seed, per_rank)
        built.dataset.__getitems__ = partial(load_seeded, built.dataset, self.seed, get_rank())
        try:
            return super().build_train_loop(loop)
        finally:
            self._train_dataloader = config  # where mmengine looks for the batch size

    def _init_model_weights(self) -> None:
        """Leave a model as it is if a checkpoint is to fill it, whole: initial weights may not be there."""
        if not (self._resume and self._load_from):  # without a file mmengine looks for one, and may find none
            super()._init_model_weights()

    def train(self) -> nn.Module:
        """Train, and end the data workers."""
        try:
            return super().train()
        finally:
            for hook in self.hooks:
                if isinstance(hook, GuardHook):
                    hook.after_train(self)
            self._end_workers()

    def test(self) -> dict:
        """Test, and end the data workers."""
        try:
            return super().test()
        finally:
            self._end_workers()

    def _end_workers(self) -> None:
        """PyTorch would wait five seconds for each, as their loader is part of a reference cycle."""
        for loop in (self._train_loop, self._val_loop, self._test_loop):
            iterator = getattr(getattr(loop, 'dataloader', None), '_iterator', None)
            if hasattr(iterator, '_shutdown_workers'):
                iterator._shutdown_workers()
                loop.dataloader._iterator = None  # of the next run it is another

    @master_only
    def save_checkpoint(self, out_dir: str, filename: str, *args, **kwargs) -> None:
        """Save a checkpoint whole, with its SHA-256 beside it.

        Raises:
            UserError: If it can't be written.
        """
        if '://' in str(out_dir):
            super().save_checkpoint(out_dir, filename, *args, **kwargs)
            return
        path = Path(out_dir, filename)
        try:
            with replacing(path) as part:
                super().save_checkpoint(out_dir, part.name, *args, **kwargs)
                path.with_name(f'{path.name}.sha256').unlink(missing_ok=True)  # of what is replaced
            write_sha256(path)
        except OSError as error:
            raise UserError(f'{path} was not saved: {error.strerror}. Those before it are whole.') from None

    def resume(self, filename: str, *args, **kwargs) -> None:
        """Go on with a training.

        Raises:
            UserError: If the checkpoint is of another one.
        """
        try:
            super().resume(filename, *args, **kwargs)
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(
                f"{filename} is of another training, which can't be resumed here: {error}"
            ) from None

    def load_checkpoint(self, filename, map_location='cpu', strict=False, **kwargs) -> dict:
        """Load a checkpoint; whole, if :attr:`strict`.

        Raises:
            CheckpointError: If it doesn't fit.
        """
        with loading_whole(filename) if strict or self.strict else nullcontext():
            return super().load_checkpoint(filename, map_location, **kwargs)
