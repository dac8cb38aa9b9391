"""What options of ``tools/train.py`` and ``tools/test.py`` change in a config."""

import os
from functools import cache
from glob import escape, glob
from pathlib import Path
from unittest.mock import patch

import torch
from mmengine.config import Config, ConfigDict
from mmengine.device import get_device
from mmengine.device import utils as device
from mmengine.dist import init_dist
from mmengine.runner import Runner
from mmengine.utils.dl_utils import set_multi_processing

from ..checkpoints import local_rank
from ..config import unwrap, walk
from ..errors import UserError
from ..files import make_folder
from ..lookup import class_name

# What each toolbox's default_hooks.visualization is to be told, and what it calls the folder.
DRAWING = {
    'mmdet': (dict(draw=True), 'test_out_dir'),
    'mmseg': (dict(draw=True), None),
    'mmpose': (dict(enable=True), 'out_dir'),
    'mmpretrain': (dict(enable=True, interval=1), 'out_dir'),
}


# What starts the processes of a launcher, and what it tells them.
LAUNCHERS = {
    'pytorch': (
        'torchrun, as tools/dist_train.sh does',
        ('RANK', 'LOCAL_RANK', 'WORLD_SIZE', 'MASTER_ADDR', 'MASTER_PORT'),
    ),
    'slurm': (
        'srun, as tools/slurm_train.sh does',
        ('SLURM_PROCID', 'SLURM_LOCALID', 'SLURM_NTASKS', 'SLURM_NODELIST'),
    ),
    'mpi': (
        'mpirun, with MASTER_ADDR set',
        ('OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_LOCAL_RANK', 'OMPI_COMM_WORLD_SIZE', 'MASTER_ADDR'),
    ),
}


def join_processes(cfg: Config) -> None:
    """Form the process group of a config's launcher, as mmengine's Runner would later, and on CPUs, too.

    Raises:
        UserError: If the launcher didn't start this process.
    """
    start, variables = LAUNCHERS[cfg.launcher]
    if missing := [name for name in variables if name not in os.environ]:
        raise UserError(f'--launcher {cfg.launcher}: {", ".join(missing)} not set; start it by {start}')
    env = cfg.get('env_cfg') or {}
    group = dict(env.get('dist_cfg') or {})
    if cfg.launcher != 'slurm':
        group.pop('port', None)  # which mmengine takes for Slurm alone
    elif job := os.environ.get('SLURM_JOB_ID'):  # mmengine's one port is too few for two jobs of a node
        port = 20000 + (int(job) * 16 + int(os.environ.get('SLURM_STEP_ID', 0))) % 10000
        os.environ.setdefault('MASTER_PORT', str(port))
    set_multi_processing(**(env.get('mp_cfg') or {}), distributed=True)  # else mmengine warns of 'spawn'
    if get_device() == 'cpu':
        with patch('torch.cuda.set_device'):  # mmengine takes a GPU before it joins the others
            init_dist(cfg.launcher, **{**group, 'backend': 'gloo'})
    else:
        init_dist(cfg.launcher, **group)
    os.environ['LOCAL_RANK'] = str(local_rank())  # for the Runner; under MPI mmengine leaves it out


def use_cpus(cfg: Config) -> None:
    """Have several processes train together on CPUs."""
    wrapper = dict(
        type='MMDistributedDataParallel',
        broadcast_buffers=False,
        find_unused_parameters=cfg.get('find_unused_parameters', False),
    )
    cfg.sync_bn = None  # runs on GPUs only
    for _, node in walk(cfg.model):
        if node.get('type') == 'SyncBN':
            node['type'] = 'BN'
    cfg.model_wrapper_cfg = {**wrapper, **(cfg.get('model_wrapper_cfg') or {}), 'device_ids': None}


def avoid_mps() -> bool:
    """Run on the CPU where mmengine would take Apple's GPU: its ``InstanceData`` refuses that one's indices.

    Returns:
        bool: Whether there is such a GPU.
    """
    there = device.DEVICE == 'mps'
    if there:
        device.DEVICE = 'cpu'
    return there


def optim_wrapper_of(cfg: Config) -> str:
    """The name of a config's optimizer wrapper."""
    return class_name((cfg.get('optim_wrapper') or {}).get('type', 'OptimWrapper'))


