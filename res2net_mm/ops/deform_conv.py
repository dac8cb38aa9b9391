"""Deformable convolution (Dai et al., ICCV 2017; version 2: Zhu et al., CVPR 2019), by torchvision."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torchvision  # noqa: F401  (registers its ops)
from torch import Tensor

from .precision import as_computed, no_autocast


def deform_conv_forward(
    input: Tensor,
    weight: Tensor,
    offset: Tensor,
    output: Tensor,
    columns: Tensor,
    ones: Tensor,
    **geometry: int,
) -> None:
    """Deformable convolution.

    Args:
        input (Tensor): (N, C, H, W).
        weight (Tensor): (O, C / groups, kH, kW).
        offset (Tensor): (N, 2 * deformable groups * kH * kW, H', W'), y and x in pixels.
        output (Tensor): (N, O, H', W'), written to.
        columns (Tensor): Not used.
        ones (Tensor): Not used.
        geometry (int): ``kW``, ``kH``, ``dW`` and ``dH`` (the stride), ``padW``, ``padH``, ``dilationW``,
            ``dilationH``, ``group``, ``deformable_group``, ``im2col_step``.
    """
    output.copy_(_convolve(input, weight, offset, None, None, _of_v1(**geometry)))


def deform_conv_backward_input(
    input: Tensor,
    offset: Tensor,
    grad_output: Tensor,
    grad_input: Tensor,
    grad_offset: Tensor,
    weight: Tensor,
    columns: Tensor,
    **geometry: int,
) -> None:
    """Gradients of :func:`deform_conv_forward` for input and offset, written to the ``grad_`` tensors.

    torchvision computes the weight's gradient with them. It is left in ``columns``, a buffer that mmcv hands
    on to :func:`deform_conv_backward_parameters` in the same step.
    """
    grads = _gradients(grad_output, input, weight, offset, None, None, _of_v1(**geometry))
    grad_input.copy_(grads[0])
    grad_offset.copy_(grads[2])
    columns.set_(grads[1].to(columns.dtype))


def deform_conv_backward_parameters(
    input: Tensor,
    offset: Tensor,
    grad_output: Tensor,
    grad_weight: Tensor,
    columns: Tensor,
    ones: Tensor,
    scale: float,
    **geometry: int,
) -> None:
    """Gradient of :func:`deform_conv_forward` for the weight, times ``scale``, added to ``grad_weight``."""
    grad = columns
    if grad.shape != grad_weight.shape:  # neither input nor offset needed theirs
        weight = torch.zeros_like(grad_weight)  # which the gradient doesn't depend on
        grad = _gradients(grad_output, input, weight, offset, None, None, _of_v1(**geometry))[1]
    grad_weight.add_(grad, alpha=scale)


def modulated_deform_conv_forward(
    input: Tensor,
    weight: Tensor,
    bias: Tensor,
    ones: Tensor,
    offset: Tensor,
    mask: Tensor,
    output: Tensor,
    columns: Tensor,
    with_bias: bool,
    **geometry: int,
) -> None:
    """Deformable convolution whose samples are weighed.

    Args:
        input (Tensor): (N, C, H, W).
        weight (Tensor): (O, C / groups, kH, kW).
        bias (Tensor): (O,), or empty.
        ones (Tensor): Not used.
        offset (Tensor): (N, 2 * deformable groups * kH * kW, H', W'), y and x in pixels.
        mask (Tensor): (N, deformable groups * kH * kW, H', W'), the weights of the samples.
        output (Tensor): (N, O, H', W'), written to.
        columns (Tensor): Not used.
        with_bias (bool): Whether ``bias`` is added.
        geometry (int): ``kernel_h``, ``kernel_w``, ``stride_h``, ``stride_w``, ``pad_h``, ``pad_w``,
            ``dilation_h``, ``dilation_w``, ``group``, ``deformable_group``.
    """
    output.copy_(_convolve(input, weight, offset, mask, bias if with_bias else None, _of_v2(**geometry)))


def modulated_deform_conv_backward(
    input: Tensor,
    weight: Tensor,
    bias: Tensor,
    ones: Tensor,
    offset: Tensor,
    mask: Tensor,
    columns: Tensor,
    grad_input: Tensor,
    grad_weight: Tensor,
    grad_bias: Tensor,
    grad_offset: Tensor,
    grad_mask: Tensor,
    grad_output: Tensor,
    with_bias: bool,
    **geometry: int,
) -> None:
    """Gradients of :func:`modulated_deform_conv_forward`, written to the five ``grad_`` tensors."""
    grads = _gradients(
        grad_output, input, weight, offset, mask, bias if with_bias else None, _of_v2(**geometry)
    )
    for place, grad in zip((grad_input, grad_weight, grad_offset, grad_mask), grads):
        place.copy_(grad)
    if with_bias:
        grad_bias.copy_(grads[4])


def _of_v1(*, kW, kH, dW, dH, padW, padH, dilationW, dilationH, group, deformable_group, im2col_step):  # noqa: N803
    return dH, dW, padH, padW, dilationH, dilationW, group, deformable_group


def _of_v2(
    *, kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w, group, deformable_group
):
    return stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w, group, deformable_group


def _convolve(
    input: Tensor,
    weight: Tensor,
    offset: Tensor,
    mask: Tensor | None,
    bias: Tensor | None,
    geometry: tuple[int, ...],
) -> Tensor:
    tensors = _tensors(input, weight, offset, mask, bias)
    with no_autocast(input), _default_stream(input) as outputs:
        outputs.append(torch.ops.torchvision.deform_conv2d(*tensors, *geometry, mask is not None))
    if offset.is_cpu:
        outputs[0].masked_fill_(offset.isnan().any(1, keepdim=True), torch.nan)
    return outputs[0]


def _gradients(
    grad_output: Tensor,
    input: Tensor,
    weight: Tensor,
    offset: Tensor,
    mask: Tensor | None,
    bias: Tensor | None,
    geometry: tuple[int, ...],
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Gradients for input, weight, offset, mask and bias."""
    input, *others = _tensors(input, weight, offset, mask, bias)
    grad_output = grad_output.to(input.dtype)
    with no_autocast(input), _default_stream(input) as outputs:
        outputs += torch.ops.torchvision._deform_conv2d_backward(
            grad_output, input, *others, *geometry, mask is not None
        )
    return tuple(outputs)


