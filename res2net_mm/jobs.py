"""Times whole jobs, a test and a training on the demo data: our tools beside the toolboxes' own.

Every job is a process of its own, as a user starts it. Jobs take turns, and share a config but for the
backbone; a test's weights are untrained.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from . import preflight
from .config import CONFIGS, load_config
from .errors import UserError

ITERATIONS = 12  # of a training; the first two don't count
AS_MMDET = dict(deep_stem=True, avg_down=True, pool_at_stride_1=False)  # arguments of our Res2Net
RESNET = dict(scales=1, base_width=64)


@dataclass
class Job:
    """What is timed.

    Attributes:
        name (str): What the table calls it.
        toolbox (str): The package whose tool runs it; 'res2net_mm' for ours.
        tool (str): The tool, 'test.py' or 'train.py'.
        backbone (dict): What differs from the config's backbone.
        arguments (tuple[str, ...]): The tool's further arguments. Default: none.
        beside (str, optional): The name of the job that does the same by the toolbox's own. Default: None.
    """

    name: str
    toolbox: str
    tool: str
    backbone: dict
    arguments: tuple[str, ...] = ()
    beside: str | None = None


def _jobs(toolbox: str, peers: dict[str, dict], as_peers: dict[str, dict]) -> dict[str, list[Job]]:
    """The jobs of a config: its toolbox's tools with the toolbox's networks, and ours with ours."""
    jobs = {}
    for tool, flag in (('test.py', '--no-fuse'), ('train.py', '--channels-last')):
        jobs[tool] = [Job(f"{toolbox}'s {name}", toolbox, tool, own) for name, own in peers.items()]
        for name, own in as_peers.items():
            peer = f"{toolbox}'s {name}" if name in peers else None
            jobs[tool] += [
                Job(f'our {name}', 'res2net_mm', tool, own, (), peer),
                Job(f'our {name}, {flag}', 'res2net_mm', tool, own, (flag,), peer),
            ]
    return jobs


# The config, and what is run of it.
JOBS = {
    'faster_rcnn_r2n50_fpn_coco': _jobs(
        'mmdet',
        {
            'Res2Net-50': dict(type='Res2Net', scales=4, base_width=26, norm_eval=False),
            'ResNet-50': dict(type='ResNet', norm_eval=False),
        },
        {'Res2Net-50': AS_MMDET, 'ResNet-50': RESNET},
    ),
    'simplebaseline_r2n50_coco': _jobs(
        'mmpose', {'ResNet-50': dict(type='ResNet')}, {'ResNet-50': RESNET, 'Res2Net-50': {}}
    ),
}


def jobs(options: argparse.Namespace) -> Iterator[dict]:
    """Whole tests and trainings on the demo data, by our tools and by the toolboxes' own.

    Raises:
        UserError: If the demo data aren't there, or, later, a job fails.
    """
    for config, tools in JOBS.items():
        for tool, listed in tools.items():
            if installed(listed):
                preflight.check(load_config(str(CONFIGS / f'demo/{config}.py')), tool.removesuffix('.py'))
    return (
        _section(config, tool, listed, options)
        for config, tools in JOBS.items()
        for tool, listed in tools.items()
    )


def installed(listed: list[Job]) -> list[Job]:
    """The jobs that can run here."""
    # The first is the toolbox's own: without the toolbox ours cannot run, either.
    return [job for job in listed if find_spec(job.toolbox) and find_spec(listed[0].toolbox)]


def _section(config: str, tool: str, listed: list[Job], options: argparse.Namespace) -> dict:
    there = installed(listed)
    if not there:
        title, names = f'{tool} on {config}', [job.name for job in listed]
        return dict(benchmark='jobs', title=title, left_out=names, timings=[], ratios=[])
    timings = {job.name: dict(name=job.name, seconds=[], process=[]) for job in there}
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder, f'{i}.py') for i in range(len(there))]
        for job, file in zip(there, files):
            configure(job, config, file)
        for _ in range(options.runs):
            for job, file in zip(there, files):
                print(f'{config}, {job.name}, {tool} ...', file=sys.stderr, flush=True)
                seconds, process = run(job, file, options)
                timings[job.name]['seconds'].append(seconds)
                timings[job.name]['process'].append(process)
        batch = Config.fromfile(files[0])[f'{tool[:-3]}_dataloader'].batch_size
    medians = {name: statistics.median(timing['seconds']) for name, timing in timings.items()}
    for name, timing in timings.items():
        timing['rate'] = batch / medians[name]
    return {
        'benchmark': 'jobs',
        'title': f'{tool} on {config}, an iteration of {batch} images',
        'left_out': [job.name for job in listed if job not in there],
        'timings': list(timings.values()),
        'ratios': [
            {'of': job.beside, 'to': job.name, 'ratio': medians[job.beside] / medians[job.name]}
            for job in there
            if job.beside in medians
        ],
    }


def configure(job: Job, config: str, path: Path) -> None:
    """Write the config file of a job, and beside it, for a test, untrained weights.

    Args:
        job (Job): The job.
        config (str): The demo config's name.
        path (Path): The file; the weights are ``path.with_suffix('.pth')``.
    """
    cfg = load_config(str(CONFIGS / f'demo/{config}.py'))
    cfg.model.backbone.update(job.backbone)
    if job.toolbox != 'res2net_mm':
        cfg.custom_hooks = []
    cfg.train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=1, val_interval=2)
    cfg.train_dataloader.dataset.indices = ITERATIONS * cfg.train_dataloader.batch_size
    cfg.default_hooks.logger.interval = 1
    cfg.default_hooks.checkpoint = dict(type='CheckpointHook', interval=2, save_last=False)
    cfg.dump(path)
    if job.tool == 'test.py':
        init_default_scope(cfg.default_scope)
        from mmengine.registry import MODELS

        torch.manual_seed(0)
        torch.save({'state_dict': MODELS.build(cfg.model).state_dict()}, path.with_suffix('.pth'))


def run(job: Job, config: Path, options: argparse.Namespace) -> tuple[float, float]:
    """Run a job; return the seconds an iteration, on the average, and those of the whole process.

    Raises:
        UserError: If it fails.
    """
    here = job.toolbox == 'res2net_mm'
    tools = CONFIGS.parent if here else Path(find_spec(job.toolbox).origin).with_name('.mim')
    weights = [config.with_suffix('.pth')] if job.tool == 'test.py' else []
    environment = dict(os.environ)
    if options.threads:
        environment['OMP_NUM_THREADS'] = str(options.threads)
    if options.device == 'cpu':
        environment['CUDA_VISIBLE_DEVICES'] = ''
    with tempfile.TemporaryDirectory(dir=config.parent) as work_dir:
        command = [tools / 'tools' / job.tool, config, *weights, '--work-dir', work_dir, *job.arguments]
        start = time.perf_counter()
        result = subprocess.run(
            [sys.executable, *map(str, command)], env=environment, capture_output=True, text=True
        )
        seconds = time.perf_counter() - start
        if result.returncode:
            raise UserError(f'{job.name} failed:\n{result.stderr[-2000:]}')
        pattern = '*/vis_data/scalars.json' if job.tool == 'train.py' else '*/*.json'
        (log,) = Path(work_dir).glob(pattern)
        return json.loads(log.read_text().splitlines()[-1])['time'], seconds
