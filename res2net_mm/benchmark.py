"""Times networks beside one another on the machine at hand, and counts the memory they take.

All that a table compares runs in one process, in turns, so that what else the machine does meets all alike.
"""

import argparse
import gc
import json
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from itertools import chain
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from .errors import UserError
from .files import replacing
from .fused import FusedConv2d, fuse
from .jobs import AS_MMDET, RESNET, jobs
from .models import Res2Net
from .results.paper import paper

FROZEN = dict(norm_eval=True, norm_cfg=dict(type='BN', requires_grad=False))
SETTINGS = ((1, 64), (2, 48), (4, 26), (6, 18), (8, 14))  # scale and width at equal FLOPs
GROWTH = (160, 224, 320, 448, 640)  # sides of square images


@dataclass
class Contender:
    """What is timed.

    Attributes:
        name (str): What the table calls it.
        build (Callable): Gives the network, in training mode, on the CPU.
        package (str, optional): What it needs to be installed. Default: None.
        fused (bool): Whether it is fused. Default: False.
        half (bool): Whether it computes in half precision (bfloat16 on a CPU). Default: False.
        channels_last (bool): Whether its weights are laid out channels last, and in inference images and
            maps, too. Default: False.
        alone (bool): Whether its convolutions are run one by one instead, without what is between them.
            Default: False.
    """

    name: str
    build: Callable[[], nn.Module]
    package: str | None = None
    fused: bool = False
    half: bool = False
    channels_last: bool = False
    alone: bool = False


@dataclass
class Timing:
    """What was measured of a contender.

    Attributes:
        name (str): The contender's name.
        seconds (list[float]): Of each run.
        peak (int): Bytes allocated at the run's peak, besides parameters and images.
        kept (int, optional): Bytes kept for the backward pass, and the outputs, in training. Default: None.
    """

    name: str
    seconds: list[float] = field(default_factory=list)
    peak: int = 0
    kept: int | None = None

    @property
    def median(self) -> float:
        """The middle one of the times, in seconds."""
        return statistics.median(self.seconds)


def memory(function: Callable[[], object], device: str = 'cpu') -> tuple[int, int]:
    """Bytes that a call allocates at its peak, and those still there when it returns, its result among them.

    After a forward pass in training these are what is kept for the backward pass, and the outputs.
    """
    if device == 'cuda':
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        result = function()
        torch.cuda.synchronize()
        peak, allocated = (
            f() - before for f in (torch.cuda.max_memory_allocated, torch.cuda.memory_allocated)
        )
    else:
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True, acc_events=True) as profiler:
            result = function()
        allocated = peak = 0
        for event in profiler.profiler.kineto_results.events():
            if event.name() == '[memory]':
                allocated += event.nbytes()
                peak = max(peak, allocated)
    del result
    return peak, allocated


def from_mm(package: str, kind: str, **arguments) -> Callable[[], nn.Module]:
    """A builder of one of mmdet's or mmpretrain's networks."""

    def build() -> nn.Module:
        from importlib import import_module

        return getattr(import_module(f'{package}.models.backbones'), kind)(**arguments)

    return build


def from_timm(name: str) -> Callable[[], nn.Module]:
    """A builder of one of timm's networks, less its classifier."""

    def build() -> nn.Module:
        import timm

        return timm.create_model(name, features_only=True, out_indices=(1, 2, 3, 4))

    return build


def ours(**arguments) -> Callable[[], nn.Module]:
    """A builder of a Res2Net of this package."""
    return lambda: Res2Net(**{'depth': 50, **arguments})