@contextmanager
def _default_stream(x: Tensor) -> Iterator[list[Tensor]]:
    """Compute on a GPU's default stream, where torchvision starts its kernels whichever is the current one.

    Yields:
        list[Tensor]: To be given the outputs, which are for the current stream.

    Raises:
        RuntimeError: If a CUDA graph is captured: it wouldn't have those kernels.
    """
    outputs = []
    current = torch.cuda.current_stream(x.device) if x.is_cuda else None
    if current is None or current == torch.cuda.default_stream(x.device):
        yield outputs
        return
    with torch.cuda.device_of(x):
        capturing = torch.cuda.is_current_stream_capturing()
    if capturing:
        raise RuntimeError("torchvision's deformable convolution runs on the default stream alone")
    default = torch.cuda.default_stream(x.device)
    default.wait_stream(current)
    with torch.cuda.stream(default):
        yield outputs
    current.wait_stream(default)
    for output in outputs:
        output.record_stream(current)


def _tensors(
    input: Tensor, weight: Tensor, offset: Tensor, mask: Tensor | None, bias: Tensor | None
) -> list[Tensor]:
    if mask is None:
        mask = offset.new_zeros(len(offset), 0)
    if bias is None:
        bias = weight.new_zeros(len(weight))
    if offset.is_cpu:  # where torchvision would read memory that isn't its own
        offset = offset.nan_to_num(0, torch.inf, -torch.inf)
    return as_computed(input, weight, offset, mask, bias, half_on_cuda=True)
