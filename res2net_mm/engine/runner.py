"""What ``tools/train.py`` and ``tools/test.py`` do, from their options to mmengine's Runner."""

import gc
import hashlib
import logging
import math
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from mmengine.config import Config
from mmengine.device import get_device
from mmengine.dist import is_main_process
from mmengine.runner import Runner
from torch import distributed

from .. import checks, preflight
from ..checkpoints import LOCAL_RANKS, fetch, last_checkpoint, local_rank, read_training, safe_loading
from ..checks.start import doubts
from ..config import load_config
from ..errors import UserError, explain
from ..results.metrics import print_metrics
from . import options
from .graphs import CudaGraphHook
from .guard import kill_workers
from .hooks import ChannelsLastHook, CompileHook, FuseHook
from .record import RecordHook
from .safe_runner import SafeRunner
from .saving import find_checkpoint, lock


def main(
    run: Callable[..., None],
    config: str,
    work_dir: str | None,
    launcher: str,
    cfg_options: dict | None,
    **arguments,
) -> None:
    """Call :func:`train` or :func:`test`; what several processes have to say alike, one says."""
    number = arguments.pop('local_rank')
    if number is not None:
        os.environ.setdefault('LOCAL_RANK', str(number))
    if launcher == 'none':
        leave_others()
    # faster-coco-eval logs the table that pycocotools prints.
    coco = logging.getLogger('faster_coco_eval')
    coco.setLevel(logging.INFO)
    coco.addHandler(logging.StreamHandler(sys.stdout))
    try:
        with safe_loading():
            run(prepare(config, work_dir, launcher, cfg_options), cfg_options=cfg_options, **arguments)
        if distributed.is_initialized():
            # The group's threads now and then abort a process that ends before they do; a model that isn't
            # collected yet still holds the group.
            gc.collect()
            distributed.destroy_process_group()
    except BaseException as error:
        kill_workers()
        if interrupt := _interrupt(error):
            if local_rank() == 0:
                raise interrupt from None
            sys.exit(*(interrupt.args or [130]))
        message = str(error) if isinstance(error, UserError) else explain(error)
        if message and not _is_news(message):
            sys.exit(getattr(error, 'code', UserError.code))
        raise


def _is_news(message: str) -> bool:
    """Whether no other process has shown the same message."""
    if not distributed.is_initialized():  # all of a node have met it
        return local_rank() == 0
    # The store takes neither long keys nor what a path may have that is not UTF-8.
    key = hashlib.sha256(message.encode(errors='surrogateescape')).hexdigest()
    try:
        return distributed.distributed_c10d._get_default_store().add(key, 1) == 1
    except RuntimeError:  # the process that holds the store has ended
        return True


def _interrupt(error: BaseException | None) -> KeyboardInterrupt | None:
    """The interrupt that ended a run, if one did; of one in its formatter mmengine makes a SyntaxError."""
    if not isinstance(error, (KeyboardInterrupt, SyntaxError)):
        return None
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__context__
    return error


def prepare(config: str, work_dir: str | None, launcher: str, cfg_options: dict | None) -> Config:
    """Read a tool's config and set what ``--launcher`` and ``--work-dir`` say."""
    cfg = load_config(config, cfg_options)
    if not cfg.get('model'):
        raise UserError(f'{config} has no model')
    cfg.launcher = launcher
    cfg.work_dir = work_dir or cfg.get('work_dir') or str(Path('work_dirs', Path(cfg.filename).stem))
    level = cfg.get('log_level', 'INFO')
    if not isinstance(level, int) and not isinstance(logging.getLevelName(level), int):
        raise UserError(f'log_level={level!r}: it is one of DEBUG, INFO, WARNING, ERROR')
    if options.avoid_mps() and local_rank() == 0:
        print("Apple's GPU is not used, as mmengine's detections don't know it: this runs on the CPU.")
    if launcher != 'none' and get_device() == 'cpu':
        options.use_cpus(cfg)
    return cfg


def train(
    cfg: Config,
    cfg_options: dict | None = None,
    resume: str | None = None,
    amp: bool = False,
    channels_last: bool = False,
    compile: bool = False,
    cuda_graph: bool = False,
    auto_scale_lr: bool = False,
    no_check: bool = False,
    check_all: bool = False,
) -> None:
    """Train a prepared config; the other arguments are options of ``tools/train.py``.

    Raises:
        UserError: If something that the config or the arguments name isn't there.
    """
    if cfg.get('runner_type', 'Runner') != 'Runner' or cfg.get('strategy'):
        raise UserError("runner_type and strategy are not heeded here: train.py has mmengine's Runner alone")
    if amp or options.optim_wrapper_of(cfg) == 'AmpOptimWrapper':  # mmengine's knows no CPU
        options.use_amp(cfg)
    if auto_scale_lr:
        options.scale_lr(cfg)
    if compile and not any(map(shutil.which, (os.environ.get('CXX', 'c++'), 'g++', 'clang++'))):
        raise UserError('--compile needs a C++ compiler (g++ or clang++), which PyTorch calls')
    if cuda_graph:
        options.check_gpu()
    if cfg.get('resume') and not resume:
        resume = cfg.get('load_from') or 'auto'
    checkpoint = None if resume == 'auto' else resume
    saved = sorted(checkpoints_of(cfg).glob('*.pth'))
    cfg.resume = bool(checkpoint or resume and saved)
    preflight.check(cfg, 'train', checkpoint, keys=not no_check)
    if not resume and saved:
        raise UserError(
            f'{saved[-1]} is of an earlier training: --resume goes on with it, --work-dir starts another one '
            'elsewhere, and deleting the folder gives it up'
        )
    if cfg.launcher != 'none':
        options.join_processes(cfg)
    if not no_check:
        checks.check(cfg, 'train', check_all)
    held = lock(cfg.work_dir) if first_process() else None  # noqa: F841 - until the process ends
    if resume:
        resume_from(cfg, checkpoint)
    runner = SafeRunner.from_cfg(cfg)
    runner.strict = cfg.resume
    for doubt in doubts(cfg) if not no_check else ():
        runner.logger.warning(doubt)
    if channels_last:  # how, not what, it learns: nothing for the config that the run writes down
        runner.register_hook(ChannelsLastHook())
    if compile:
        runner.register_hook(CompileHook())
    if cuda_graph:
        runner.register_hook(CudaGraphHook())
    record(runner, cfg_options)
    runner.train()
    if is_main_process():
        print(f'\nLogs and curves: {runner.work_dir}\nCheckpoint: {last_checkpoint(runner.work_dir)}')


