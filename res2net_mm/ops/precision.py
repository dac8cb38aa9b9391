"""What the ops compute in."""

import torch
from torch import Tensor


def as_computed(*tensors: Tensor, half_on_cuda: bool = False) -> list[Tensor]:
    """Tensors in the type that an op computes in: float64 or float32, as the first is, or float16.

    torchvision has kernels for float16 on CUDA only, and for bfloat16 none: float32 takes their place, and
    what comes out is rounded.

    Args:
        tensors (Tensor): What an op reads.
        half_on_cuda (bool): Whether the op has a kernel for float16 on CUDA. Default: False.
    """
    x = tensors[0]
    as_it_is = x.dtype is torch.float64 or (half_on_cuda and x.is_cuda and x.dtype is torch.float16)
    dtype = x.dtype if as_it_is else torch.float32
    return [tensor.to(dtype) for tensor in tensors]


def no_autocast(x: Tensor) -> torch.autocast:
    """A context in which ops compute in the types that they are given, as mmcv's compiled ones do."""
    return torch.autocast(x.device.type, enabled=False)