def use_amp(cfg: Config) -> None:
    """Train in mixed precision: float16 with loss scaling on a GPU, bfloat16 on a CPU."""
    kind = optim_wrapper_of(cfg)
    if kind not in ('OptimWrapper', 'AmpOptimWrapper'):
        raise UserError(f"--amp can't replace the config's optim_wrapper.type {kind!r}")
    if torch.cuda.is_available():
        if kind != 'AmpOptimWrapper':
            cfg.optim_wrapper.update(type='AmpOptimWrapper', loss_scale='dynamic')
        return
    cfg.optim_wrapper.type = 'res2net_mm.CPUAmpOptimWrapper'
    for key in ('loss_scale', 'dtype', 'use_fsdp'):  # AmpOptimWrapper's own
        cfg.optim_wrapper.pop(key, None)
    if cfg.get('default_scope') == 'mmpose':  # whose training accuracy is NumPy's, which has no bfloat16
        cfg.model.train_cfg = {**(cfg.model.get('train_cfg') or {}), 'compute_acc': False}


def check_gpu() -> None:
    """Check that there can be CUDA graphs.

    Raises:
        UserError: If not.
    """
    if not torch.cuda.is_available():
        raise UserError('--cuda-graph needs a GPU, and PyTorch sees none')


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


def name_pictures(runner: Runner, folder: str) -> None:
    """Call each picture as its image, with the folders before it that the test's images don't share.

    mmdet has the last of several images of a name overwrite the others', mmseg and mmpretrain add a suffix.
    mmpose, which draws each person, numbers them. mmpretrain takes the channels, BGR, for RGB.
    """
    make_folder(Path(folder))
    visualizer = runner.visualizer
    preprocessor = getattr(runner.model, 'module', runner.model).data_preprocessor
    method = 'visualize_cls' if hasattr(visualizer, 'visualize_cls') else 'add_datasample'
    draw = getattr(visualizer, method)

    @cache
    def names() -> dict[str, str]:  # of all images, in each of several processes
        dataset, taken = runner.test_dataloader.dataset, {}
        paths = [dataset.get_data_info(number)['img_path'] for number in range(len(dataset))]
        root = os.path.commonpath({os.path.dirname(os.path.abspath(path)) for path in paths})
        for path in paths:
            name = os.path.relpath(path, root).replace(os.sep, '_')
            while taken.setdefault(name, path) != path:  # a/b_c.jpg, and there is a_b/c.jpg
                name = f'_{name}'
        return {path: name for name, path in taken.items()}

    def draw_named(*args, data_sample=None, **kwargs):
        if method == 'visualize_cls' and getattr(preprocessor, 'to_rgb', False):
            kwargs['image'] = kwargs['image'][..., ::-1]
        path = data_sample.get('img_path')
        if path:
            kwargs['out_file'] = os.path.abspath(os.path.join(folder, names().get(path) or Path(path).name))
        return draw(*args, data_sample=data_sample, **kwargs)

    if runner.cfg.default_scope != 'mmpose':
        setattr(visualizer, method, draw_named)


def dump(cfg: Config, file: str) -> None:
    """Have the test write its predictions to a pickle file."""
    if not file.endswith(('.pkl', '.pickle')):
        raise UserError(f'--out {file}: the name must end in .pkl or .pickle')
    make_folder(Path(file).parent)
    kind = 'DumpDetResults' if cfg.get('default_scope') == 'mmdet' else 'DumpResults'
    cfg.test_evaluator = [*as_list(cfg.test_evaluator), dict(type=kind, out_file_path=file)]


def formatted(cfg: Config) -> list[str]:
    """The files and folders that metrics wrote predictions to instead of evaluating them."""
    metrics = [metric for metric in as_list(cfg.test_evaluator) if metric.get('format_only')]
    prefixes = [metric.get('outfile_prefix') or metric.get('output_dir') for metric in metrics]
    return sorted(
        path for prefix in prefixes if prefix for path in glob(f'{escape(os.path.abspath(prefix))}*')
    )


def as_list(value) -> list:
    """What a config gives by itself or in a list, in a list."""
    return list(value) if isinstance(value, (list, tuple)) else [value]
