"""What a run was and what it measured, written down by the run itself."""

import contextlib
import json
import math
import os
import platform
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.optim import AmpOptimWrapper
from mmengine.runner import EpochBasedTrainLoop, Runner

from ..checkpoints import fetch, sha256
from ..config import shipped_configs, unwrap
from ..errors import UserError
from ..files import write_text
from ..registry import HOOKS
from .changes import find_changes
from .hooks import FuseHook

ROOT = Path(__file__).parents[2]
KEY = 'record'  # of a checkpoint's meta


@HOOKS.register_module()
class RecordHook(Hook):
    """Write ``WORK_DIR/TIMESTAMP/record.json``, which :mod:`res2net_mm.results` reads.

    The main process writes it at the start of a training, after each evaluation and at the end. The
    checkpoints of a training have its record in their meta: so a test, or a training that resumes one,
    records the training that its weights are from. ``tools/`` add this hook to every run.

    Attributes:
        record (dict): What is written. ``changes`` are those to the shipped config of the run's name, None if
            there is none; ``progress`` counts epochs or iterations; metrics have the decimals that they were
            computed with, an undefined one (NaN) is None.
        options (dict): The ``--cfg-options`` given, which only a tool knows.
    """

    priority = 'LOW'  # before a network is fused, and before a checkpoint is saved for its metrics

    def __init__(self):
        self.record, self.options, self._meta = {}, {}, None

    @master_only
    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Take what the checkpoint says of its training."""
        meta = checkpoint.get('meta')
        self._meta = meta if isinstance(meta, dict) else {}

    @master_only
    def before_train(self, runner: Runner) -> None:
        """Record the start of a training."""
        loader, wrapper = runner.train_dataloader, runner.optim_wrapper
        batch = loader.batch_size or getattr(loader.batch_sampler, 'batch_size', None)
        images = batch and batch * getattr(wrapper, '_accumulative_counts', 1) * runner.world_size
        amp = torch.float16 if isinstance(wrapper, AmpOptimWrapper) else torch.float32
        self._start(runner, 'train', images)
        before = ((self._meta or {}).get(KEY) or {}).get('images_per_iteration', images)
        if runner._resume and before != images:
            runner.logger.warning(
                f'{images} images per iteration, {before} before the training was cut off: iterations and '
                'schedule are counted on as they were'
            )
        self.record.update(
            resumed=bool(runner.cfg.get('resume')) and self._meta is not None,
            dtype=_name(getattr(wrapper, 'cast_dtype', None) or amp),
            images_per_iteration=images,
            progress=_progress(runner),
            data=dict(train=_describe(loader.dataset)),
        )
        self._write(runner)

    @master_only
    def after_val_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        """Record a validation of a training."""
        if self.record.get('mode') == 'train':
            self.record['data']['val'] = _evaluated(runner, 'val')
            self._write(runner, progress=_progress(runner), metrics=_numbers(metrics))

    @master_only
    def after_val(self, runner: Runner) -> None:
        """Record that a training's validation, and the saving of its best checkpoint, have ended."""
        if self.record.get('mode') == 'train':
            self._write(runner, evaluated=_progress(runner)['reached'])

    @master_only
    def after_train(self, runner: Runner) -> None:
        """Record the end of a training."""
        self._write(runner, progress=_progress(runner), finished=_now())

    @master_only
    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Leave the record in the checkpoint, with the checkpoint's own progress."""
        meta, progress = checkpoint['meta'], _progress(runner)
        progress['reached'] = meta[progress['unit']]
        meta[KEY] = json.loads(_json({**self.record, 'progress': progress, 'metrics': None}))

    @master_only
    def before_test(self, runner: Runner) -> None:
        """Note the start of a test, whose record is written with its metrics."""
        self._start(runner, 'test')

    @master_only
    def after_test_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        """Record a test."""
        fuse = next((hook for hook in runner.hooks if isinstance(hook, FuseHook)), FuseHook())
        self.record.update(fused=fuse.fused, dtype=_name(fuse.dtype), finished=_now())
        self._write(runner, data=dict(test=_evaluated(runner, 'test')), metrics=_numbers(metrics))

    def _start(self, runner: Runner, mode: str, images_per_iteration: int | None = None) -> None:
        cfg, model = runner.cfg, runner.model
        while hasattr(model, 'module'):  # of several processes, and of --tta
            model = model.module
        path, checkpoint = cfg.get('load_from'), None
        if self._meta is not None:  # which file, and the training that it is from, where it tells
            checkpoint = dict(path=path, sha256=_sha256(path), training=self._meta.get(KEY))
        modules = ('torch', 'mmengine', 'mmcv', cfg.get('default_scope'), 'res2net_mm')
        self.record.update(
            mode=mode,
            config=Path(cfg.filename or 'unnamed').stem,
            options=self.options,
            changes=_changes(cfg, mode, images_per_iteration),
            fused=False,
            tta='module' in cfg.model,
            parameters=dict(model=_count(model), backbone=_count(getattr(model, 'backbone', None))),
            checkpoint=checkpoint,
            world_size=runner.world_size,
            device=torch.cuda.get_device_name() if torch.cuda.is_available() else platform.machine(),
            seed=runner.seed,
            revision=_revision(),
            versions={name: getattr(sys.modules.get(name), '__version__', None) for name in modules if name},
            started=_now(),
            finished=None,
            metrics=None,
        )

    def _write(self, runner: Runner, **news) -> None:
        self.record.update(news)
        write_text(Path(runner.log_dir, 'record.json'), _json(self.record) + '\n')


