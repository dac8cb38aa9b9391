"""What options of ``tools/train.py`` and ``tools/test.py`` change in a config."""

import os
from datetime import timedelta

import torch
from mmengine.config import Config, ConfigDict

from ..config import unwrap
from ..errors import UserError

# What each toolbox's default_hooks.visualization is to be told, and what it calls the folder.
DRAWING = {
    'mmdet': (dict(draw=True), 'test_out_dir'),
    'mmseg': (dict(draw=True), None),  # its visualizer's backends know it
    'mmpose': (dict(enable=True), 'out_dir'),
    'mmpretrain': (dict(enable=True, interval=1), 'out_dir'),
}


def use_gloo(cfg: Config) -> None:
    """Join several processes on CPUs, where mmengine's own start of them asks for a GPU."""
    if not torch.distributed.is_initialized():
        seconds = ((cfg.get('env_cfg') or {}).get('dist_cfg') or {}).get('timeout')
        limit = dict(timeout=timedelta(seconds=seconds)) if seconds else {}
        torch.distributed.init_process_group('gloo', **limit)
    wrapper = dict(
        type='MMDistributedDataParallel',
        broadcast_buffers=False,
        find_unused_parameters=cfg.get('find_unused_parameters', False),
    )
    cfg.sync_bn = None  # runs on GPUs only
    cfg.model_wrapper_cfg = {**wrapper, **(cfg.get('model_wrapper_cfg') or {}), 'device_ids': None}


def use_amp(cfg: Config) -> None:
    """Train in mixed precision: float16 with loss scaling on a GPU, bfloat16 on a CPU."""
    kind = cfg.optim_wrapper.get('type', 'OptimWrapper')
    kind = getattr(kind, '__name__', kind)  # a class, in a config that imports it
    if kind == 'AmpOptimWrapper':
        return
    if kind != 'OptimWrapper':
        raise UserError(f"--amp can't replace the config's optim_wrapper.type {kind!r}")
    if torch.cuda.is_available():
        cfg.optim_wrapper.update(type='AmpOptimWrapper', loss_scale='dynamic')
    else:
        cfg.optim_wrapper.type = 'res2net_mm.CPUAmpOptimWrapper'


def scale_lr(cfg: Config) -> None:
    """Scale the learning rate to the batch size."""
    if 'base_batch_size' not in (cfg.get('auto_scale_lr') or {}):
        raise UserError(
            '--auto-scale-lr needs the batch size that the learning rate is meant for: '
            'auto_scale_lr = dict(base_batch_size=16) in the config'
        )
    cfg.auto_scale_lr.enable = True
    # mmengine scales by a batch's images, not by those of all that are accumulated.
    cfg.auto_scale_lr.base_batch_size /= cfg.optim_wrapper.get('accumulative_counts', 1)


def use_tta(cfg: Config) -> None:
    """Test with the config's test-time augmentation."""
    for key in ('tta_model', 'tta_pipeline'):
        if key not in cfg:
            raise UserError(f'--tta: the config has no {key}')
    cfg.model = ConfigDict(**cfg.tta_model, module=cfg.model)
    unwrap(cfg.test_dataloader.dataset).pipeline = cfg.tta_pipeline


def draw(cfg: Config, folder: str) -> None:
    """Draw each test image's predictions (and ground truth, where the toolbox does) into a folder."""
    hook = cfg.get('default_hooks', {}).get('visualization')
    if hook is None or cfg.get('default_scope') not in DRAWING:
        raise UserError('--show-dir: the config has no default_hooks.visualization of a known toolbox')
    options, where = DRAWING[cfg.default_scope]
    hook.update(options)
    if where:
        hook[where] = os.path.abspath(folder)
    else:
        for backend in cfg.visualizer.vis_backends:
            backend.img_save_dir = os.path.abspath(folder)


def dump(cfg: Config, file: str) -> None:
    """Have the test write its predictions to a pickle file."""
    if not file.endswith(('.pkl', '.pickle')):
        raise UserError(f'--out {file}: the name must end in .pkl or .pickle')
    kind = 'DumpDetResults' if cfg.get('default_scope') == 'mmdet' else 'DumpResults'
    cfg.test_evaluator = [*as_list(cfg.test_evaluator), dict(type=kind, out_file_path=file)]


def as_list(value) -> list:
    """What a config gives by itself or in a list, in a list."""
    return list(value) if isinstance(value, (list, tuple)) else [value]
