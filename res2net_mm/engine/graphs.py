"""Training by CUDA graphs: a network's forward pass is one launch, and its backward pass another.

PyTorch's ``make_graphed_callables`` would change BN's statistics while it warms up, and gives gradients that
the next replay overwrites, so that their sums are wrong (its issues 96693, 181723).
"""

import warnings
import weakref
from collections.abc import Callable
from dataclasses import dataclass

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.autograd.function import Function, FunctionCtx, once_differentiable
from torch.func import functional_call

from ..fused.conv import has_global_hooks
from ..fused.cuda import capturing, tf32
from ..models.bottle2neck import make_contiguous
from ..registry import HOOKS
from .hooks import channels_first, networks_of


@HOOKS.register_module()
class CudaGraphHook(Hook):
    """Train this package's networks by CUDA graphs, see :class:`TrainingGraphs`.

    Register it after hooks that change how they are called, which becomes a part of the graphs. Several
    processes exchange a network's gradients after its backward, not during it.
    """

    def before_train(self, runner: Runner) -> None:
        """Have the networks called by way of their graphs."""
        for network in networks_of(runner.model, '--cuda-graph'):
            if not isinstance(network._compiled_call_impl, TrainingGraphs):
                network._compiled_call_impl = TrainingGraphs(network)  # which is neither copied nor saved


@dataclass
class Pair:
    """The graphs of one shape of images, and the tensors that they read and write."""

    images: Tensor
    forward: torch.cuda.CUDAGraph
    outs: list[Tensor]
    learned: list[bool]  # which outputs have a gradient
    out_grads: list[Tensor]  # of those
    backward: torch.cuda.CUDAGraph
    grads: list[Tensor | None]  # of the parameters that learn
    is_tuple: bool


class TrainingGraphs:
    """How a network is called in training: forward and backward are CUDA graphs, a pair a shape of images.

    The first shapes (with batch size, strides and type) that come twice are captured. Others run as they did,
    and so do empty batches, images that need a gradient, networks with hooks or SyncBN in them, a forward
    while an earlier one's outputs wait for their backward, and what can't be captured, which a warning says;
    then nothing more is captured. Outputs and gradients are copies. What is different:

    - a second backward of a forward, and a second derivative, are errors;
    - a parameter that only outputs of no use depend on has zeros, not None: weight decay acts on it;
    - weights in place of others and modules in another mode are noticed, and captured anew (four times the
      limit in all); numbers such as BN's momentum, and switches but for TF32 of convolutions, are not.

    Args:
        network (nn.Module): Maps images to a Tensor or a tuple of them.
        limit (int): Number of shapes. Each holds its images, the network's outputs twice, and its gradients;
            they share the memory of activations, which nothing else gets. Default: 8.
    """

    def __init__(self, network: nn.Module, limit: int = 8):
        self.network = network
        self.call = network._compiled_call_impl or network._call_impl
        self.limit = limit
        self.pending = lambda: None  # gives the forward whose backward is to come
        self._left = 4 * limit  # captures: modes that change back and forth would cost them without end
        self._pairs: dict[tuple, Pair] = {}
        self._seen = set()
        self._state = self._where = None

    def __call__(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Map (N, C, H, W) to what the network does."""
        possible = torch.is_grad_enabled() and self.network.training and self.pending() is None
        if not possible or not x.is_cuda or not x.numel() or x.requires_grad or torch.compiler.is_compiling():
            return self.call(x)
        modules = list(self.network.modules())
        parameters = dict.fromkeys(p for m in modules for p in m._parameters.values() if p is not None)
        parameters = [p for p in parameters if p.requires_grad]  # in the order of named_parameters()
        pair = self._find(x, modules) if parameters and stands_alone(modules) else None
        if pair is None:
            return self.call(x)
        outs = _Replay.apply(self, pair, x, *parameters)
        return outs if pair.is_tuple else outs[0]

    def _find(self, x: Tensor, modules: list[nn.Module]) -> Pair | None:
        """The graphs for such images, if there are any; they may be captured now."""
        tensors = (t for m in modules for t in (*m._parameters.values(), *m._buffers.values()))
        state = (
            [(t.data_ptr(), t.requires_grad) for t in tensors if t is not None],
            [module.training for module in modules],
            torch.cuda.current_stream(x.device),
        )
        if state != self._state:
            torch.cuda.synchronize(x.device)  # a graph that goes may be running
            self._pairs.clear()
            self._seen.clear()
            self._state = state
            # Memory is of a pool and of a stream: graphs share it on one alone.
            self._where = torch.cuda.graph_pool_handle(), torch.cuda.Stream(x.device)
        autocast = torch.is_autocast_enabled('cuda') and torch.get_autocast_dtype('cuda')
        key = x.shape, x.stride(), x.dtype, x.device, autocast, tf32()
        if key in self._seen and key not in self._pairs and len(self._pairs) < self.limit and self._left:
            self._left -= 1
            if pair := capture(self.network, self.call, x, *self._where):
                self._pairs[key] = pair
            else:
                self._left = 0  # after some failures PyTorch can't capture any more, see its issue 180395
        self._seen.add(key)
        return self._pairs.get(key)


def stands_alone(modules: list[nn.Module]) -> bool:
    """Whether no hook looks on at what a network's modules do, and none waits for other processes."""
    names = '_forward_hooks', '_forward_pre_hooks', '_backward_hooks', '_backward_pre_hooks'
    hooks = [hook for m in modules for name in names if (of := getattr(m, name)) for hook in of.values()]
    if has_global_hooks() or not all(hook in (channels_first, make_contiguous) for hook in hooks):
        return False
    return not any('SyncBatchNorm' in type(module).__name__ for module in modules)  # PyTorch's or mmcv's


class _Replay(Function):
    """A forward by a graph, whose backward is one by another."""

    @staticmethod
    def forward(ctx: FunctionCtx, graphs: TrainingGraphs, pair: Pair, x: Tensor, *parameters: Tensor):
        ctx.graphs, ctx.pair = graphs, pair
        ctx.save_for_backward(*parameters)  # none may change before the backward, which reads them
        graphs.pending = weakref.ref(ctx)  # dies with it, if no backward ever comes
        ctx.set_materialize_grads(False)
        pair.images.copy_(x)
        pair.forward.replay()
        outs = tuple(out.clone() for out in pair.outs)
        ctx.mark_non_differentiable(*(out for out, learned in zip(outs, pair.learned) if not learned))
        return outs

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, *grads: Tensor | None):
        if ctx.graphs.pending() is not ctx:
            raise RuntimeError('a network that trains by CUDA graphs has one backward a forward')
        ctx.graphs.pending = lambda: None
        ctx.saved_tensors  # noqa: B018  (raises an error if one has changed)
        pair = ctx.pair
        given = [grad for grad, learned in zip(grads, pair.learned) if learned]
        for static, grad in zip(pair.out_grads, given):
            static.zero_() if grad is None else static.copy_(grad)
        pair.backward.replay()
        copies = iter(torch._foreach_mul([grad for grad in pair.grads if grad is not None], 1))
        return None, None, None, *(None if grad is None else next(copies) for grad in pair.grads)


