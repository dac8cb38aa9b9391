"""Times networks beside one another on the machine at hand, and counts the memory they take.

All that a table compares runs in one process, in turns, so that whatever else the machine does meets all alike.
"""

import argparse
import gc
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from .errors import UserError
from .files import replacing
from .inference import fuse
from .models import Res2Net, Res2NetDLA
from .models.conv_norm import FusedConv2d
from .results.tables import paper

V1B = dict(deep_stem=True, avg_down=True)
AS_MMDET = dict(V1B, pool_at_stride_1=False)
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
        fused (bool): Whether it is run in inference form. Default: False.
        compiled (bool): Whether torch.compile compiles it. Default: False.
        dtype (torch.dtype, optional): Another type to compute in. Default: None.
        channels_last (bool): Whether its weights are laid out channels last. Default: False.
        alone (bool): Whether its convolutions are run one by one instead, without what is between them.
            Default: False.
    """

    name: str
    build: Callable[[], nn.Module]
    package: str | None = None
    fused: bool = False
    compiled: bool = False
    dtype: torch.dtype | None = None
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
        peak, allocated = (f() - before for f in (torch.cuda.max_memory_allocated, torch.cuda.memory_allocated))
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
RESNET = dict(scales=1, base_width=64)
W14S8 = dict(scales=8, base_width=14)
mmdet_res2net = from_mm('mmdet', 'Res2Net', **RES2NET)
PEERS = [
    Contender('timm', from_timm('res2net50_26w_4s'), 'timm'),
    Contender('mmpretrain', from_mm('mmpretrain', 'Res2Net', **RES2NET), 'mmpretrain'),
    Contender('mmdet (its v1b variant)', mmdet_res2net, 'mmdet'),
    Contender('ResNet-50, mmdet', from_mm('mmdet', 'ResNet', depth=50), 'mmdet'),
]
INFERENCE = [
    *PEERS,
    Contender('14w8s, mmdet', from_mm('mmdet', 'Res2Net', **{**RES2NET, **W14S8}), 'mmdet'),
    Contender("plain form (the authors')", ours()),
    Contender('fused', ours(), fused=True),
    Contender('fused v1b, as mmdet', ours(**AS_MMDET), fused=True),
    Contender('fused 14w8s, as mmdet', ours(**W14S8, **AS_MMDET), fused=True),
    Contender('fused ResNet-50', ours(**RESNET), fused=True),
    Contender('its convolutions alone', ours(), fused=True, alone=True),
    Contender("ResNet-50's convolutions alone", ours(**RESNET), fused=True, alone=True),
    Contender('fused, half', ours(), fused=True, dtype=torch.bfloat16),
    Contender('fused v1b as mmdet, half', ours(**AS_MMDET), fused=True, dtype=torch.bfloat16),
    Contender('fused ResNet-50, half', ours(**RESNET), fused=True, dtype=torch.bfloat16),
]
COMPILED = [
    Contender('compiled', ours(), fused=True, compiled=True),
    Contender('compiled v1b, as mmdet', ours(**AS_MMDET), fused=True, compiled=True),
    Contender('compiled ResNet-50', ours(**RESNET), fused=True, compiled=True),
]
TRAINING = [
    *PEERS,
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
        ('mmdet (its v1b variant)', 'compiled v1b, as mmdet'),
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
        fuse(network, half if contender.dtype else None, contender.compiled)
    if contender.channels_last:
        network.to(memory_format=torch.channels_last)
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


def measure(contenders: list[Contender], shape: tuple[int, ...], runs: int, training: bool, device: str) -> list:
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
