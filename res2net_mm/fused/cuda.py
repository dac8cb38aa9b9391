"""Fused convolutions on a GPU: cuDNN's, with channel counts that suit tensor cores, and CUDA graphs."""

import gc
import os
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from types import ModuleType

import torch
from torch import Tensor, nn

ALIGNMENT = 32  # channels; tensor cores take 8 at least, 32 is the fastest for a split of 26


def has_cudnn(x: Tensor) -> bool:
    """Whether cuDNN computes with such tensors, by the functions below."""
    if not x.is_cuda or torch.version.hip or not torch.backends.cudnn.enabled or not x.numel():
        return False
    # Autocast doesn't know these functions: it would convert what is between them.
    return x.dtype in (torch.float16, torch.bfloat16, torch.float32) and not torch.is_autocast_enabled('cuda')


def convolve_relu(
    x: Tensor, weight: Tensor, bias: Tensor, geometry: tuple, residual: Tensor | None = None
) -> Tensor:
    """Compute ``relu(conv(x) + residual)`` by one kernel.

    Args:
        x (Tensor): The input, (N, C, H, W).
        weight (Tensor): The weight, best in ``channels_last``.
        bias (Tensor): The bias.
        geometry (tuple): Padding, stride, dilation and groups.
        residual (Tensor, optional): What is added. Default: None.
    """
    padding, stride, dilation, groups = geometry
    arguments = bias, stride, padding, dilation, groups
    if residual is None:
        return torch.cudnn_convolution_relu(x, weight, *arguments)
    return torch.cudnn_convolution_add_relu(x, weight, residual, 1.0, *arguments)


def tf32() -> bool:
    """Whether convolutions of float32 may compute in TF32."""
    if os.environ.get('NVIDIA_TF32_OVERRIDE') == '0':
        return False
    cudnn = torch.backends.cudnn
    return cudnn.conv.fp32_precision == 'tf32' if hasattr(cudnn, 'conv') else cudnn.allow_tf32


def triton_splits(x: Tensor) -> ModuleType | None:
    """The module :mod:`.splits`, if Triton can convolve such splits by tensor cores."""
    return _splits(x.device) if has_cudnn(x) and (x.dtype is not torch.float32 or tf32()) else None


@cache
def _splits(device: torch.device) -> ModuleType | None:
    if torch.cuda.get_device_capability(device) < (8, 0):
        return None
    try:
        from . import splits

        splits.try_out(device)
    except Exception as error:  # whatever Triton or the compiler that it calls says
        warnings.warn(
            f'the splits are convolved by cuDNN, as Triton does not run here: {error}', stacklevel=2
        )
        return None
    return splits


