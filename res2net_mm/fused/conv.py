"""Convolutions that take in what follows them: normalization, residual and ReLU."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.compiler import is_compiling
from torch.jit import is_tracing
from torch.nn import functional as F
from torch.nn.modules import module
from torch.nn.modules.batchnorm import _BatchNorm

from . import cpu, cuda


class _Thread(threading.local):
    watched = False


_thread = _Thread()


@contextmanager
def watched() -> Iterator[None]:
    """A forward of this thread in which nothing is inferring: hooks or torch.func look on."""
    before, _thread.watched = _thread.watched, True
    try:
        yield
    finally:
        _thread.watched = before


def has_global_hooks() -> bool:
    """Whether there are hooks of all modules."""
    kinds = 'forward', 'forward_pre', 'backward', 'backward_pre'
    return any(getattr(module, f'_global_{kind}_hooks') for kind in kinds)


def transforming() -> bool:
    """Whether forward-mode autograd or a transform of torch.func, such as vmap, is at work."""
    return forward_ad._current_level >= 0 or torch._C._functorch.maybe_current_level() is not None


def inferring(x: Tensor, residual: Tensor | None = None) -> bool:
    """Whether nothing looks on at what is done with tensors: no autograd, tracer, compiler, nor hook.

    What is done must be PyTorch's own operators else, and overwrite nothing.
    """
    if is_compiling() or is_tracing() or _thread.watched or forward_ad._current_level >= 0:
        return False
    return not (x.requires_grad or (residual is not None and residual.requires_grad))


def can_fold(conv: nn.Module, norm: nn.Module) -> bool:
    """Whether a normalization, by its running statistics, is something that the convolution can do, too."""
    return (
        type(conv) is nn.Conv2d
        and conv.padding_mode == 'zeros'
        and isinstance(norm, _BatchNorm)
        and norm.affine
        and norm.track_running_stats
    )


def _double(x: Tensor) -> Tensor:
    try:
        return x.double()
    except TypeError:  # of Apple's GPU, which has no float64
        return x.cpu().double()


class FusedConv2d(nn.Module):
    """A convolution with its BN folded in, residual and ReLU in the same kernel where the device has one.

    Elsewhere, and where something looks on, see :func:`inferring`, it is PyTorch's convolution, addition
    and ReLU.

    Args:
        conv (nn.Conv2d): The convolution.
        norm (_BatchNorm): Its normalization, see :func:`can_fold`.
        relu (bool): Whether a ReLU follows. Default: False.
    """

    def __init__(self, conv: nn.Conv2d, norm: _BatchNorm, relu: bool = False):
        super().__init__()
        self.relu = relu
        self.stride, self.padding, self.dilation, self.groups = (
            conv.stride,
            conv.padding,
            conv.dilation,
            conv.groups,
        )
        with torch.no_grad():
            scale = _double(norm.weight) * (_double(norm.running_var) + norm.eps).rsqrt()
            mean = _double(norm.running_mean) - (0 if conv.bias is None else _double(conv.bias))
            weight = _double(conv.weight) * scale.reshape(-1, 1, 1, 1)
            bias = _double(norm.bias) - mean * scale
        weight = weight.to(conv.weight, memory_format=torch.channels_last)
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.bias = nn.Parameter(bias.to(conv.weight), requires_grad=False)
        self._packed = cpu.PackedWeight()

    def __getstate__(self) -> dict:
        return {**self.__dict__, '_packed': cpu.PackedWeight()}  # it can be neither copied nor saved

    def extra_repr(self) -> str:
        """The shape and what else tells the convolution."""
        names = 'stride', 'padding', 'dilation', 'groups', 'relu'
        return ', '.join([f'{tuple(self.weight.shape)}', *(f'{n}={getattr(self, n)}' for n in names)])

    def forward(self, x: Tensor, residual: Tensor | None = None, overwrite: bool = False) -> Tensor:
        """Compute ``relu(conv(x) + residual)``.

        Args:
            x (Tensor): The input, (N, C, H, W).
            residual (Tensor, optional): What is added, of the output's shape. Default: None.
            overwrite (bool): Whether the output may take the place of the residual. Default: False.
        """
        geometry = self.padding, self.stride, self.dilation, self.groups
        if inferring(x, residual):
            if self.relu and cuda.has_cudnn(x):
                return cuda.convolve_relu(x, self.weight, self.bias, geometry, residual)
            if cpu.has_onednn(x):
                weight = self._packed(self.weight, geometry, x.shape)
                return cpu.convolve(x, weight, self.bias, geometry, self.relu, residual, overwrite)
        out = F.conv2d(x, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)
        if residual is not None:
            out += residual
        return F.relu(out, inplace=True) if self.relu else out


class UnfusedConv2d(nn.Module):
    """A convolution and its normalization that can't be fused, called as :class:`FusedConv2d` is.

    Args:
        conv (nn.Module): The convolution.
        norm (nn.Module): Its normalization.
        relu (bool): Whether a ReLU follows. Default: False.
    """

    def __init__(self, conv: nn.Module, norm: nn.Module, relu: bool = False):
        super().__init__()
        self.conv = conv
        self.norm = norm
        self.relu = relu

    def forward(self, x: Tensor, residual: Tensor | None = None, overwrite: bool = False) -> Tensor:
        """Compute ``relu(norm(conv(x)) + residual)``."""
        out = self.norm(self.conv(x))
        if residual is not None:
            out = out + residual
        return F.relu(out) if self.relu else out


def fuse_conv(conv: nn.Module, norm: nn.Module, relu: bool = False) -> nn.Module:
    """Make one module of a convolution, its normalization and, with ``relu``, the ReLU after it."""
    return (FusedConv2d if can_fold(conv, norm) else UnfusedConv2d)(conv, norm, relu)
