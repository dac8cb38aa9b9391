"""The splits of a block on a GPU: each convolution one Triton kernel, which adds and concatenates, too."""

import math
from functools import cache
from types import SimpleNamespace

import torch
import triton
import triton.language as tl
from torch import Tensor, nn
from torch.nn import functional as F


# One kernel for all splits and sizes of images.
@triton.jit(do_not_specialize=['split', 'pixels', 'height', 'width', 'out_height', 'out_width'])
def convolve_split(
    x_ptr, weight_ptr, bias_ptr, out_ptr,
    split, pixels, height, width, out_height, out_width, row, stride, dilation,
    CHANNELS: tl.constexpr, NEXT: tl.constexpr, TF32: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr,
):  # fmt: skip
    """Convolve one split, 3x3, with bias and ReLU, and see to the next split.

    A program computes BLOCK_M pixels of the output by BLOCK_N channels, as a product of matrices. ``row``
    elements lie from one pixel to the next. NEXT is what becomes of the next split: 'add' adds the output to
    it, 'copy' and 'pool' are of the last one, which is copied, or average-pooled, into the output beside this
    one.
    """
    x_ptr += split * CHANNELS
    out_ptr += split * CHANNELS
    columns: tl.constexpr = (CHANNELS + BLOCK_N - 1) // BLOCK_N
    steps: tl.constexpr = (CHANNELS + BLOCK_K - 1) // BLOCK_K
    program = tl.program_id(0)
    m = program // columns * BLOCK_M + tl.arange(0, BLOCK_M)
    n = program % columns * BLOCK_N + tl.arange(0, BLOCK_N)
    k = tl.arange(0, BLOCK_K)
    image = (m // (out_width * out_height)).to(tl.int64) * height
    y0 = m // out_width % out_height * stride
    x0 = m % out_width * stride

    total = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)
    for step in range(9 * steps):
        tap = step // steps
        y = y0 + (tap // 3 - 1) * dilation
        x = x0 + (tap % 3 - 1) * dilation
        inside = (m < pixels) & (y >= 0) & (y < height) & (x >= 0) & (x < width)
        channel = step % steps * BLOCK_K + k
        at = ((image + y) * width + x) * row
        mask = inside[:, None] & (channel < CHANNELS)[None, :]
        a = tl.load(x_ptr + at[:, None] + channel[None, :], mask, other=0.0)
        at = (n * 9)[None, :] * CHANNELS + (tap * CHANNELS + channel)[:, None]
        mask = (channel < CHANNELS)[:, None] & (n < CHANNELS)[None, :]
        b = tl.load(weight_ptr + at, mask, other=0.0)
        total = tl.dot(a, b, total, input_precision='tf32' if TF32 else 'ieee')

    bias = tl.load(bias_ptr + n, n < CHANNELS, other=0.0)
    total = tl.maximum(total + bias[None, :], 0.0, propagate_nan=tl.PropagateNan.ALL)
    out = total.to(out_ptr.dtype.element_ty)
    mask = (m < pixels)[:, None] & (n < CHANNELS)[None, :]
    at = m.to(tl.int64)[:, None] * row + n[None, :]
    tl.store(out_ptr + at, out, mask)
    if NEXT == 'add':
        following = tl.load(x_ptr + CHANNELS + at, mask)
        tl.store(x_ptr + CHANNELS + at, following + out, mask)
    elif NEXT == 'copy':
        tl.store(out_ptr + CHANNELS + at, tl.load(x_ptr + CHANNELS + at, mask), mask)
    elif NEXT == 'pool':
        total = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)
        for tap in tl.static_range(9):
            y = y0 + tap // 3 - 1
            x = x0 + tap % 3 - 1
            inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
            of = (((image + y) * width + x) * row)[:, None] + n[None, :]
            total += tl.load(x_ptr + CHANNELS + of, mask & inside[:, None], other=0.0)
        tl.store(out_ptr + CHANNELS + at, (total / 9).to(out_ptr.dtype.element_ty), mask)


@cache
def tiles(pixels: int, channels: int, dtype: torch.dtype) -> tuple[int, dict[str, int]]:
    """How an output is divided: into a program for each multiprocessor at least, if it is large enough.

    What was fastest on an H200, nearly.

    Returns:
        tuple[int, dict[str, int]]: The number of programs, and the kernel's options.
    """
    half = dtype is not torch.float32
    m, n = (128 if half else 64, 32) if channels <= 32 else (64, 64)
    while (programs := math.ceil(pixels / m) * math.ceil(channels / n)) < 90 and m > 16:
        m, n = (m, 32) if n > 32 else (m // 2, n)
    k, stages = 32 if channels <= 32 else 64, 4 if half else 3
    return programs, dict(BLOCK_M=m, BLOCK_N=n, BLOCK_K=k, num_warps=4, num_stages=stages)


def convolve_splits(x: Tensor, convs: nn.ModuleList, scales: int, add: bool, pool: bool) -> Tensor:
    """Compute the concatenation that a block's last convolution takes.

    Args:
        x (Tensor): The splits, (N, scales * C, H, W), best in ``channels_last``; overwritten.
        convs (nn.ModuleList): Their fused 3x3 convolutions, of C channels.
        scales (int): Number of splits.
        add (bool): Whether each output is added to the next split.
        pool (bool): Whether the last split, which has no convolution, is average-pooled.
    """
    x = x.contiguous(memory_format=torch.channels_last)
    n, row, height, width = x.shape
    channels = row // scales
    stride, dilation = convs[0].stride[0], convs[0].dilation[0]
    out_height, out_width = (height - 1) // stride + 1, (width - 1) // stride + 1
    shape = n, row, out_height, out_width
    out = torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
    pixels = n * out_height * out_width
    programs, sizes = tiles(pixels, channels, x.dtype)
    with torch.cuda.device_of(x):  # Triton starts kernels on the current one
        for split, conv in enumerate(convs):
            following = 'add' if add else ''
            if split == len(convs) - 1:
                following = '' if len(convs) == scales else 'pool' if pool else 'copy'
            weight = conv.weight.contiguous(memory_format=torch.channels_last)
            convolve_split[(programs,)](
                x, weight, conv.bias, out,
                split, pixels, height, width, out_height, out_width, row, stride, dilation,
                channels, following, x.dtype is torch.float32, **sizes,
            )  # fmt: skip
    return out


def try_out(device: torch.device) -> None:
    """Run the kernel, and compare what it computes with PyTorch's convolution.

    Raises:
        Exception: Whatever Triton says where it can't run, such as that there is no C compiler, or that its
            numbers are others.
    """

    def values(*shape: int) -> Tensor:
        numbers = torch.arange(math.prod(shape), dtype=torch.float32, device=device)
        return numbers.sin().reshape(shape).half()

    x, weight, bias = values(1, 96, 5, 7), values(32, 32, 3, 3) / 16, values(32)
    conv = SimpleNamespace(weight=weight, bias=bias, stride=(1, 1), dilation=(1, 1))
    first, second, third = x.float().split(32, 1)
    first = F.conv2d(first, weight.float(), bias.float(), padding=1).relu()
    second = F.conv2d(second + first, weight.float(), bias.float(), padding=1).relu()
    outs = convolve_splits(x, [conv, conv], 3, add=True, pool=False)
    if not torch.allclose(outs.float(), torch.cat([first, second, third], 1), rtol=0.02, atol=0.05):
        raise RuntimeError(f'Triton {triton.__version__} computes other numbers than PyTorch')