RES2NET = dict(depth=50, scales=4, base_width=26, out_indices=(0, 1, 2, 3))
LEARNING = dict(norm_eval=False)  # mmdet's networks keep BN's statistics in training unless they are told
W14S8 = dict(scales=8, base_width=14)
mmdet_res2net = from_mm('mmdet', 'Res2Net', **RES2NET, **LEARNING)
PEERS = [
    Contender('timm', from_timm('res2net50_26w_4s'), 'timm'),
    Contender('mmpretrain', from_mm('mmpretrain', 'Res2Net', **RES2NET), 'mmpretrain'),
    Contender('mmdet (its v1b variant)', mmdet_res2net, 'mmdet'),
    Contender('ResNet-50, mmdet', from_mm('mmdet', 'ResNet', depth=50, **LEARNING), 'mmdet'),
]
INFERENCE = [
    *PEERS,
    Contender('mmdet, channels last', mmdet_res2net, 'mmdet', channels_last=True),
    Contender('14w8s, mmdet', from_mm('mmdet', 'Res2Net', **{**RES2NET, **W14S8}), 'mmdet'),
    Contender("plain form (the authors')", ours()),
    Contender('fused', ours(), fused=True),
    Contender('fused v1b, as mmdet', ours(**AS_MMDET), fused=True),
    Contender('fused v1b, as mmdet, channels last', ours(**AS_MMDET), fused=True, channels_last=True),
    Contender('fused 14w8s, as mmdet', ours(**W14S8, **AS_MMDET), fused=True),
    Contender('fused, channels last', ours(), fused=True, channels_last=True),
    Contender('fused ResNet-50', ours(**RESNET), fused=True),
    Contender('its convolutions alone', ours(), fused=True, alone=True),
    Contender("ResNet-50's convolutions alone", ours(**RESNET), fused=True, alone=True),
    Contender('fused, half', ours(), fused=True, half=True),
    Contender('fused v1b as mmdet, half', ours(**AS_MMDET), fused=True, half=True),
    Contender('fused ResNet-50, half', ours(**RESNET), fused=True, half=True),
]
TRAINING = [
    *PEERS,
    Contender('mmdet, channels last', mmdet_res2net, 'mmdet', channels_last=True),
    Contender('Res2Net-50', ours()),
    Contender('v1b, as mmdet', ours(**AS_MMDET)),
    Contender('v1b, as mmdet, channels last', ours(**AS_MMDET), channels_last=True),
    Contender('ResNet-50', ours(**RESNET)),
    Contender('mmdet, BN frozen', from_mm('mmdet', 'Res2Net', **RES2NET, **FROZEN), 'mmdet'),
    Contender('v1b, as mmdet, BN frozen', ours(**AS_MMDET, **FROZEN)),
    Contender('v1b, as mmdet, BN frozen, channels last', ours(**AS_MMDET, **FROZEN), channels_last=True),
]
# What is set beside what: the first by the second.
RATIOS = {
    'inference': [
        ('mmdet (its v1b variant)', 'fused v1b, as mmdet'),
        ('mmdet (its v1b variant)', 'fused'),
        ('mmdet (its v1b variant)', 'fused v1b, as mmdet, channels last'),
        ('mmdet (its v1b variant)', 'fused, channels last'),
        ('mmdet, channels last', 'fused v1b, as mmdet, channels last'),
        ('mmdet (its v1b variant)', 'fused v1b as mmdet, half'),
        ('14w8s, mmdet', 'fused 14w8s, as mmdet'),
        ('mmpretrain', 'fused'),
        ('timm', 'fused'),
        ('fused', 'fused ResNet-50'),
        ('its convolutions alone', "ResNet-50's convolutions alone"),
        ('fused', 'its convolutions alone'),
    ],
    'training': [
        ('mmdet (its v1b variant)', 'v1b, as mmdet'),
        ('mmdet (its v1b variant)', 'v1b, as mmdet, channels last'),
        ('mmdet, channels last', 'v1b, as mmdet, channels last'),
        ('mmdet, BN frozen', 'v1b, as mmdet, BN frozen'),
        ('mmdet, BN frozen', 'v1b, as mmdet, BN frozen, channels last'),
        ('mmpretrain', 'Res2Net-50'),
        ('timm', 'Res2Net-50'),
    ],
}


def prepare(contender: Contender, images: Tensor, training: bool) -> Callable[[], object]:
    """Build a contender's network; what is returned runs it once.

    In training that is a forward and a backward pass, without an optimizer's step, which is alike for all.
    """
    torch.manual_seed(0)
    network = contender.build().to(images.device)
    network.train(training)
    half = torch.bfloat16 if images.device.type == 'cpu' else torch.float16
    if contender.fused:
        network = fuse(network, half if contender.half else None)
    if contender.channels_last:
        network.to(memory_format=torch.channels_last)
        if not training:
            images = images.to(memory_format=torch.channels_last)
    if contender.alone:
        return _alone(network, images)
    if not training:
        return lambda: network(images)

    def step() -> Tensor:
        network.zero_grad()
        loss = sum(features.mean() for features in network(images))
        loss.backward()
        return loss

    step.forward = lambda: network(images)
    return step


