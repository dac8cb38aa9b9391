"""Models in inference form: this package's networks in them fused, and compiled."""

import torch
from torch import Tensor, nn
from torch._inductor import config as inductor
from torch.nn import functional as F
from torch.nn.modules.utils import _pair

from .models.backbone import Backbone


def fuse(model: nn.Module, dtype: torch.dtype | None = None, compiled: bool = False) -> nn.Module:
    """Put all of this package's networks in a model into inference form, see :meth:`Backbone.fuse`.

    Args:
        model (nn.Module): A detector, segmentor, pose estimator, classifier or a network itself, with its
            weights loaded.
        dtype (torch.dtype, optional): What the networks compute in; the rest of the model, and what goes in
            and out of them, stays as it is. Default: None.
        compiled (bool): Whether torch.compile compiles the networks, when they first run (for minutes). On a
            CPU their weights are constants then, and loading others raises a RuntimeError. Images of other
            sizes don't compile them again; a batch of one does, one of 16 or more, and single images so
            small (below 320x320, for Res2Net-50) that PyTorch computes some convolution otherwise.
            Default: False.

    Returns:
        nn.Module: The model itself, which is as it was if it has none of the networks.

    Raises:
        TypeError: If ``dtype`` is no type that the networks compute in.
    """
    on_cpu = all(parameter.is_cpu for parameter in model.parameters())
    for module in model.modules():
        if isinstance(module, Backbone):
            module.fuse(dtype)
            if compiled:
                _pool_any_size(module)
                module.compile(dynamic=True)
                if on_cpu:
                    # Weights that are constants can be laid out as oneDNN likes them. TorchDynamo sees what
                    # is set when it traces, not torch.compile's options.
                    module._compiled_call_impl = inductor.patch(freezing=True)(module._compiled_call_impl)
                    module.register_load_state_dict_pre_hook(_refuse_weights)
    return model


def _refuse_weights(network: nn.Module, *_) -> None:
    raise RuntimeError(
        f'{type(network).__name__} is compiled with its weights as constants: load others before fuse()'
    )


@torch.library.custom_op('res2net_mm::pool', mutates_args=())
def _pool(
    x: Tensor,
    largest: bool,
    kernel: list[int],
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    ceil_mode: bool,
    count_padding: bool,
) -> Tensor:
    if largest:
        out = F.max_pool2d(x, kernel, stride, padding, dilation, ceil_mode)
    else:
        out = F.avg_pool2d(x, kernel, stride, padding, ceil_mode, count_padding)
    return out.contiguous(memory_format=_memory_format(x))


@_pool.register_fake
def _(x, largest, kernel, stride, padding, dilation, ceil_mode, count_padding):
    shape = [*x.shape[:2]]
    for n, k, s, p, d in zip(x.shape[2:], kernel, stride, padding, dilation):
        k = d * (k - 1) + 1
        size = (n + 2 * p - k + (s - 1) * ceil_mode) // s + 1
        if ceil_mode and p + s > k:  # else no window can begin beyond the map; guards on a minimum recompile
            size = torch.sym_min(size, (n + p - 1) // s + 1)
        shape.append(size)
    return x.new_empty(shape).to(memory_format=_memory_format(x))


def _memory_format(x: Tensor) -> torch.memory_format:
    return torch.channels_last if x.stride(1) == 1 else torch.contiguous_format


class _Pool(nn.Module):
    """A pooling that torch.compile doesn't look into.

    PyTorch computes a pooling's output size with a branch on the remainder of a division: for even and odd
    sizes torch.compile would compile all anew. The op has no gradient: who wants one gets PyTorch's pooling.
    """

    def __init__(self, pool: nn.MaxPool2d | nn.AvgPool2d):
        super().__init__()
        self.pool = pool

    def forward(self, x: Tensor) -> Tensor:
        """Pool."""
        pool = self.pool
        if torch.is_grad_enabled() or not torch.compiler.is_dynamo_compiling():
            return pool(x)
        sizes = [
            list(_pair(size))
            for size in (pool.kernel_size, pool.stride, pool.padding, getattr(pool, 'dilation', 1))
        ]
        count_padding = getattr(pool, 'count_include_pad', True)
        return _pool(x, isinstance(pool, nn.MaxPool2d), *sizes, pool.ceil_mode, count_padding)


def _pool_any_size(network: nn.Module) -> None:
    for module in list(network.modules()):
        for name, pool in list(module.named_children()):
            if not isinstance(pool, (nn.MaxPool2d, nn.AvgPool2d)) or isinstance(module, _Pool):
                continue
            if not (getattr(pool, 'return_indices', False) or getattr(pool, 'divisor_override', None)):
                setattr(module, name, _Pool(pool))
