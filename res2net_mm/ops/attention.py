"""Multi-scale deformable attention (Zhu et al., ICLR 2021), by mmcv's own form in PyTorch."""

import torch
from torch import Tensor

from .precision import as_computed, no_autocast


def ms_deform_attn_forward(
    value: Tensor,
    value_spatial_shapes: Tensor,
    value_level_start_index: Tensor,
    sampling_locations: Tensor,
    attention_weights: Tensor,
    im2col_step: int,
) -> Tensor:
    """Weighted sum of what is sampled around each query.

    Half precision is computed in float32: a sampling location in float16 can be off by a pixel's fraction.

    Args:
        value (Tensor): (B, keys, heads, channels).
        value_spatial_shapes (Tensor): (levels, 2), int64, height and width of each level.
        value_level_start_index (Tensor): Not used: the shapes tell.
        sampling_locations (Tensor): (B, queries, heads, levels, points, 2), x and y in 0 ... 1.
        attention_weights (Tensor): (B, queries, heads, levels, points).
        im2col_step (int): Not used.

    Returns:
        Tensor: (B, queries, heads * channels).
    """
    tensors = as_computed(value, sampling_locations, attention_weights)
    with no_autocast(value):
        return _attend(value_spatial_shapes, *tensors).to(value.dtype)


def ms_deform_attn_backward(
    value: Tensor,
    value_spatial_shapes: Tensor,
    value_level_start_index: Tensor,
    sampling_locations: Tensor,
    attention_weights: Tensor,
    grad_output: Tensor,
    grad_value: Tensor,
    grad_sampling_loc: Tensor,
    grad_attn_weight: Tensor,
    im2col_step: int,
) -> None:
    """Gradients of :func:`ms_deform_attn_forward`, written to the three ``grad_`` tensors."""
    leaves = [x.detach().requires_grad_() for x in as_computed(value, sampling_locations, attention_weights)]
    with torch.enable_grad(), no_autocast(value):
        out = _attend(value_spatial_shapes, *leaves)
    grads = torch.autograd.grad(out, leaves, grad_output.to(out.dtype))
    for place, grad in zip((grad_value, grad_sampling_loc, grad_attn_weight), grads):
        place.copy_(grad)


def _attend(shapes: Tensor, value: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
    from mmcv.ops.multi_scale_deform_attn import multi_scale_deformable_attn_pytorch

    # As numbers: mmcv's loop over a tensor on a GPU would wait for it at each level.
    return multi_scale_deformable_attn_pytorch(value, shapes.tolist(), locations, weights)
