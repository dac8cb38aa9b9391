"""Tensors that autograd need not keep, since they are cheap to compute again in the backward pass.

A bottleneck's convolutions keep their inputs for the backward pass, BN layers theirs. What lies between the
first 1x1 convolution's output and the last one's input (Eq. 1's sums, BN and ReLU, the concatenation) costs
next to nothing beside a convolution, so it is computed a second time instead of kept.
"""

import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

_local = threading.local()


class _Recipe:
    """How to compute a tensor again; the result is held until all that wait for it have had it."""

    def __init__(self, function: Callable[..., Tensor], inputs: list[Callable[[], Tensor]]):
        self.function = function
        self.inputs = inputs
        self.waiting = self.takers = 0
        self.result = None

    def take(self) -> Tensor:
        if self.result is None:
            self.result = self.function(*(take() for take in self.inputs))
            self.waiting = self.takers
        self.waiting -= 1
        result = self.result
        if not self.waiting:
            self.result = None
        return result


@contextmanager
def recomputing() -> Iterator[None]:
    """Have autograd keep the recipes that :func:`offer` is given in place of the tensors themselves.

    It changes nothing where nothing is kept for a backward pass, nor under torch.compile, which decides by
    itself what to keep.
    """
    if not torch.is_grad_enabled() or torch.compiler.is_compiling() or torch.jit.is_tracing():
        yield
        return
    outer = getattr(_local, 'recipes', None)
    _local.recipes = {}
    try:
        with saved_tensors_hooks(_handle, lambda take: take()):
            yield
    finally:
        _local.recipes = outer


def offer(tensor: Tensor, function: Callable[..., Tensor], *inputs: Tensor) -> Tensor:
    """Say how a tensor can be computed again: ``function(*inputs)``, without a gradient.

    Args:
        tensor (Tensor): The tensor, which nobody changes in place afterwards.
        function (Callable): Gives the same values in the same memory format.
        *inputs (Tensor): What it needs; tensors that were offered themselves, and views of them, are computed
            again, others kept.

    Returns:
        Tensor: The tensor.
    """
    recipes = getattr(_local, 'recipes', None)
    if recipes is not None and tensor.requires_grad:
        key = tensor.untyped_storage().data_ptr()
        recipe = _Recipe(function, [_handle(x) for x in inputs])
        # A storage's address says which tensor it is only as long as that lives.
        recipes[key] = recipe, weakref.ref(tensor, lambda _: recipes.pop(key, None))
    return tensor


def _handle(tensor: Tensor) -> Callable[[], Tensor]:
    """What autograd keeps of a tensor: a function that gives it."""
    recipes = getattr(_local, 'recipes', None) or {}
    recipe, _ = recipes.get(tensor.untyped_storage().data_ptr(), (None, None))
    if recipe is None:
        kept = tensor if tensor.is_leaf else tensor.detach()  # an output kept by its own node is a cycle
        return lambda: kept
    recipe.takers += 1
    shape = tensor.size(), tensor.stride(), tensor.storage_offset()
    return lambda: recipe.take().as_strided(*shape)
