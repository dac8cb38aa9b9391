"""Runs of ``tools/train.py`` and ``tools/test.py``: from their arguments to mmengine's Runner."""

import argparse
import gc
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from mmengine.config import Config, ConfigDict
from mmengine.dist import is_main_process
from mmengine.runner import Runner

from . import preflight
from .checkpoints import local_rank, safe_loading
from .config import CfgOptions, load_config
from .errors import UserError
from .registry import HOOKS
from .results import print_metrics

# What each toolbox's default_hooks.visualization is to be told, and what it calls the folder.
DRAWING = {
    'mmdet': (dict(draw=True), 'test_out_dir'),
    'mmseg': (dict(draw=True), None),  # its visualizer's backends know it
    'mmpose': (dict(enable=True), 'out_dir'),
    'mmpretrain': (dict(enable=True, interval=1), 'out_dir'),
}


def parser(description: str) -> argparse.ArgumentParser:
    """What both tools take."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument('config', help='config file, or res2net_mm::NAME.py for a shipped one')
    parser.add_argument('--work-dir', help='where logs, metrics and checkpoints go (work_dirs/CONFIG)')
    parser.add_argument(
        '--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none', help='job launcher'
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=CfgOptions,
        metavar='K=V',
        help='change the config, such as model.backbone.depth=101 train_dataloader.batch_size=4',
    )
    parser.add_argument('--local_rank', '--local-rank', type=int, help=argparse.SUPPRESS)
    return parser


def main(run: Callable[[argparse.Namespace], None], args: argparse.Namespace) -> None:
    """Run a tool; an error that is the user's to mend is shown as a message, without a traceback."""
    if args.local_rank is not None:
        os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    # faster-coco-eval logs the table that pycocotools prints.
    coco = logging.getLogger('faster_coco_eval')
    coco.setLevel(logging.INFO)
    coco.addHandler(logging.StreamHandler(sys.stdout))
    try:
        with safe_loading():
            run(args)
        if torch.distributed.is_initialized():
            # The group's threads now and then abort a process that ends before they do; a model that isn't
            # collected yet still holds the group.
            gc.collect()
            torch.distributed.destroy_process_group()
    except UserError as error:
        if local_rank() == 0:
            print(f'{Path(sys.argv[0]).name}: error: {error}', file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        if local_rank() == 0:
            print('\ninterrupted; train.py --resume goes on from the last checkpoint', file=sys.stderr)
        sys.exit(130)


def prepare(args: argparse.Namespace) -> Config:
    """Read a tool's config and set what ``--launcher`` and ``--work-dir`` say."""
    cfg = load_config(args.config, args.cfg_options)
    if not cfg.get('model'):
        raise UserError(f'{args.config} has no model')
    cfg.launcher = args.launcher
    if args.work_dir:
        cfg.work_dir = args.work_dir
    elif not cfg.get('work_dir'):
        cfg.work_dir = str(Path('work_dirs', Path(args.config.partition('::')[2] or args.config).stem))
    if args.launcher == 'pytorch' and not torch.cuda.is_available():
        use_gloo(cfg)
    return cfg


def use_gloo(cfg: Config) -> None:
    """Join several processes on CPUs, where mmengine's own start of them asks for a GPU."""
    if not torch.distributed.is_initialized():
        torch.distributed.init_process_group('gloo')
    wrapper = dict(
        type='MMDistributedDataParallel',
        broadcast_buffers=False,
        find_unused_parameters=cfg.get('find_unused_parameters', False),
    )
    cfg.sync_bn = None  # runs on GPUs only
    cfg.model_wrapper_cfg = {**wrapper, **(cfg.get('model_wrapper_cfg') or {}), 'device_ids': None}


def train(args: argparse.Namespace) -> None:
    """Train, as ``tools/train.py`` was asked to.

    Raises:
        UserError: If something that the config or the arguments name isn't there.
    """
    cfg = prepare(args)
    if args.amp:
        use_amp(cfg)
    if args.auto_scale_lr:
        if 'base_batch_size' not in (cfg.get('auto_scale_lr') or {}):
            raise UserError(
                '--auto-scale-lr needs the batch size that the learning rate is meant for: '
                'auto_scale_lr = dict(base_batch_size=16) in the config'
            )
        cfg.auto_scale_lr.enable = True
    checkpoint = None
    if args.resume:
        cfg.resume = True
        cfg.load_from = checkpoint = None if args.resume == 'auto' else args.resume
    preflight.check(cfg, 'train', checkpoint)
    runner = Runner.from_cfg(cfg)
    if args.channels_last:  # how, not what, it learns: nothing for the config that the run writes down
        runner.register_hook(HOOKS.build(dict(type='res2net_mm.ChannelsLastHook')))
    runner.train()
    if is_main_process():
        print(f'\nLogs and curves: {runner.work_dir}\nCheckpoint: {last_checkpoint(runner.work_dir)}')


def test(args: argparse.Namespace) -> None:
    """Test, as ``tools/test.py`` was asked to, and print the metrics.

    Raises:
        UserError: If something that the config or the arguments name isn't there.
    """
    cfg = prepare(args)
    cfg.load_from = args.checkpoint
    cfg.resume = False
    if not args.no_fuse:
        hook = dict(type='res2net_mm.InferenceFormHook', half=args.half)
        cfg.custom_hooks = [*(cfg.get('custom_hooks') or []), hook]
    elif args.half:
        raise UserError('--half needs fused networks, which --no-fuse turns off')
    if args.tta:
        use_tta(cfg)
    if args.show_dir:
        draw(cfg, args.show_dir)
    preflight.check(cfg, 'test', args.checkpoint)
    if args.out:
        dump(cfg, args.out)
    runner = Runner.from_cfg(cfg)
    load = runner.load_checkpoint

    def load_whole(filename, *args, **kwargs):
        try:
            return load(filename, *args, **{**kwargs, 'strict': True})
        except RuntimeError as error:
            raise UserError(f"{filename} is not of this config's model. {error}") from None

    runner.load_checkpoint = load_whole  # mmengine would test what is left of a misfit, too
    metrics = runner.test()
    if is_main_process():
        print()
        print_metrics(metrics, Path(args.config).stem)
        print(f'Checkpoint: {args.checkpoint}\nLogs: {runner.log_dir}')
        if args.show_dir:
            print(f'Pictures: {os.path.abspath(args.show_dir)}')


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


def use_tta(cfg: Config) -> None:
    """Test with the config's test-time augmentation."""
    for key in ('tta_model', 'tta_pipeline'):
        if key not in cfg:
            raise UserError(f'--tta: the config has no {key}')
    cfg.model = ConfigDict(**cfg.tta_model, module=cfg.model)
    dataset = cfg.test_dataloader.dataset
    while 'dataset' in dataset:
        dataset = dataset.dataset
    dataset.pipeline = cfg.tta_pipeline


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
    evaluators = cfg.test_evaluator
    kind = 'DumpDetResults' if cfg.get('default_scope') == 'mmdet' else 'DumpResults'
    cfg.test_evaluator = [
        *(evaluators if isinstance(evaluators, (list, tuple)) else [evaluators]),
        dict(type=kind, out_file_path=file),
    ]


def last_checkpoint(work_dir: str) -> str:
    """Path of the newest checkpoint in a work directory, as mmengine recorded it."""
    record = Path(work_dir, 'last_checkpoint')
    return record.read_text().strip() if record.exists() else f'none in {work_dir}'