def align(conv1: nn.Module, convs: nn.ModuleList, conv3: nn.Module, scales: int) -> int:
    """Pad the splits of a fused block with channels that are zero, so that cuDNN need not in every forward.

    Args:
        conv1 (FusedConv2d): What computes the splits.
        convs (nn.ModuleList): The convolutions between, one a split.
        conv3 (FusedConv2d): What takes the concatenation.
        scales (int): Number of splits.

    Returns:
        int: Channels of a split.
    """
    width = convs[0].weight.shape[1]
    aligned = -(-width // ALIGNMENT) * ALIGNMENT
    index = torch.arange(scales * width)
    index = index // width * aligned + index % width  # where the channels go
    _spread(conv1, scales * aligned, index)
    for conv in convs:
        _spread(conv, aligned, index[:width], aligned, index[:width])
    _spread(conv3, None, None, scales * aligned, index)
    return aligned


def _spread(conv: nn.Module, out: int | None, out_index, channels: int | None = None, index=None) -> None:
    """Give a convolution more output and input channels, which are zero, in place."""
    weight, bias = conv.weight, conv.bias
    if channels:
        wider = weight.new_zeros(weight.shape[0], channels, *weight.shape[2:])
        wider[:, index] = weight
        weight = wider
    if out:
        wider, wider_bias = weight.new_zeros(out, *weight.shape[1:]), bias.new_zeros(out)
        wider[out_index], wider_bias[out_index] = weight, bias
        weight, bias = wider, wider_bias
    conv.weight = nn.Parameter(weight.contiguous(memory_format=torch.channels_last), requires_grad=False)
    conv.bias = nn.Parameter(bias.detach(), requires_grad=False)


@contextmanager
def capturing(device: torch.device) -> Iterator[None]:
    """Where CUDA graphs are captured, and what comes before; the current stream is the same after a failure.

    No garbage is collected meanwhile: a CUDA graph in it would end the capture.
    """
    gc.collect()
    collects = gc.isenabled()
    gc.disable()
    with torch.cuda.device(device):
        current = torch.cuda.current_stream()
        try:
            yield
        finally:
            torch.cuda.set_stream(current)
            if collects:
                gc.enable()


class Graphs:
    """A network as CUDA graphs, one for each shape of input: a replay costs no launches.

    Each stream has graphs of its own. Weights may change in place; others in their place are noticed, as is
    whether TF32 is allowed. After something that can't be captured, which a warning says, what has no graph
    yet runs as it is.

    Args:
        network (nn.Module): Maps a Tensor to a Tensor or a tuple of them, without autograd.
        limit (int): Number of graphs; the least recently used goes. Each holds its outputs. Default: 16.
        channels_last (bool): Whether the network takes images in ``channels_last``. Default: True.
    """

    def __init__(self, network: nn.Module, limit: int = 16, channels_last: bool = True):
        self.network = network
        self.limit = limit
        self.channels_last = channels_last
        self._replays: OrderedDict[tuple, Callable] = OrderedDict()
        self._captures = True
        self._pools = {}
        self._tensors = [
            (tensors, name)
            for module in network.modules()
            for tensors in (module._parameters, module._buffers)
            for name in tensors
        ]

    def __call__(self, x: Tensor, dtype: torch.dtype) -> Tensor | tuple[Tensor, ...]:
        """Compute the network's outputs, which the next call overwrites.

        Args:
            x (Tensor): The input, (N, C, H, W), of any type and memory format.
            dtype (torch.dtype): What the network takes.
        """
        stream = torch.cuda.current_stream(x.device)
        weights = tuple(t.data_ptr() for ts, name in self._tensors if (t := ts[name]) is not None)
        key = x.shape, dtype, x.device, stream.cuda_stream, tf32(), weights
        if key not in self._replays and self._captures:
            if len(self._replays) >= self.limit:
                stream.synchronize()  # it may be running
                self._replays.popitem(last=False)
            if stream.cuda_stream not in self._pools:
                # Memory is of a pool and of a stream: graphs share it on one alone.
                self._pools[stream.cuda_stream] = torch.cuda.graph_pool_handle(), torch.cuda.Stream(x.device)
            where = self._pools[stream.cuda_stream]
            if replay := capture(self.network, x, dtype, self.channels_last, *where):
                self._replays[key] = replay
            else:
                self._captures = False  # after some failures PyTorch can't capture any more
        if key not in self._replays:
            memory_format = torch.channels_last if self.channels_last else torch.contiguous_format
            return self.network(x.to(dtype=dtype, memory_format=memory_format))
        self._replays.move_to_end(key)
        return self._replays[key](x)

    def __deepcopy__(self, memo: dict) -> 'Graphs':
        return type(self)(memo.get(id(self.network), self.network), self.limit, self.channels_last)

    def __reduce__(self):
        return type(self), (self.network, self.limit, self.channels_last)


def capture(
    network: nn.Module, x: Tensor, dtype: torch.dtype, channels_last: bool, pool, side: torch.cuda.Stream
) -> Callable[[Tensor], object] | None:
    """Capture a network's forward for inputs of one shape.

    Returns:
        Callable | None: Maps an input to the outputs; None if there could be no capture, as a warning says.
    """
    current = torch.cuda.current_stream(x.device)
    memory_format = torch.channels_last if channels_last else torch.contiguous_format
    with torch.inference_mode(False), torch.no_grad(), capturing(x.device):
        static = torch.empty_like(x, dtype=dtype, memory_format=memory_format)
        static.copy_(x)
        side.wait_stream(current)
        try:
            with torch.cuda.stream(side):
                for _ in range(3):  # cuDNN chooses its kernels
                    network(static)
            current.wait_stream(side)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, pool=pool, stream=side, capture_error_mode='thread_local'):
                outs = network(static)
        except RuntimeError as error:
            warnings.warn(
                f'{type(network).__name__} runs without CUDA graphs, from inputs of {tuple(x.shape)} on, '
                f'which could not be captured ({error}); leave out --cuda-graph, or give images of fewer '
                'sizes if memory ran out',
                stacklevel=2,
            )
            return None

    def replay(x: Tensor) -> Tensor | tuple[Tensor, ...]:
        static.copy_(x)
        graph.replay()
        return outs

    return replay
