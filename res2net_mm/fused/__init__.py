"""The networks fused: the same outputs, to rounding, in less time and without training."""

import warnings

import torch
from torch import nn

from ..models.backbone import Backbone
from .conv import FusedConv2d
from .network import FusedBackbone, FusedBottle2neck, can_fuse

__all__ = ['FusedBackbone', 'FusedBottle2neck', 'FusedConv2d', 'fuse']


def fuse(model: nn.Module, dtype: torch.dtype | None = None, cuda_graph: bool = False) -> nn.Module:
    """Replace this package's networks in a model by their fused form, on the device where they are.

    BN is folded into the convolutions, which are computed with ReLU and residual in one kernel, channels
    last. On a CPU splits are concatenated in place. On a GPU they are padded to channel counts that suit
    tensor cores, and each is convolved, added and concatenated by one Triton kernel, where Triton runs. What
    can't be fused (deformable convolutions, GroupNorm, plugins, other activations) stays as it is; so does a
    network of a derived class with a forward of its own, which a warning says. Parameters no longer learn,
    and a state dict is no longer that of a training. Weights change by ``load_state_dict`` or in place under
    ``torch.no_grad()``: changes through ``.data`` or NumPy go unnoticed on a CPU. Hooks are to be registered
    after this; with a forward hook in a network, as with autograd or torch.func, it computes by PyTorch's
    own operators, slower. On a CPU autocast changes nothing: give ``dtype``.

    Args:
        model (nn.Module): A detector, segmentor, pose estimator, classifier, in which the networks are
            replaced, or a network itself, with its weights loaded.
        dtype (torch.dtype, optional): What the networks compute in, such as ``torch.bfloat16``: their weights
            are converted once, inputs and outputs in every forward; the rest of the model stays as it is.
            Default: None (as they are).
        cuda_graph (bool): Whether the networks run as CUDA graphs on a GPU, one for each shape of images:
            without the time that Python and launches take, which is most of it for a few small images. For
            images of a few sizes. Default: False.

    Returns:
        nn.Module: The model; of a network its :class:`FusedBackbone`, in eval mode, which has taken over its
        modules: the network itself is no longer to be used. What is fused already only changes its type.

    Raises:
        TypeError: If ``dtype`` is none of PyTorch's float16, bfloat16, float32 and float64.

    Example:
        >>> import torch
        >>> from res2net_mm.fused import fuse
        >>> from res2net_mm.models import Res2Net
        >>> network = fuse(Res2Net(depth=50))
        >>> with torch.no_grad():
        ...     feature_maps = network(torch.rand(1, 3, 224, 224))
    """
    if dtype not in (None, torch.float16, torch.bfloat16, torch.float32, torch.float64):
        raise TypeError(f'dtype={dtype!r} is no type to compute in, such as torch.bfloat16')
    with torch.inference_mode(False), torch.no_grad():  # inference tensors have no version to see changes by
        return _replace(model, dtype, cuda_graph, {})


def _replace(
    module: nn.Module, dtype: torch.dtype | None, cuda_graph: bool, seen: dict[nn.Module, nn.Module]
) -> nn.Module:
    """Fuse the networks in a module, each once however often it is there."""
    if module not in seen:
        is_network = isinstance(module, Backbone)
        if is_network and not can_fuse(module):
            name = type(module).__name__
            warnings.warn(f'{name} has a forward of its own: it stays as it is, not fused', stacklevel=3)
            is_network = False
        seen[module] = FusedBackbone(module, cuda_graph) if is_network else module
        if isinstance(seen[module], FusedBackbone):
            seen[module].to(dtype)
        else:
            for name, child in list(module._modules.items()):
                if child is not None:
                    setattr(module, name, _replace(child, dtype, cuda_graph, seen))
    return seen[module]