def resume_from(cfg: Config, checkpoint: str | None) -> None:
    """Have a config go on with a training's checkpoint: the given one, or the newest whole one.

    Raises:
        UserError: If there are checkpoints, but none is whole, or the given one is of no training.
    """
    news = []
    if not checkpoint:
        checkpoint, passed_over = find_checkpoint(checkpoints_of(cfg))
        news = [f'passed over: {problem}' for problem in passed_over]
        if passed_over and not checkpoint:
            raise UserError(
                '\n'.join(['no checkpoint is whole:', *news, 'without them, a training starts anew'])
            )
    cfg.resume = checkpoint is not None
    if cfg.resume:
        cfg.load_from = str(checkpoint)
        meta = read_training(fetch(checkpoint))['meta']
        cfg.randomness = dict(cfg.get('randomness') or {}, seed=meta.get('seed'))
        news.append(f'resuming from {checkpoint}: epoch {meta["epoch"]}, iteration {meta["iter"]}')
        for unit, limit in (('epoch', 'max_epochs'), ('iter', 'max_iters')):
            if meta[unit] >= cfg.train_cfg.get(limit, math.inf):
                news.append(
                    f'nothing is left to train: {unit} {meta[unit]} of {cfg.train_cfg[limit]}; '
                    f'to train on: --cfg-options train_cfg.{limit}=...'
                )
    else:
        news.append(f'nothing to resume in {checkpoints_of(cfg)}: the training starts')
    if local_rank() == 0:
        print(*news, sep='\n')


def checkpoints_of(cfg: Config) -> Path:
    """The folder that a training saves checkpoints in."""
    hook = (cfg.get('default_hooks') or {}).get('checkpoint') or {}  # None turns it off
    folder = hook.get('out_dir')
    return Path(folder, Path(cfg.work_dir).name).absolute() if folder else Path(cfg.work_dir).absolute()


RANKS = ('RANK', 'SLURM_PROCID', 'OMPI_COMM_WORLD_RANK')


def first_process() -> bool:
    """Whether this is the first of all processes, also before they know of each other."""
    return all(os.environ.get(name) in (None, '', '0') for name in RANKS)


def leave_others() -> None:
    """Forget of what number a process is: without a launcher each is on its own."""
    sizes = dict(pytorch='WORLD_SIZE', slurm='SLURM_STEP_NUM_TASKS', mpi='OMPI_COMM_WORLD_SIZE')
    for launcher, size in sizes.items():
        if (number := os.environ.get(size, '1')) != '1':
            print(f'{number} of these run, each by itself: --launcher {launcher} joins them', file=sys.stderr)
    for name in (*RANKS, *LOCAL_RANKS):
        os.environ.pop(name, None)


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
    no_check: bool = False,
    check_all: bool = False,
) -> None:
    """Test a prepared config and print the metrics; the other arguments are those of ``tools/test.py``.

    Raises:
        UserError: If something that the config or the arguments name isn't there.
    """
    for option, given in {'--half': half, '--cuda-graph': cuda_graph}.items():
        if given and no_fuse:
            raise UserError(f'{option} needs fused networks, which --no-fuse turns off')
    if cuda_graph:
        options.check_gpu()
    cfg.load_from, cfg.resume = checkpoint, False
    if tta:
        options.use_tta(cfg)
    if show_dir:
        options.draw(cfg, show_dir)
    preflight.check(cfg, 'test', checkpoint, keys=not no_check)
    if cfg.launcher != 'none':
        options.join_processes(cfg)
    if not no_check:
        checks.check(cfg, 'test', check_all)
    if out:
        options.dump(cfg, out)
    runner = SafeRunner.from_cfg(cfg)
    if show_dir:
        options.name_pictures(runner, show_dir)
    recorded = record(runner, cfg_options)
    if not no_fuse:
        runner.register_hook(FuseHook(half, cuda_graph))
    metrics = runner.test()
    if is_main_process():
        print()
        written = options.formatted(cfg)
        if metrics or not written:
            print_metrics(metrics, f'{recorded["config"]}, {recorded["data"]["test"]["images"]:,} images')
        print(f'Checkpoint: {checkpoint}\nLogs: {runner.log_dir}')
        for path in written:
            print(f'Written, not evaluated (format_only): {path}')
        if show_dir:
            print(f'Pictures: {os.path.abspath(show_dir)}')


def record(runner: Runner, cfg_options: dict | None) -> dict:
    """Have a run recorded, also of a config that doesn't ask for it; return what will be its record."""
    hook = next((hook for hook in runner.hooks if isinstance(hook, RecordHook)), None)
    if hook is None:
        runner.register_hook(hook := RecordHook())
    hook.options = cfg_options or {}
    return hook.record
