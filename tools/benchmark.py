#!/usr/bin/env python
"""Time this package's networks and other packages', in turns in one process, on the machine at hand.

All that a table compares takes turns, so that what else the machine does meets all alike.
"""

import argparse
import gc
import json
import platform
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import benchmark_jobs
import torch
from benchmark_networks import BENCHMARKS, MMDET, PLAIN, Candidate
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from res2net_mm.engine.graphs import TrainingGraphs
from res2net_mm.errors import UserError, run_tool
from res2net_mm.files import make_folder, write_text
from res2net_mm.fused import FusedConv2d, fuse
from res2net_mm.fused.cuda import Graphs

PLOTTED = ('scales', 'sizes')
COLORS = {MMDET: 'C0', PLAIN: 'C1', 'fused': 'C2', 'fused ResNet-50': 'C3'}  # alike in both plots

# ---- measuring ---------------------------------------------------------------------------------


def memory(function: Callable[[], object], device: str = 'cpu') -> tuple[int, int]:
    """Bytes that a call allocates at its peak, and those still there when it returns, its result among them.

    After a forward in training these are what is saved for backward, and the outputs.
    """
    if device == 'cuda':
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        result = function()  # noqa: F841  it shall still be there
        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated() - before, torch.cuda.memory_allocated() - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        result = function()  # noqa: F841
    allocated = peak = 0
    for event in profiler.profiler.kineto_results.events():
        if event.name() == '[memory]':
            allocated += event.nbytes()
            peak = max(peak, allocated)
    return peak, allocated


def kernels(function: Callable[[], object], device: str) -> int | None:
    """How many kernels a call has a GPU run, copies among them: a short run is bound by their launches."""
    if device != 'cuda':
        return None
    with profile(activities=[ProfilerActivity.CUDA]) as profiler:
        function()
        torch.cuda.synchronize()
    return sum(event.device_type() == DeviceType.CUDA for event in profiler.profiler.kineto_results.events())


def prepare(candidate: Candidate, images: Tensor, training: bool) -> Callable[[], object]:
    """Build a candidate's network; what is returned runs it once, in training forward and backward."""
    torch.manual_seed(0)
    with images.device:
        network = candidate.build()
    network.train(training)
    if candidate.fused:
        network = fuse(network)
    if candidate.half:
        network, images = network.to(torch.bfloat16), images.to(torch.bfloat16)
    if candidate.compiled:
        network.compile()
    if candidate.channels_last:
        network.to(memory_format=torch.channels_last)
        if not training:
            images = images.to(memory_format=torch.channels_last)
    if candidate.convs_only:
        return convs_of(network, images)
    if candidate.cuda_graph and training:
        network._compiled_call_impl = TrainingGraphs(network)
    elif candidate.cuda_graph:
        graphs = Graphs(network, channels_last=candidate.channels_last)
        return lambda: graphs(images, images.dtype)
    if not training:
        return lambda: network(images)

    def forward() -> tuple[Tensor, ...]:
        with torch.autocast(images.device.type, torch.bfloat16, enabled=candidate.amp):
            return network(images)

    def step() -> Tensor:
        network.zero_grad()
        loss = sum(features.mean() for features in forward())
        loss.backward()
        return loss

    step.forward = forward
    return step


def convs_of(network: nn.Module, images: Tensor) -> Callable[[], float]:
    """A function that runs only a network's convolutions; it returns their seconds."""
    calls = []

    def record(conv: nn.Module, inputs: tuple[Tensor, ...], _) -> None:
        calls.append((conv, inputs[0].clone(memory_format=torch.channels_last)))

    hooks = [m.register_forward_hook(record) for m in network.modules() if isinstance(m, FusedConv2d)]
    network(images)
    for hook in hooks:
        hook.remove()
    return lambda: sum(timed(lambda: conv(x), x.device.type) for conv, x in calls)  # noqa: B023


