"""What several tests use."""

from importlib.util import find_spec

import pytest
import torch
from torch import nn

GPU = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')]
on_every_device = pytest.mark.parametrize('device', ['cpu', pytest.param('cuda', marks=GPU)])
COMPILED_OPS = find_spec('mmcv._ext').origin.endswith('.so')  # they know no bfloat16 on a CPU


def randomize(module: nn.Module) -> nn.Module:
    """Give a network statistics and affine parameters that no layer's omission would leave unnoticed."""
    generator = torch.Generator().manual_seed(0)
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.weight.data.uniform_(0.5, 1.5, generator=generator)
            layer.bias.data.uniform_(-0.2, 0.2, generator=generator)
            layer.running_mean.uniform_(-0.2, 0.2, generator=generator)
            layer.running_var.uniform_(0.5, 1.5, generator=generator)
    module.eval()  # mmdet's networks return nothing from it
    return module
