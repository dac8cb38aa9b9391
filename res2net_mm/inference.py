"""Models in inference form: this package's networks in them fused, and compiled."""

import torch
from torch import nn

from .models.backbone import Backbone


def fuse(model: nn.Module, dtype: torch.dtype | None = None, compiled: bool = False) -> nn.Module:
    """Put all of this package's networks in a model into inference form, see :meth:`Backbone.fuse`.

    Args:
        model (nn.Module): A detector, segmentor, pose estimator, classifier or a network itself, with its
            weights loaded; one without any of this package's networks stays as it is.
        dtype (torch.dtype, optional): What the networks compute in; the rest of the model, and what goes in
            and out of them, stays as it is. Default: None.
        compiled (bool): Whether torch.compile compiles the networks, when they first run (for minutes).
            Images of other sizes don't compile them again. Default: False.

    Returns:
        nn.Module: The model itself.
    """
    for module in model.modules():
        if isinstance(module, Backbone):
            module.fuse(dtype)
            if compiled:
                # Weights that are constants can be laid out as oneDNN likes them, which only a CPU asks for.
                options = {'freezing': True} if next(module.parameters()).device.type == 'cpu' else None
                module.compile(dynamic=True, options=options)
    return model