def timed(function: Callable[[], object], device: str) -> float:
    """Seconds that a call takes, on a GPU by its own clock, or those that it returns."""
    if device == 'cuda':
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        own = function()
        end.record()
        end.synchronize()
        return own if isinstance(own, float) else start.elapsed_time(end) / 1e3
    start = time.perf_counter()
    own = function()
    return own if isinstance(own, float) else time.perf_counter() - start


def measure(
    candidates: list[Candidate], shape: tuple[int, ...], runs: int, training: bool, device: str
) -> list[dict]:
    """Time some candidates in turns, each ``runs`` times after two runs that are not timed.

    Those whose package is not installed are left out.

    Returns:
        list[dict]: Of each its name, the seconds of each run, the bytes allocated at a run's peak (besides
        parameters and images), in training those saved for backward, and the outputs; on a GPU the kernels.
    """
    images = torch.rand(shape, generator=torch.Generator().manual_seed(0)).to(device)
    functions, timings = {}, []
    with torch.set_grad_enabled(training):
        for candidate in candidates:
            if find_spec(candidate.package) is None:
                continue
            function = functions[candidate.name] = prepare(candidate, images, training)
            for _ in range(2):
                function()
            counted = kernels(function, device)
            timing = dict(name=candidate.name, seconds=[], peak=0, saved=None, kernels=counted)
            if not (candidate.convs_only or training and candidate.cuda_graph):  # whose memory stays
                timing['peak'] = memory(function, device)[0]
                timing['saved'] = memory(function.forward, device)[1] if training else None
            timings.append(timing)
            gc.collect()
        for _ in range(runs):
            for timing in timings:
                timing['seconds'].append(timed(functions[timing['name']], device))
    return timings


def sections(name: str, options: argparse.Namespace) -> Iterator[dict]:
    """Measure the tables of a benchmark."""
    if name in benchmark_jobs.FOLDERS:
        yield from benchmark_jobs.sections(name, options)
        return
    benchmark = BENCHMARKS[name]
    own = options.device == 'cuda' and benchmark.gpu_shapes or benchmark.shapes
    for shape in options.shapes or own:
        title = f'{name}, images {"x".join(map(str, shape))}'
        print(f'{title} ...', file=sys.stderr, flush=True)
        candidates = [c for c in benchmark.candidates if options.device == 'cuda' or not c.cuda_graph]
        timings = measure(candidates, shape, options.runs, benchmark.training, options.device)
        medians = {timing['name']: statistics.median(timing['seconds']) for timing in timings}
        known = benchmark.published
        ratios = [
            dict(of=a, to=c.name, ratio=medians[a] / medians[c.name])
            | (dict(paper=known[a]) if known else {})
            for c in candidates
            for a in c.baselines
            if {a, c.name} <= medians.keys()
        ]
        yield {
            'benchmark': name,
            'title': title,
            'shape': list(shape),
            'left_out': [c.name for c in candidates if c.name not in medians],
            'timings': timings,
            'ratios': ratios,
        }


# ---- reporting ---------------------------------------------------------------------------------


def machine(device: str) -> dict[str, str]:
    """What was measured on, with what."""
    packages = ('torch', 'timm', 'mmengine', 'mmcv', 'mmdet', 'mmpose', 'mmpretrain', 'res2net_mm')
    # OneDL's distributions are called otherwise than the packages in them
    versions = [f'{name} {import_module(name).__version__}' for name in packages if find_spec(name)]
    return {
        'device': torch.cuda.get_device_name() if device == 'cuda' else processor(),
        'threads': str(torch.get_num_threads()),
        'versions': ', '.join(versions),
    }


def processor() -> str:
    """The CPU's name, and which of its wide instructions PyTorch uses."""
    name = platform.processor() or platform.machine()
    info = Path('/proc/cpuinfo')
    if info.exists():
        lines = info.read_text('utf-8').splitlines()
        name = next((line.partition(':')[2].strip() for line in lines if 'model name' in line), name)
    amx = torch.cpu._is_amx_tile_supported() if hasattr(torch.cpu, '_is_amx_tile_supported') else False
    return f'{name}, {torch.backends.cpu.get_cpu_capability()}{" with AMX" if amx else ""}'


