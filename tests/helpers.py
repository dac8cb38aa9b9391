"""What several tests use."""

from collections.abc import Iterable
from importlib.util import find_spec

import pytest
import torch
from torch import Tensor, nn

GPU = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')]
on_every_device = pytest.mark.parametrize('device', ['cpu', pytest.param('cuda', marks=GPU)])
ENVIRONMENT = dict(cpu=dict(CUDA_VISIBLE_DEVICES=''), cuda={})  # of a tool that is to run there
COMPILED_OPS = find_spec('mmcv._ext').origin.endswith('.so')  # they know no bfloat16 on a CPU

torch.backends.cudnn.allow_tf32 = False  # PyTorch's default has convolutions of float32 rounded to 10 bits


def each_on_a_cpu(argument: str, values: Iterable, some_on_a_gpu: Iterable) -> pytest.MarkDecorator:
    """Parametrize a test by an argument and the device."""
    cases = [(value, 'cpu') for value in values]
    cases += [pytest.param(value, 'cuda', marks=GPU) for value in some_on_a_gpu]
    return pytest.mark.parametrize(f'{argument},device', cases)


def assert_close(outs: Tensor | Iterable[Tensor], expected: Tensor | Iterable[Tensor], exact: bool = False):
    """Compare float32 to 1e-5 of the largest value on a GPU, else as PyTorch does, or on a CPU bit by bit."""
    pairs = [(outs, expected)] if torch.is_tensor(expected) else zip(outs, expected, strict=True)
    for a, b in pairs:
        tolerances = dict(rtol=0, atol=0) if exact and not b.is_cuda else {}
        if b.is_cuda and b.dtype is torch.float32:  # its kernels depend on the shape and on free memory
            tolerances = dict(rtol=0, atol=1e-5 * float(b.abs().max()))
        torch.testing.assert_close(a, b, **tolerances)


def image(*size: int) -> Tensor:
    """The same random numbers each time, (N, C, H, W)."""
    return torch.rand(*size, generator=torch.Generator().manual_seed(1))


def smooth(module: nn.Module) -> nn.Module:
    """Give a network no ReLU: rounding may change an argument's sign, and with it the gradients."""
    for parent in list(module.modules()):
        for name, layer in parent.named_children():
            if isinstance(layer, nn.ReLU):
                setattr(parent, name, nn.Softplus())
    return module


def randomize(module: nn.Module) -> nn.Module:
    """Give a network statistics and affine parameters that no layer's omission would leave unnoticed."""
    generator = torch.Generator().manual_seed(0)
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.weight.data.uniform_(0.5, 1.5, generator=generator)
            layer.bias.data.uniform_(-0.2, 0.2, generator=generator)
            layer.running_mean.uniform_(-0.2, 0.2, generator=generator)
            layer.running_var.uniform_(0.5, 1.5, generator=generator)
    module.eval()  # mmdet's networks return nothing from it
    return module
