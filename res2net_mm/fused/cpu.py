"""Fused convolutions on a CPU: oneDNN's, with weights in its own layouts."""

from functools import lru_cache
from weakref import WeakValueDictionary

import torch
from torch import Tensor

CACHED = 2**18  # bytes that surely stay in a core's cache
SHAPES = 128  # that weights are packed for; the least recently used goes


def has_onednn(x: Tensor) -> bool:
    """Whether oneDNN computes with such tensors."""
    onednn = torch.backends.mkldnn
    if x.device.type != 'cpu' or not onednn.enabled or not onednn.is_available():
        return False
    return x.dtype is torch.float32 or (
        x.dtype is torch.bfloat16 and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    )


class PackedWeight:
    """A convolution's weight in oneDNN's own layouts.

    oneDNN chooses the layout by the input's shape, and converts one of another layout in every forward, which
    can take half as long as the convolution itself. Some three layouts serve all shapes.
    """

    def __init__(self):
        self._source = None

    def __call__(self, weight: Tensor, geometry: tuple, shape: torch.Size) -> Tensor:
        """The weight for inputs of that shape."""
        if weight.is_inference():  # such as of a copy made in inference mode: no version says if it changed
            return weight
        source = weight.data_ptr(), weight.dtype, weight._version
        if self._source != source:
            layouts = WeakValueDictionary()

            @lru_cache(SHAPES)
            def pack(shape: torch.Size) -> Tensor:
                packed = torch.ops.mkldnn._reorder_convolution_weight(weight, *geometry, shape)
                layout = bytes(torch.ops.mkldnn._get_mkldnn_serialized_md(packed).tolist())
                return layouts.setdefault(layout, packed)

            self._source, self._pack = source, pack
        return self._pack(shape)


def convolve(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    geometry: tuple,
    relu: bool,
    residual: Tensor | None = None,
    overwrite: bool = False,
) -> Tensor:
    """Compute ``relu(conv(x) + residual)`` by one kernel, the one that torch.compile calls, too.

    Args:
        x (Tensor): The input, (N, C, H, W).
        weight (Tensor): The packed weight.
        bias (Tensor): The bias.
        geometry (tuple): Padding, stride, dilation and groups.
        relu (bool): Whether a ReLU follows.
        residual (Tensor, optional): What is added. Default: None.
        overwrite (bool): Whether the output may take the place of the residual. Default: False.
    """
    onednn = torch.ops.mkldnn
    if residual is None:
        after = 'relu' if relu else 'none'
        return onednn._convolution_pointwise(x, weight, bias, *geometry, after, [], '')
    after = 'relu' if relu else None
    if not overwrite and residual.shape[2:] == (1, 1):  # oneDNN refuses one's format then
        residual, overwrite = residual.clone(), True
    add = onednn._convolution_pointwise_ if overwrite else onednn._convolution_pointwise
    args = (residual, x) if overwrite else (x, residual)
    return add.binary(*args, weight, bias, *geometry, 'add', 1.0, after, [], '')


def channels_first(x: Tensor, dtype: torch.dtype) -> Tensor:
    """Copy a feature map that is channels last, some rows at a time.

    PyTorch writes one channel after another. The cache lines that it reads each hold several, and are out of
    the cache again when it comes to the next, unless it copies little at a time.
    """
    out = torch.empty(x.shape, dtype=dtype)
    rows = max(1, CACHED // max(1, x[:, :, :1].nbytes))
    for part, source in zip(out.split(rows, 2), x.split(rows, 2)):
        part.copy_(source)
    return out