# What else may be known of a candidate: the column, and how it is written.
COLUMNS = {
    'peak': ('peak MiB', lambda number: f'{number / 2**20:.0f}'),
    'saved': ('saved MiB', lambda number: f'{number / 2**20:.0f}'),
    'rate': ('images a second', lambda number: f'{number:.2f}'),
    'kernels': ('kernels', str),
    'process': ('whole process, s', lambda seconds: f'{statistics.median(seconds):.1f}'),
}


def show(section: dict, console: Console) -> None:
    """Print a section of the report as tables."""
    others = [key for key in COLUMNS if any(timing.get(key) is not None for timing in section['timings'])]
    table = Table('network', title=section['title'], title_justify='left')
    for column in ('median ms', 'least', 'most', *(COLUMNS[key][0] for key in others)):
        table.add_column(column, justify='right')
    for timing in section['timings']:
        seconds = timing['seconds']
        cells = [f'{1e3 * s:.1f}' for s in (statistics.median(seconds), min(seconds), max(seconds))]
        cells += [COLUMNS[key][1](timing[key]) if timing[key] else '-' for key in others]
        table.add_row(timing['name'], *cells)
    console.print(table)
    if section['ratios']:
        published = any('paper' in ratio for ratio in section['ratios'])
        table = Table('time of', 'by that of', title='ratios of the medians', title_justify='left')
        for column in ('ratio', "the paper's") if published else ('ratio',):
            table.add_column(column, justify='right')
        for ratio in section['ratios']:
            numbers = [f'{ratio[key]:.3f}' for key in ('ratio', 'paper') if key in ratio]
            table.add_row(ratio['of'], ratio['to'], *numbers)
        console.print(table)
    if section['left_out']:
        console.print(f'Not installed, left out: {", ".join(section["left_out"])}')


def plot(sections: list[dict], folder: Path) -> list[Path]:
    """Draw how the cost grows with scale and with size: ``cost_by_scale.png`` and ``cost_by_size.png``."""
    from matplotlib.figure import Figure

    folder.mkdir(parents=True, exist_ok=True)
    series = {name: {} for name in PLOTTED}
    for section in sections:
        for timing in section['timings'] if section['benchmark'] in series else ():
            name, x = timing['name'], section['shape'][2]
            if section['benchmark'] == 'scales':
                setting, _, form = name.partition(', ')
                name, x = form or PLAIN, int(setting.partition('w')[2].rstrip('s'))
            milliseconds = 1e3 * statistics.median(timing['seconds'])
            series[section['benchmark']].setdefault(name, []).append((x, milliseconds))
    paths = []
    labels = {'scales': 'scale s, at equal FLOPs', 'sizes': 'side of the image (pixels)'}
    for benchmark, lines in series.items():
        if lines:
            figure = Figure(figsize=(6, 4), layout='constrained')
            axis = figure.subplots()
            for name, points in lines.items():
                axis.plot(*zip(*sorted(points)), 'o-', label=name, color=COLORS.get(name))
            axis.set(xlabel=labels[benchmark], ylabel='milliseconds an inference', ylim=(0, None))
            axis.grid(alpha=0.3)
            axis.legend(frameon=False, fontsize='small')
            paths.append(folder / f'cost_by_{benchmark.removesuffix("s")}.png')
            figure.savefig(paths[-1], dpi=120)
    return paths


# ---- the tool ----------------------------------------------------------------------------------


