"""Whole tests and trainings, by our tools and by the toolboxes' own.

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
# What a benchmark runs: all of its jobs with the configs of a folder.
FOLDERS = {'jobs': 'demo/configs', 'coco-jobs': 'configs'}
HELP = {
    'jobs': "Whole tests and trainings of the demo's configs, by our tools and by the toolboxes'.",
    'coco-jobs': 'The same of the shipped configs, on COCO in data/coco.',
}
ITERATIONS = {'train.py': 12, 'test.py': 100}  # at most
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
    'train.py': ['--amp', '--amp --channels-last', '--amp --compile', '--amp --cuda-graph'],
}


def list_jobs(toolbox: str, network: str, theirs: dict, ours: dict) -> dict[str, list[Job]]:
    """The jobs of a config, by tool: the toolbox's own first, then ours with each of the flags."""
    jobs = {}
    for tool, flags in FLAGS.items():
        own = Job(f"{toolbox}'s {network}", toolbox, tool, theirs)
        jobs[tool] = [own]
        if tool == 'train.py':
            jobs[tool].append(replace(own, name=f'{own.name}, --amp', arguments=('--amp',), gpu=True))
        for flag in ['', *flags, *GPU_FLAGS[tool]]:
            jobs[tool].append(
                Job(
                    name=f'our {network}, {flag}' if flag else f'our {network}',
                    toolbox='res2net_mm',
                    tool=tool,
                    backbone=ours,
                    arguments=tuple(flag.split()),
                    baseline=f'{own.name}, --amp' if '--amp' in flag else own.name,
                    gpu=flag in GPU_FLAGS[tool],
                )
            )
    return jobs


# The config, and what is run of it.
JOBS = {
    'faster_rcnn_r2n50_fpn_coco': list_jobs(
        'mmdet', 'Res2Net-50', dict(type='Res2Net', scales=4, base_width=26), AS_MMDET
    ),
    # mmpose has no Res2Net.
    'simplebaseline_r2n50_coco': list_jobs('mmpose', 'ResNet-50', dict(type='ResNet'), RESNET),
}


def read(benchmark: str, config: str) -> Config:
    return load_config(str(ROOT / FOLDERS[benchmark] / f'{config}.py'))


def check(benchmark: str) -> None:
    """Check that the jobs can run.

    Raises:
        UserError: If the data, or the demo's configs, aren't there.
    """
    if not (ROOT / FOLDERS[benchmark]).is_dir():
        raise UserError(f"{benchmark} are the demo's, of a checkout: {ROOT / FOLDERS[benchmark]} is missing")
    for config, tools in JOBS.items():
        for tool, jobs in tools.items():
            if installed(jobs):
                preflight.check(untrained(read(benchmark, config)), tool.removesuffix('.py'))


def installed(jobs: list[Job], device: str = 'cpu') -> list[Job]:
    """The jobs that can run here."""
    # The first is the toolbox's own: without the toolbox ours cannot run, either.
    found = [job for job in jobs if find_spec(job.toolbox) and find_spec(jobs[0].toolbox)]
    return [job for job in found if device == 'cuda' or not job.gpu]


def sections(benchmark: str, options: argparse.Namespace) -> Iterator[dict]:
    """Run the jobs of each config and tool in turns.

    Raises:
        UserError: If one fails.
    """
    for config, tools in JOBS.items():
        for tool, jobs in tools.items():
            yield measure(benchmark, config, tool, jobs, options)


def measure(benchmark: str, config: str, tool: str, listed: list[Job], options: argparse.Namespace) -> dict:
    jobs = installed(listed, options.device)
    title = f'{benchmark}: {tool} on {config}'
    section = {'benchmark': benchmark, 'title': title, 'timings': [], 'ratios': []}
    section['left_out'] = [job.name for job in listed if job not in jobs and not job.gpu]
    if not jobs:
        return section
    timings = {job.name: dict(name=job.name, seconds=[], process=[]) for job in jobs}
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder, f'{i}.py') for i in range(len(jobs))]
        for job, file in zip(jobs, files):
            configure(job, read(benchmark, config), file)
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


def untrained(cfg: Config) -> Config:
    """A config without files that are no images or annotations: initial weights, another detector's boxes."""
    cfg.model.backbone.init_cfg = None
    for name in ('val_dataloader', 'test_dataloader'):
        cfg[name].dataset.pop('bbox_file', None)
    return cfg


def configure(job: Job, cfg: Config, path: Path) -> None:
    """Write the config file of a job, and beside it, for a test, untrained weights (.pth)."""
    untrained(cfg).model.backbone.update(job.backbone)
    if job.toolbox != 'res2net_mm':
        cfg.custom_hooks = []
    cfg.train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=1, val_interval=2)
    for name, most in ITERATIONS.items():
        loader = cfg[f'{name[:-3]}_dataloader']
        loader.dataset.indices = most * loader.batch_size
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
            [sys.executable, *map(str, command)], env=environment, capture_output=True, encoding='utf-8'
        )
        seconds = time.perf_counter() - start
        if result.returncode:
            raise UserError(f'{job.name} failed:\n{result.stderr[-2000:]}')
        pattern = '*/vis_data/scalars.json' if job.tool == 'train.py' else '*/[0-9]*.json'
        (log,) = Path(work_dir).glob(pattern)
        return json.loads(log.read_text('utf-8').splitlines()[-1])['time'], seconds
