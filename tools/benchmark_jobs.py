"""Whole tests and trainings on the demo data, by our tools and by the toolboxes' own.

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
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope

from res2net_mm import preflight
from res2net_mm.config import load_config
from res2net_mm.errors import UserError

ROOT = Path(__file__).resolve().parents[1]
ITERATIONS = 12  # of a training; the first two don't count
AS_MMDET = dict(deep_stem=True, avg_down=True, pool_at_stride_1=False)  # arguments of our Res2Net
RESNET = dict(scales=1, base_width=64)


@dataclass
class Job:
    """What is timed."""

    name: str
    toolbox: str  # the package whose tool runs it; 'res2net_mm' for ours
    tool: str  # 'test.py' or 'train.py'
    backbone: dict  # what differs from the config's
    arguments: tuple[str, ...] = ()  # the tool's further ones
    baseline: str | None = None  # the job that does the same by the toolbox's own
    gpu: bool = False  # whether it is for a GPU alone


# What each tool is run with; more on a GPU.
FLAGS = {'test.py': ['--no-fuse'], 'train.py': ['--channels-last']}
GPU_FLAGS = {
    'test.py': ['--half', '--cuda-graph', '--half --cuda-graph'],
    'train.py': ['--amp', '--amp --channels-last', '--amp --compile'],
}


def list_jobs(toolbox: str, networks: dict[str, dict], ours: dict[str, dict]) -> dict[str, list[Job]]:
    """The jobs of a config: its toolbox's tools with the toolbox's networks, and ours with ours."""
    jobs = {}
    for tool, flags in FLAGS.items():
        jobs[tool] = [Job(f"{toolbox}'s {name}", toolbox, tool, own) for name, own in networks.items()]
        if tool == 'train.py':
            jobs[tool] += [
                replace(job, name=f'{job.name}, --amp', arguments=('--amp',), gpu=True) for job in jobs[tool]
            ]
        for name, own in ours.items():
            job = Job(f'our {name}', 'res2net_mm', tool, own)
            for flag in ['', *flags, *GPU_FLAGS[tool]]:
                baseline = f"{toolbox}'s {name}{', --amp' if 'amp' in flag else ''}"
                jobs[tool].append(
                    replace(
                        job,
                        name=f'{job.name}, {flag}' if flag else job.name,
                        arguments=tuple(flag.split()),
                        baseline=baseline if name in networks else None,
                        gpu=flag in GPU_FLAGS[tool],
                    )
                )
    return jobs


# The config, and what is run of it.
JOBS = {
    'faster_rcnn_r2n50_fpn_coco': list_jobs(
        'mmdet',
        {
            'Res2Net-50': dict(type='Res2Net', scales=4, base_width=26, norm_eval=False),
            'ResNet-50': dict(type='ResNet', norm_eval=False),
        },
        {'Res2Net-50': AS_MMDET, 'ResNet-50': RESNET},
    ),
    'simplebaseline_r2n50_coco': list_jobs(
        'mmpose', {'ResNet-50': dict(type='ResNet')}, {'ResNet-50': RESNET, 'Res2Net-50': {}}
    ),
}


def demo_config(name: str) -> Config:
    return load_config(str(ROOT / f'demo/configs/{name}.py'))


def check() -> None:
    """Check that the jobs can run.

    Raises:
        UserError: If the demo data aren't there.
    """
    for config, tools in JOBS.items():
        for tool, jobs in tools.items():
            if installed(jobs):
                preflight.check(demo_config(config), tool.removesuffix('.py'))


def installed(jobs: list[Job], device: str = 'cpu') -> list[Job]:
    """The jobs that can run here."""
    # The first is the toolbox's own: without the toolbox ours cannot run, either.
    found = [job for job in jobs if find_spec(job.toolbox) and find_spec(jobs[0].toolbox)]
    return [job for job in found if device == 'cuda' or not job.gpu]


def sections(options: argparse.Namespace) -> Iterator[dict]:
    """Run the jobs of each config and tool in turns.

    Raises:
        UserError: If one fails.
    """
    for config, tools in JOBS.items():
        for tool, jobs in tools.items():
            yield measure(config, tool, jobs, options)


def measure(config: str, tool: str, listed: list[Job], options: argparse.Namespace) -> dict:
    jobs = installed(listed, options.device)
    section = {'benchmark': 'jobs', 'title': f'{tool} on {config}', 'timings': [], 'ratios': []}
    section['left_out'] = [job.name for job in listed if job not in jobs and not job.gpu]
    if not jobs:
        return section
    timings = {job.name: dict(name=job.name, seconds=[], process=[]) for job in jobs}
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder, f'{i}.py') for i in range(len(jobs))]
        for job, file in zip(jobs, files):
            configure(job, config, file)
        for _ in range(options.runs):
            for job, file in zip(jobs, files):
                print(f'{config}, {job.name}, {tool} ...', file=sys.stderr, flush=True)
                seconds, process = run(job, file, options)
                timings[job.name]['seconds'].append(seconds)
                timings[job.name]['process'].append(process)
        batch = Config.fromfile(files[0])[f'{tool[:-3]}_dataloader'].batch_size
    medians = {name: statistics.median(timing['seconds']) for name, timing in timings.items()}
    section['title'] += f', an iteration of {batch} images'
    section['timings'] = [timing | dict(rate=batch / medians[name]) for name, timing in timings.items()]
    section['ratios'] = [
        {'of': job.baseline, 'to': job.name, 'ratio': medians[job.baseline] / medians[job.name]}
        for job in jobs
        if job.baseline in medians
    ]
    return section


def configure(job: Job, config: str, path: Path) -> None:
    """Write the config file of a job, and beside it, for a test, untrained weights (.pth)."""
    cfg = demo_config(config)
    cfg.model.backbone.update(job.backbone)
    if job.toolbox != 'res2net_mm':
        cfg.custom_hooks = []
    cfg.train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=1, val_interval=2)
    cfg.train_dataloader.dataset.indices = ITERATIONS * cfg.train_dataloader.batch_size
    cfg.default_hooks.logger.interval = 1
    cfg.default_hooks.checkpoint = dict(type='CheckpointHook', interval=2, save_last=False)
    cfg.dump(path)
    if job.tool == 'test.py':
        torch.manual_seed(0)
        with DefaultScope.overwrite_default_scope(cfg.default_scope):
            torch.save({'state_dict': MODELS.build(cfg.model).state_dict()}, path.with_suffix('.pth'))


def run(job: Job, config: Path, options: argparse.Namespace) -> tuple[float, float]:
    """Run a job; return the seconds an iteration, on the average, and those of the whole process.

    Raises:
        UserError: If it fails.
    """
    here = job.toolbox == 'res2net_mm'
    tools = ROOT if here else Path(find_spec(job.toolbox).origin).with_name('.mim')
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
        pattern = '*/vis_data/scalars.json' if job.tool == 'train.py' else '*/[0-9]*.json'
        (log,) = Path(work_dir).glob(pattern)
        return json.loads(log.read_text().splitlines()[-1])['time'], seconds