def _alone(network: nn.Module, images: Tensor) -> Callable[[], float]:
    """A function that runs a network's convolutions alone; it returns their seconds."""
    calls = []

    def record(conv: nn.Module, inputs: tuple[Tensor, ...], _) -> None:
        calls.append((conv, inputs[0].clone(memory_format=torch.channels_last)))

    hooks = [m.register_forward_hook(record) for m in network.modules() if isinstance(m, FusedConv2d)]
    network(images)
    for hook in hooks:
        hook.remove()

    def run() -> float:
        seconds = 0.0
        for conv, x in calls:
            start = time.perf_counter()
            out = conv(x)
            if out.is_cuda:
                torch.cuda.synchronize()
            seconds += time.perf_counter() - start
        return seconds

    return run


def measure(
    contenders: list[Contender], shape: tuple[int, ...], runs: int, training: bool, device: str
) -> list[Timing]:
    """Time some contenders in turns.

    Args:
        contenders (list[Contender]): What to time; those whose package is not installed are left out.
        shape (tuple[int, ...]): Of the images, (N, 3, H, W).
        runs (int): How often each is timed, after two runs that are not.
        training (bool): Whether steps of a training are timed.
        device (str): 'cpu' or 'cuda'.

    Returns:
        list[Timing]: Of each, in their order.
    """
    images = torch.rand(shape, generator=torch.Generator().manual_seed(0)).to(device)
    functions = {}
    results = []
    with torch.set_grad_enabled(training):
        for contender in contenders:
            if contender.package and find_spec(contender.package) is None:
                continue
            function = functions[contender.name] = prepare(contender, images, training)
            timing = Timing(contender.name)
            for _ in range(2):
                function()
            if not contender.alone:
                timing.peak = memory(function, device)[0]
                timing.kept = memory(function.forward, device)[1] if training else None
            results.append(timing)
            gc.collect()
        for _ in range(runs):
            for timing in results:
                start = time.perf_counter()
                own = functions[timing.name]()
                if device == 'cuda':
                    torch.cuda.synchronize()
                seconds = time.perf_counter() - start
                timing.seconds.append(own if isinstance(own, float) else seconds)
    return results


def machine(device: str) -> dict[str, str]:
    """What was measured on, with what."""
    packages = ('torch', 'timm', 'mmengine', 'mmcv', 'mmdet', 'mmpose', 'mmpretrain', 'res2net_mm')
    versions = {}
    for name in packages:
        if find_spec(name) is not None:
            # OneDL's distributions are called otherwise than the packages in them
            versions[name] = __import__(name).__version__
    return {
        'device': torch.cuda.get_device_name() if device == 'cuda' else _processor(),
        'threads': str(torch.get_num_threads()),
        'versions': ', '.join(f'{name} {number}' for name, number in versions.items()),
    }


def _processor() -> str:
    """The CPU's name, and which of its wide instructions PyTorch uses."""
    name = platform.processor() or platform.machine()
    info = Path('/proc/cpuinfo')
    if info.exists():
        lines = info.read_text().splitlines()
        name = next((line.partition(':')[2].strip() for line in lines if 'model name' in line), name)
    amx = torch.cpu._is_amx_tile_supported() if hasattr(torch.cpu, '_is_amx_tile_supported') else False
    return f'{name}, {torch.backends.cpu.get_cpu_capability()}{" with AMX" if amx else ""}'


def inference(options: argparse.Namespace) -> Iterator[dict]:
    """The networks beside their peers, at several sizes of images."""
    contenders = INFERENCE
    shapes = [(1, 3, 224, 224), (2, 3, 512, 512), (1, 3, 800, 1333)]
    return (_section('inference', contenders, shape, options) for shape in options.shapes or shapes)


def training(options: argparse.Namespace) -> Iterator[dict]:
    """A step of their training (forward and backward pass), and what it keeps in between."""
    shapes = options.shapes or [(2, 3, 256, 256), (2, 3, 512, 512)]
    for n, _, height, width in shapes:
        if n == 1 and max(height, width) <= 32:
            raise UserError(
                f'{n}x{height}x{width}: BN cannot learn from the one pixel that the last stage has'
            )
    return (_section('training', TRAINING, shape, options, True) for shape in shapes)


def table3(options: argparse.Namespace) -> Iterator[dict]:
    """The runtimes of Table 3's networks: their ratios to ResNet-50 beside the paper's."""
    return (_table3(shape, options) for shape in options.shapes or [(1, 3, 224, 224)])


