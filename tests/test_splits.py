"""The splits of a fused block by Triton: interpreted, compiled for GPUs that aren't here, and on one."""

import math
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from helpers import GPU
from torch.nn import functional as F

from res2net_mm.fused import cuda

triton = pytest.importorskip('triton')
from triton.backends.compiler import GPUTarget  # noqa: E402
from triton.compiler import ASTSource  # noqa: E402

from res2net_mm.fused import splits  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
TYPES = {'bf16': torch.bfloat16, 'fp16': torch.float16, 'fp32': torch.float32}


def test_every_network_by_the_interpreter():
    environment = dict(os.environ, TRITON_INTERPRET='1', PYTHONPATH=f'{ROOT}{os.pathsep}{ROOT / "tests"}')
    command = [sys.executable, ROOT / 'tests' / 'interpreted_splits.py']
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert not result.returncode, result.stderr
    lines = dict(line.split(': ') for line in result.stdout.splitlines())
    by_triton = {name: int(line.split()[1]) for name, line in lines.items()}
    assert all(float(line.split()[0]) < 1e-5 for line in lines.values()), lines
    others = {'Res2NeXt', 'ResNet', 'plugins', 'GN', 'CIFAR'}  # groups, no splits, plugins, no BN
    assert {name for name, calls in by_triton.items() if not calls} == others


@pytest.mark.parametrize('capability', [80, 86, 90])
@pytest.mark.parametrize('dtype', TYPES)
@pytest.mark.parametrize(
    ('pixels', 'channels', 'following'),
    [(100_352, 32, 'add'), (784, 56, ''), (4200, 128, 'pool'), (49, 224, 'copy')],
)
def test_compiles_for_a_gpu(capability, dtype, pixels, channels, following):
    kernel = splits.convolve_split
    programs, sizes = splits.tiles(pixels, channels, TYPES[dtype])
    assert programs == math.ceil(pixels / sizes['BLOCK_M']) * math.ceil(channels / sizes['BLOCK_N'])
    sizes = dict(sizes)
    options = {name: sizes.pop(name) for name in ('num_warps', 'num_stages')}
    constants = dict(CHANNELS=channels, NEXT=following, TF32=dtype == 'fp32', **sizes)
    signature = {
        name: 'constexpr' if name in constants else f'*{dtype}' if name.endswith('_ptr') else 'i32'
        for name in kernel.arg_names
    }
    aligned = {
        (i,): [['tt.divisibility', 16]]
        for i, name in enumerate(kernel.arg_names)
        if name.endswith('_ptr') or name == 'row'
    }
    source = ASTSource(kernel, signature, constants, aligned)
    compiled = triton.compile(source, target=GPUTarget('cuda', capability, 32), options=options)
    limit = {80: 163, 86: 99, 90: 227}[capability]  # KiB of shared memory that a program may have
    assert compiled.metadata.shared <= limit * 1024
    assert 'mma' in compiled.asm['ptx']  # tensor cores


def test_where_triton_does_not_run(monkeypatch):
    def fail(device):
        raise RuntimeError('Failed to find C compiler.')

    monkeypatch.setattr(torch.cuda, 'get_device_capability', lambda device: (9, 0))
    monkeypatch.setattr(splits, 'try_out', fail)
    with pytest.warns(UserWarning, match='by cuDNN, as Triton does not run here: Failed to find C compiler'):
        assert cuda._splits.__wrapped__(torch.device('cuda', 0)) is None
    monkeypatch.setattr(torch.cuda, 'get_device_capability', lambda device: (7, 5))
    assert cuda._splits.__wrapped__(torch.device('cuda', 0)) is None


def test_other_numbers_than_pytorchs_are_not_used(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'get_device_capability', lambda device: (9, 0))
    monkeypatch.setattr(splits, 'convolve_splits', lambda x, *_, **__: x)
    with pytest.warns(UserWarning, match=r'by cuDNN.*: Triton [\d.]+ computes other numbers than PyTorch'):
        assert cuda._splits.__wrapped__(torch.device('cpu')) is None


@pytest.mark.parametrize('allowed', [True, False])
def test_tf32_is_what_the_user_says(allowed, monkeypatch):
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=allowed):
        assert cuda.tf32() == allowed
        monkeypatch.setenv('NVIDIA_TF32_OVERRIDE', '0')  # NVIDIA's own libraries heed it
        assert not cuda.tf32()


@pytest.mark.parametrize('dtype', TYPES.values())
@pytest.mark.parametrize(
    ('shape', 'scales', 'convs', 'stride', 'dilation', 'add', 'pool'),
    [
        ((2, 128, 56, 57), 4, 3, 1, 1, True, False),
        ((1, 192, 28, 29), 3, 2, 2, 1, False, True),
        ((1, 384, 14, 14), 3, 2, 1, 2, True, False),
        ((3, 896, 7, 7), 4, 3, 1, 1, True, False),
        ((1, 128, 9, 7), 4, 4, 2, 2, False, False),
        ((1, 112, 1, 1), 2, 1, 1, 1, True, False),
    ],
)
@pytest.mark.parametrize('device', [pytest.param('cuda', marks=GPU)])
def test_numbers(shape, scales, convs, stride, dilation, add, pool, dtype, device):
    generator = torch.Generator().manual_seed(0)

    def random(*shape):
        x = torch.randn(*shape, generator=generator).to(device, dtype)
        return x.contiguous(memory_format=torch.channels_last) if x.dim() == 4 else x

    channels = shape[1] // scales
    x = random(*shape)
    modules = [
        SimpleNamespace(
            weight=random(channels, channels, 3, 3) / (9 * channels) ** 0.5,
            bias=random(channels),
            stride=(stride, stride),
            dilation=(dilation, dilation),
        )
        for _ in range(convs)
    ]
    xs, ys = x.double().split(channels, 1), []
    for i, conv in enumerate(modules):
        x_i = xs[i] + ys[-1] if add and i else xs[i]
        weight, bias = conv.weight.double(), conv.bias.double()
        ys.append(F.conv2d(x_i, weight, bias, stride, dilation, dilation).relu())
    if convs < scales:
        ys.append(F.avg_pool2d(xs[-1], 3, stride, 1) if pool else xs[-1])
    expected = torch.cat(ys, 1)
    out = splits.convolve_splits(x, modules, scales, add, pool)
    error = (out.double() - expected).norm() / expected.norm()
    modules[0].bias[0] = torch.nan
    assert splits.convolve_splits(x, modules, scales, add, pool)[:, 0].isnan().all()  # as by PyTorch's ReLU
    assert error < {torch.bfloat16: 4e-3, torch.float16: 5e-4, torch.float32: 1e-3}[dtype]