def _json(record: dict) -> str:
    return json.dumps(record, indent=1, ensure_ascii=False, default=str)


def _name(dtype: torch.dtype | str) -> str:
    return str(dtype).removeprefix('torch.')


def _now() -> str:
    return datetime.now().isoformat(timespec='milliseconds')


def _progress(runner: Runner) -> dict:
    if isinstance(runner.train_loop, EpochBasedTrainLoop):
        return dict(unit='epoch', reached=runner.epoch, planned=runner.max_epochs)
    return dict(unit='iter', reached=runner.iter, planned=runner.max_iters)


def _count(module: torch.nn.Module | None) -> int | None:
    return module and sum(p.numel() for p in module.parameters())


def _changes(cfg: Config, mode: str, images_per_iteration: int | None) -> dict | None:
    file = shipped_configs().get(Path(cfg.filename or '').stem)
    if file is None:
        return None
    shipped, part = Config.fromfile(file, import_custom_modules=False), 'test' if mode == 'test' else 'val'
    changes = find_changes(cfg, shipped, part, images_per_iteration)
    return changes if mode == 'train' else dict(evaluation=changes['evaluation'])


def _evaluated(runner: Runner, part: str) -> dict:
    loop, cfg = getattr(runner, f'{part}_loop'), runner.cfg
    described = _describe(loop.dataloader.dataset, loop.evaluator.metrics)
    if cfg.get('default_scope') == 'mmpose':  # whose boxes the key points were looked for in
        detected = unwrap(cfg[f'{part}_dataloader'].dataset).get('bbox_file')
        described['boxes'] = 'detected' if detected else 'ground truth'
    return described


def _describe(dataset, metrics: list = ()) -> dict:
    """A data set's type and size; one of key points lists persons, and its COCO object the images."""
    size, dataset = len(dataset), unwrap(dataset)
    coco = next((owner.coco for owner in (*metrics, dataset) if hasattr(owner, 'coco')), None)
    known = coco or next((m._coco_api for m in metrics if getattr(m, '_coco_api', None)), None)
    if getattr(dataset, '_indices', None) is not None:  # a part, of which its COCO object knows nothing
        coco = known = None
        infos = map(dataset.get_data_info, range(len(dataset)))
        size = len({info.get('img_id', number) for number, info in enumerate(infos)})
    return dict(
        type=type(dataset).__name__,
        folder=_folder(dataset),
        images=len(coco.imgs) if coco else size,
        instances=known and len(known.anns),
        classes=len((getattr(dataset, 'metainfo', None) or {}).get('classes') or ()) or None,
    )


def _folder(dataset) -> str | None:
    """The folder of a data set's images, by which sets of one type and size are told apart."""
    prefix = getattr(dataset, 'data_prefix', None) or {}
    folders = prefix.values() if isinstance(prefix, dict) else [prefix]
    folders = [*folders, getattr(dataset, 'data_root', None)]
    return next((os.path.normpath(folder) for folder in folders if folder and isinstance(folder, str)), None)


def _numbers(metrics: dict | None) -> dict[str, float | None]:
    """The numbers that metrics stand for: of 32 bits, with the digits of 32 and not those of 64."""
    numbers = {}
    for name, value in (metrics or {}).items():
        if not isinstance(value, str):
            with contextlib.suppress(TypeError, ValueError):  # lists, of each class
                value = float(value)
                single = float(str(np.float32(value)))
                value = single if float(np.float32(value)) == value else value
                numbers[name] = value if math.isfinite(value) else None
    return numbers


def _sha256(source: str) -> str | None:
    """A file's SHA-256; None if it isn't one that this package reads."""
    try:
        return sha256(fetch(source))
    except (OSError, UserError):
        return None


def _revision() -> str | None:
    """The checkout's commit, with ``-dirty`` if files were changed; None outside of one, or without git."""
    if not (ROOT / '.git').exists():  # an environment may lie in a checkout of something else
        return None
    command = ['git', '-C', ROOT, 'describe', '--always', '--dirty', '--abbrev=40', '--exclude=*']
    try:
        return subprocess.check_output(command, encoding='utf-8', stderr=subprocess.DEVNULL).strip()
    except (OSError, subprocess.CalledProcessError):
        return None