def _table3(shape: tuple, options: argparse.Namespace) -> dict:
    rows = {}
    for row in paper()['tables']['3']['groups'][0]['rows']:
        network, setting = row['row']
        published = row.get('paper', [None, None])[1]
        if published:
            rows[f'{network.split(" ")[0]} {setting}'] = float(published.removesuffix('ms'))
    base = next(iter(rows))
    contenders = []
    for name in rows:
        width, _, scales = name.split(' ')[-1].partition('×')
        network = ours(scales=int(scales.rstrip('s') or 1), base_width=int(width.rstrip('w')))
        contenders += [Contender(name, network), Contender(f'{name}, fused', network, fused=True)]
    section = _section('table3', contenders, shape, options)
    medians = {t['name']: statistics.median(t['seconds']) for t in section['timings']}
    section['ratios'] = [
        {
            'of': f'{name}{form}',
            'to': f'{base}{form}',
            'ratio': medians[f'{name}{form}'] / medians[f'{base}{form}'],
            'paper': rows[name] / rows[base],
        }
        for name in rows
        if name != base
        for form in ('', ', fused')
    ]
    return section


def scales(options: argparse.Namespace) -> Iterator[dict]:
    """How the cost grows with the scale, at equal FLOPs."""
    contenders = []
    for s, w in SETTINGS:
        peer = from_mm('mmdet', 'Res2Net', **{**RES2NET, 'scales': s, 'base_width': w})
        if s > 1:  # mmdet's has no scale 1
            contenders.append(Contender(f'{w}w{s}s, mmdet', peer, 'mmdet'))
        network = ours(scales=s, base_width=w)
        contenders += [Contender(f'{w}w{s}s', network), Contender(f'{w}w{s}s, fused', network, fused=True)]
    return (_section('scales', contenders, shape, options) for shape in options.shapes or [(2, 3, 512, 512)])


def sizes(options: argparse.Namespace) -> Iterator[dict]:
    """How the cost grows with the size of the images."""
    names = 'mmdet (its v1b variant)', "plain form (the authors')", 'fused', 'fused ResNet-50'
    contenders = [c for c in INFERENCE if c.name in names]
    shapes = options.shapes or [(1, 3, side, side) for side in GROWTH]
    return (_section('sizes', contenders, shape, options) for shape in shapes)


BENCHMARKS = {f.__name__: f for f in (inference, training, table3, scales, sizes, jobs)}


def _section(
    name: str, contenders: list[Contender], shape: tuple, options: argparse.Namespace, learning: bool = False
) -> dict:
    title = f'{name}, images {"x".join(map(str, shape))}'
    print(f'{title} ...', file=sys.stderr, flush=True)
    timings = measure(contenders, shape, options.runs, learning, options.device)
    medians = {timing.name: timing.median for timing in timings}
    return {
        'benchmark': name,
        'title': title,
        'shape': list(shape),
        'left_out': [c.name for c in contenders if c.name not in medians],
        'timings': [asdict(timing) for timing in timings],
        'ratios': [
            {'of': a, 'to': b, 'ratio': medians[a] / medians[b]}
            for a, b in RATIOS.get(name, ())
            if a in medians and b in medians
        ],
    }


# What else may be known of a contender: the column, and how it is written.
OTHERS = {
    'peak': ('peak MiB', lambda number: f'{number / 2**20:.0f}'),
    'kept': ('kept MiB', lambda number: f'{number / 2**20:.0f}'),
    'rate': ('images a second', lambda number: f'{number:.2f}'),
    'process': ('whole process, s', lambda seconds: f'{statistics.median(seconds):.1f}'),
}


def show(section: dict, console: Console) -> None:
    """Print a section of the report as tables."""
    table = Table(title=section['title'], title_justify='left')
    table.add_column('network')
    for column in ('median ms', 'least', 'most'):
        table.add_column(column, justify='right')
    others = [key for key in OTHERS if any(timing.get(key) is not None for timing in section['timings'])]
    for key in others:
        table.add_column(OTHERS[key][0], justify='right')
    for timing in section['timings']:
        seconds = timing['seconds']
        cells = [f'{1e3 * s:.1f}' for s in (statistics.median(seconds), min(seconds), max(seconds))]
        cells += [OTHERS[key][1](timing[key]) if timing[key] else '-' for key in others]
        table.add_row(timing['name'], *cells)
    console.print(table)
    if section['ratios']:
        published = any('paper' in ratio for ratio in section['ratios'])
        ratios = Table(title='ratios of the medians', title_justify='left')
        for column in ('time of', 'by that of', 'ratio', *(["the paper's"] if published else [])):
            ratios.add_column(column, justify='left' if 'of' in column else 'right')
        for ratio in section['ratios']:
            cells = [f'{ratio["paper"]:.3f}'] if published else []
            ratios.add_row(ratio['of'], ratio['to'], f'{ratio["ratio"]:.3f}', *cells)
        console.print(ratios)
    if section['left_out']:
        console.print(f'Not installed, left out: {", ".join(section["left_out"])}')