class _Called(nn.Module):
    """A network by a callable, so that :func:`functional_call` doesn't call the network itself."""

    def __init__(self, network: nn.Module, call: Callable):
        super().__init__()
        self.network = network
        self.call = call

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        return self.call(x)


def capture(network: nn.Module, call: Callable, x: Tensor, pool, side: torch.cuda.Stream) -> Pair | None:
    """Capture a network's forward and backward for images of one shape.

    Returns:
        Pair | None: The graphs, or None if there could be no capture, which a warning says.
    """
    # Others of the same memory: nothing arrives at the parameters, nor at what waits there (other processes).
    parameters = {
        f'network.{name}': nn.Parameter(p.detach())
        for name, p in network.named_parameters()
        if p.requires_grad
    }
    statistics = [(buffer, buffer.clone()) for buffer in network.buffers()]
    called = _Called(network, call)

    def forward(images: Tensor) -> Tensor | tuple[Tensor, ...]:
        outs = functional_call(called, parameters, (images,))
        torch.clear_autocast_cache()  # of the weights that it converted: each replay has to
        return outs

    def backward(outs: list[Tensor], out_grads: list[Tensor]) -> tuple[Tensor | None, ...]:
        grads = torch.autograd.grad(outs, [*parameters.values()], out_grads, allow_unused=True)
        if all(grad is None for grad in grads):  # PyTorch 2.4 compiles the parameters in
            raise RuntimeError('the network does not compute with the parameters that it is given')
        return grads

    current = torch.cuda.current_stream(x.device)
    # Other threads load data, or watch NCCL.
    options = dict(pool=pool, stream=side, capture_error_mode='thread_local')
    try:
        with capturing(x.device):
            images = x.clone()
            side.wait_stream(current)
            with torch.cuda.stream(side):
                for _ in range(3):  # cuDNN chooses its kernels
                    outs = forward(images)
                    is_tuple = not isinstance(outs, Tensor)
                    outs = [out for out in (outs if is_tuple else (outs,)) if out.requires_grad]
                    out_grads = [torch.zeros_like(out) for out in outs]
                    backward(outs, out_grads)
                del outs
            graphs = torch.cuda.CUDAGraph(), torch.cuda.CUDAGraph()
            with torch.cuda.graph(graphs[0], **options):
                outs = forward(images)
            outs = list(outs) if is_tuple else [outs]
            learned = [out.requires_grad for out in outs]
            with torch.cuda.graph(graphs[1], **options):
                grads = backward([out for out in outs if out.requires_grad], out_grads)
    except RuntimeError as error:
        warnings.warn(
            f'{type(network).__name__} trains without CUDA graphs, from images of {tuple(x.shape)} on, which '
            f'could not be captured: {error}',
            stacklevel=2,
        )
        return None
    finally:
        current.wait_stream(side)
        for buffer, before in statistics:
            buffer.data.copy_(before)  # a backward that is to come, of another forward, may have saved it
    outs = [out.detach() for out in outs]
    return Pair(images, graphs[0], outs, learned, out_grads, graphs[1], list(grads), is_tuple)
