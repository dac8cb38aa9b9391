"""Models in inference form: this package's networks in them fused, and compiled."""

from importlib.util import find_spec

import torch
from torch import nn

from .models.backbone import Backbone


def fuse(model: nn.Module, dtype: torch.dtype | None = None, compiled: bool = False) -> nn.Module:
    """Put all of this package's networks in a model into inference form, see :meth:`Backbone.fuse`.

    On a CPU the model's RoIAlign layers call torchvision's from then on, where it is installed: it gives the
    same numbers as mmcv's, in a third to two thirds of the time.

    Args:
        model (nn.Module): A detector, segmentor, pose estimator, classifier or a network itself, with its
            weights loaded.
        dtype (torch.dtype, optional): What the networks compute in; the rest of the model, and what goes in
            and out of them, stays as it is. Default: None.
        compiled (bool): Whether torch.compile compiles the networks, when they first run (for minutes).
            Images of other sizes mostly don't compile them again;
            a batch of one does, and a size that is odd where a network pools. Default: False.

    Returns:
        nn.Module: The model itself.
    """
    on_cpu = all(parameter.is_cpu for parameter in model.parameters())
    for module in model.modules():
        if isinstance(module, Backbone):
            module.fuse(dtype)
            if compiled:
                # Weights that are constants can be laid out as oneDNN likes them, which only a CPU asks for.
                module.compile(dynamic=True, options={'freezing': True} if on_cpu else None)
        # torchvision's only averages.
        elif on_cpu and hasattr(module, 'use_torchvision') and getattr(module, 'pool_mode', '') == 'avg':
            module.use_torchvision = find_spec('torchvision') is not None
    return model