def plot(sections: list[dict], folder: Path) -> list[Path]:
    """Draw how the cost grows with scale and with size.

    Args:
        sections (list[dict]): What was measured.
        folder (Path): Where ``cost_by_scale.png`` and ``cost_by_size.png`` go.
    """
    from matplotlib.figure import Figure

    folder.mkdir(parents=True, exist_ok=True)
    series = {'scales': {}, 'sizes': {}}
    for section in sections:
        for timing in section['timings'] if section['benchmark'] in series else ():
            name, x = timing['name'], section['shape'][2]
            if section['benchmark'] == 'scales':
                setting, _, form = name.partition(', ')
                name, x = form or "plain form (the authors')", int(setting.partition('w')[2].rstrip('s'))
            milliseconds = 1e3 * statistics.median(timing['seconds'])
            series[section['benchmark']].setdefault(name, []).append((x, milliseconds))
    paths = []
    labels = {'scales': 'scale s, at equal FLOPs', 'sizes': 'side of the image (pixels)'}
    for benchmark, lines in series.items():
        if lines:
            figure = Figure(figsize=(6, 4), layout='constrained')
            axis = figure.subplots()
            for name, points in lines.items():
                axis.plot(*zip(*sorted(points)), 'o-', label=name)
            axis.set(xlabel=labels[benchmark], ylabel='milliseconds an inference', ylim=(0, None))
            axis.grid(alpha=0.3)
            axis.legend(frameon=False, fontsize='small')
            paths.append(folder / f'cost_by_{benchmark.removesuffix("s")}.png')
            figure.savefig(paths[-1], dpi=120)
    return paths


# The benchmarks that read an option.
READ_BY = {
    'shapes': ('inference', 'training', 'table3', 'scales', 'sizes'),
    'plots': ('scales', 'sizes'),
}


def check(options: argparse.Namespace) -> None:
    """Check what ``tools/benchmark.py`` was asked for, before anything is measured.

    Raises:
        UserError: If there is no such device, an option isn't for any of the benchmarks, or what is asked
            to be written can't be.
    """
    if options.device == 'cuda' and not torch.cuda.is_available():
        raise UserError('--device cuda: PyTorch sees no GPU')
    for option, names in READ_BY.items():
        if getattr(options, option) and not set(names) & set(options.benchmarks):
            raise UserError(f'--{option} is for {", ".join(names)}, not for {", ".join(options.benchmarks)}')
    for option in ('json', 'plots'):
        path = getattr(options, option)
        try:
            if path and option == 'json' and Path(path).is_dir():
                raise UserError(f'--json {path} is a folder, not a file')
            if path:
                folder = Path(path) if option == 'plots' else Path(path).parent
                folder.mkdir(parents=True, exist_ok=True)
                tempfile.TemporaryFile(dir=folder).close()
        except OSError as error:
            raise UserError(f'--{option} {path} cannot be written: {error.strerror}') from None


def main(options: argparse.Namespace) -> None:
    """Run what ``tools/benchmark.py`` was asked for, print tables and write what was asked to be written.

    Raises:
        UserError: See :func:`check`; or a benchmark's own, before anything is measured.
    """
    check(options)
    benchmarks = [BENCHMARKS[name](options) for name in options.benchmarks]
    if options.threads:
        torch.set_num_threads(options.threads)
    console = Console(width=None if sys.stdout.isatty() else 110)
    about = machine(options.device)
    for key, value in about.items():
        console.print(f'{key}: {value}', highlight=False)
    sections = []
    for section in chain.from_iterable(benchmarks):
        sections.append(section)
        show(section, console)
        if options.json:  # after each: a long run may be interrupted
            with replacing(Path(options.json)) as part:
                part.write_text(json.dumps({'machine': about, 'sections': sections}, indent=1))
    for path in plot(sections, Path(options.plots)) if options.plots else ():
        print(f'Plot: {path}', file=sys.stderr)
