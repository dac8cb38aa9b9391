"""What ``tools/train.py`` and ``tools/test.py`` do, from their options to mmengine's Runner."""

import argparse
import gc
import logging
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.runner import Runner

from .. import preflight
from ..cfg_options import CfgOptions
from ..checkpoints import local_rank, safe_loading
from ..config import load_config
from ..errors import UserError
from ..results.metrics import print_metrics
from . import options
from .hooks import ChannelsLastHook, CompileHook, FuseHook
from .record import RecordHook


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


def main(
    run: Callable[..., None],
    config: str,
    work_dir: str | None,
    launcher: str,
    cfg_options: dict | None,
    local_rank: int | None,
    **arguments,
) -> None:
    """Call :func:`train` or :func:`test`; errors that are the user's to mend are shown as messages."""
    if local_rank is not None:
        os.environ.setdefault('LOCAL_RANK', str(local_rank))
    # faster-coco-eval logs the table that pycocotools prints.
    coco = logging.getLogger('faster_coco_eval')
    coco.setLevel(logging.INFO)
    coco.addHandler(logging.StreamHandler(sys.stdout))
    try:
        with safe_loading():
            run(prepare(config, work_dir, launcher, cfg_options), cfg_options=cfg_options, **arguments)
        if torch.distributed.is_initialized():
            # The group's threads now and then abort a process that ends before they do; a model that isn't
            # collected yet still holds the group.
            gc.collect()
            torch.distributed.destroy_process_group()
    except UserError as error:
        _leave(f'{Path(sys.argv[0]).name}: error: {error}', 2)
    except KeyboardInterrupt:
        _leave('\ninterrupted; train.py --resume goes on from the last checkpoint, if there is one', 130)


def _leave(message: str, code: int) -> None:
    if local_rank() == 0:
        print(message, file=sys.stderr)
    sys.exit(code)


def prepare(config: str, work_dir: str | None, launcher: str, cfg_options: dict | None) -> Config:
    """Read a tool's config and set what ``--launcher`` and ``--work-dir`` say."""
    cfg = load_config(config, cfg_options)
    if not cfg.get('model'):
        raise UserError(f'{config} has no model')
    cfg.launcher = launcher
    cfg.work_dir = work_dir or cfg.get('work_dir') or str(Path('work_dirs', Path(cfg.filename).stem))
    if launcher == 'pytorch' and not torch.cuda.is_available():
        options.use_gloo(cfg)
    return cfg


def train(
    cfg: Config,
    cfg_options: dict | None = None,
    resume: str | None = None,
    amp: bool = False,
    channels_last: bool = False,
    compile: bool = False,
    auto_scale_lr: bool = False,
) -> None:
    """Train a prepared config; the other arguments are options of ``tools/train.py``.

    Raises:
        UserError: If something that the config or the arguments name isn't there.
    """
    if amp:
        options.use_amp(cfg)
    if auto_scale_lr:
        options.scale_lr(cfg)
    if compile and not any(map(shutil.which, (os.environ.get('CXX', 'c++'), 'g++', 'clang++'))):
        raise UserError('--compile needs a C++ compiler (g++ or clang++), which PyTorch calls')
    checkpoint = None if resume == 'auto' else resume
    if resume:
        cfg.resume, cfg.load_from = True, checkpoint
    preflight.check(cfg, 'train', checkpoint)
    runner = (StrictRunner if resume else Runner).from_cfg(cfg)
    if channels_last:  # how, not what, it learns: nothing for the config that the run writes down
        runner.register_hook(ChannelsLastHook())
    if compile:
        runner.register_hook(CompileHook())
    record(runner, cfg_options)
    runner.train()
    if is_main_process():
        print(f'\nLogs and curves: {runner.work_dir}\nCheckpoint: {last_checkpoint(runner.work_dir)}')


class StrictRunner(Runner):
    """mmengine's, but it refuses a checkpoint of another model, of which mmengine takes what fits."""

    def load_checkpoint(self, filename, map_location='cpu', strict=True, **kwargs) -> dict:
        """Load a checkpoint whole.

        Raises:
            UserError: If it doesn't fit.
        """
        try:
            return super().load_checkpoint(filename, map_location, True, **kwargs)
        except RuntimeError as error:
            raise UserError(f"{filename} is not of this config's model. {error}") from None


def test(
    cfg: Config,
    checkpoint: str,
    cfg_options: dict | None = None,
    out: str | None = None,
    show_dir: str | None = None,
    tta: bool = False,
    no_fuse: bool = False,
    half: bool = False,
    cuda_graph: bool = False,
) -> None:
    """Test a prepared config and print the metrics; the other arguments are those of ``tools/test.py``.

    Raises:
        UserError: If something that the config or the arguments name isn't there.
    """
    for option, given in {'--half': half, '--cuda-graph': cuda_graph}.items():
        if given and no_fuse:
            raise UserError(f'{option} needs fused networks, which --no-fuse turns off')
    if cuda_graph and not torch.cuda.is_available():
        raise UserError('--cuda-graph needs a GPU, and PyTorch sees none')
    cfg.load_from, cfg.resume = checkpoint, False
    if tta:
        options.use_tta(cfg)
    if show_dir:
        options.draw(cfg, show_dir)
    preflight.check(cfg, 'test', checkpoint)
    if out:
        options.dump(cfg, out)
    runner = StrictRunner.from_cfg(cfg)
    recorded = record(runner, cfg_options)
    if not no_fuse:
        runner.register_hook(FuseHook(half, cuda_graph))
    metrics = runner.test()
    if is_main_process():
        print()
        print_metrics(metrics, f'{recorded["config"]}, {recorded["data"]["test"]["images"]:,} images')
        print(f'Checkpoint: {checkpoint}\nLogs: {runner.log_dir}')
        if show_dir:
            print(f'Pictures: {os.path.abspath(show_dir)}')


def record(runner: Runner, cfg_options: dict | None) -> dict:
    """Have a run recorded, also of a config that doesn't ask for it; return what will be its record."""
    hook = next((hook for hook in runner.hooks if isinstance(hook, RecordHook)), None)
    if hook is None:
        runner.register_hook(hook := RecordHook())
    hook.options = cfg_options or {}
    return hook.record


def last_checkpoint(work_dir: str) -> str:
    """Path of the newest checkpoint in a work directory, as mmengine recorded it."""
    file = Path(work_dir, 'last_checkpoint')
    return file.read_text().strip() if file.exists() else f'none in {work_dir}'