def check(options: argparse.Namespace) -> None:
    """Check what was asked for, before anything is measured.

    Raises:
        UserError: If there is no such device, an option isn't for any of the benchmarks, something can't be
            measured, or what is asked to be written can't be.
    """
    if options.device == 'cuda' and not torch.cuda.is_available():
        raise UserError('--device cuda: PyTorch sees no GPU')
    if options.device == 'cpu' and 'graphs' in options.benchmarks:
        raise UserError('graphs are CUDA graphs: --device cuda')
    for option, names in (('shapes', BENCHMARKS), ('plots', PLOTTED)):
        if getattr(options, option) and not set(names) & set(options.benchmarks):
            raise UserError(f'--{option} is for {", ".join(names)}, not for {", ".join(options.benchmarks)}')
    if options.json and Path(options.json).is_dir():
        raise UserError(f'--json {options.json} is a folder, not a file')
    folders = dict(json=options.json and Path(options.json).parent, plots=options.plots)
    for option, folder in folders.items():
        try:
            if folder:
                make_folder(Path(folder))
                tempfile.TemporaryFile(dir=folder).close()
        except OSError as error:
            path = getattr(options, option)
            raise UserError(f'--{option} {path} cannot be written: {error.strerror}') from None
    training = any(BENCHMARKS[b].training for b in options.benchmarks if b in BENCHMARKS)
    for n, _, height, width in (options.shapes or []) if training else []:
        if n == 1 and max(height, width) <= 32:
            raise UserError(f'1x{height}x{width}: BN cannot learn from the one pixel that the last stage has')
    for name in benchmark_jobs.FOLDERS.keys() & set(options.benchmarks):
        benchmark_jobs.check(name)


def main(options: argparse.Namespace) -> None:
    """Measure, print tables and write what was asked to be written.

    Raises:
        UserError: See :func:`check`; or, later, a job fails.
    """
    check(options)
    warnings.filterwarnings('ignore', '.*Profiler clears events')  # each measures a single cycle
    if options.threads:
        torch.set_num_threads(options.threads)
    console = Console(width=None if sys.stdout.isatty() else 110)
    about = machine(options.device)
    for key, value in about.items():
        console.print(f'{key}: {value}', highlight=False)
    measured = []
    for name in options.benchmarks:
        for section in sections(name, options):
            measured.append(section)
            show(section, console)
            if options.json:  # after each: a long run may be interrupted
                text = json.dumps({'machine': about, 'sections': measured}, indent=1)
                write_text(Path(options.json), text)
    for path in plot(measured, Path(options.plots)) if options.plots else ():
        print(f'Plot: {path}', file=sys.stderr)


def shape(text: str) -> tuple[int, ...]:
    """Read ``2x512x512``."""
    if text in (*BENCHMARKS, *benchmark_jobs.FOLDERS):
        raise argparse.ArgumentTypeError(f'name benchmarks ({text}) before the options')
    numbers = text.split('x')
    if len(numbers) != 3 or not all(n.isdecimal() and int(n) for n in numbers):
        raise argparse.ArgumentTypeError(f'{text!r} is not NxHxW, such as 2x512x512')
    n, height, width = map(int, numbers)
    return n, 3, height, width


def count(text: str) -> int:
    """Read a number from 1 on."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f'{text!r} is not a whole number from 1 on')
    return int(text)


def parse_args() -> argparse.Namespace:
    helps = {name: benchmark.help for name, benchmark in BENCHMARKS.items()}
    helps |= benchmark_jobs.HELP
    parser = argparse.ArgumentParser(
        description=__doc__.partition('\n')[0],
        epilog='benchmarks:\n' + '\n'.join(f'  {name:10} {text}' for name, text in helps.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add('benchmarks', nargs='*', metavar='BENCHMARK', help='see below (inference and training)')
    text = "images, of all benchmarks but jobs' (each benchmark's own)"
    add('--shapes', nargs='+', type=shape, metavar='NxHxW', help=text)
    add('--runs', type=count, default=7, metavar='N', help='timed runs of each (%(default)s)')
    add('--threads', type=count, metavar='N', help="PyTorch's threads (its own choice)")
    add('--device', choices=['cpu', 'cuda'], default='cpu', help='(%(default)s)')
    add('--json', metavar='FILE', help='write every run there, too')
    add('--plots', metavar='DIR', help='scales, sizes: draw how the cost grows into it')
    args = parser.parse_args()
    args.benchmarks = args.benchmarks or ['inference', 'training']
    for name in args.benchmarks:
        if name not in helps:
            parser.error(f'{name!r} is not one of {", ".join(helps)}')
    return args


if __name__ == '__main__':
    run_tool(lambda: main(parse_args()))
