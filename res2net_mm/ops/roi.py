"""RoIAlign (He et al., ICCV 2017) by torchvision, and RoIPool (Girshick, ICCV 2015) as mmcv defines it."""

from collections.abc import Iterator
from itertools import product

import torch
import torchvision  # noqa: F401  (registers its ops)
from torch import Tensor
from torch.nn import functional as F

from .precision import as_computed, no_autocast

MAX, AVERAGE = 0, 1  # mmcv's numbers of RoIAlign's pool_mode


def roi_align_forward(
    input: Tensor,
    rois: Tensor,
    output: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """RoIAlign.

    Args:
        input (Tensor): (N, C, H, W).
        rois (Tensor): (R, 5), image number, x1, y1, x2, y2 in pixels of the image.
        output (Tensor): (R, C, h, w), written to.
        argmax_y (Tensor): (R, C, h, w), written to if pooling takes the largest sample: its row in the bin.
        argmax_x (Tensor): (R, C, h, w), likewise: its column in the bin.
        aligned_height (int): h.
        aligned_width (int): w.
        spatial_scale (float): Pixels of the feature map in one of the image.
        sampling_ratio (int): Samples of a bin in each direction; 0 for about one a pixel.
        pool_mode (int): 0 for the largest sample of a bin, 1 for the average.
        aligned (bool): Whether pixel centers lie at halves, as they should.

    Raises:
        ValueError: If a box is not finite or, with ``aligned``, ends before it begins; on the CPU only, where
            torchvision would read memory that isn't its own.
    """
    if rois.is_cpu and not (rois.isfinite().all() and (not aligned or (rois[:, 3:] >= rois[:, 1:3]).all())):
        raise ValueError('RoIAlign of boxes that are not finite, or end before they begin')
    size = aligned_height, aligned_width
    given, (input, rois) = rois, as_computed(input, rois, half_on_cuda=True)
    with no_autocast(input):
        if pool_mode == AVERAGE:
            output.copy_(
                torch.ops.torchvision.roi_align(input, rois, spatial_scale, *size, sampling_ratio, aligned)
            )
            return
        for chosen, (rows, columns) in _grids(given, size, spatial_scale, sampling_ratio, aligned):
            # Bins as fine as the samples lie: each bin of one sample.
            fine = size[0] * rows, size[1] * columns
            samples = torch.ops.torchvision.roi_align(input, rois[chosen], spatial_scale, *fine, 1, aligned)
            largest, place = F.max_pool2d(samples, (rows, columns), return_indices=True)
            output[chosen] = largest.to(output.dtype)
            argmax_y[chosen] = (place // fine[1] % rows).to(argmax_y.dtype)
            argmax_x[chosen] = (place % fine[1] % columns).to(argmax_x.dtype)


def roi_align_backward(
    grad_output: Tensor,
    rois: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    grad_input: Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Gradient of :func:`roi_align_forward`, written to ``grad_input``, (N, C, H, W)."""
    size = aligned_height, aligned_width
    shape = grad_input.shape
    given, (grad, rois) = rois, as_computed(grad_output, rois, half_on_cuda=True)
    backward = torch.ops.torchvision._roi_align_backward
    if pool_mode == AVERAGE:
        grad_input.copy_(backward(grad, rois, spatial_scale, *size, *shape, sampling_ratio, aligned))
        return
    for chosen, (rows, columns) in _grids(given, size, spatial_scale, sampling_ratio, aligned):
        fine = size[0] * rows, size[1] * columns
        row = torch.arange(size[0], device=grad.device)[:, None] * rows + argmax_y[chosen].long()
        column = torch.arange(size[1], device=grad.device) * columns + argmax_x[chosen].long()
        samples = F.max_unpool2d(grad[chosen], row * fine[1] + column, (rows, columns), output_size=fine)
        grad_input += backward(samples, rois[chosen], spatial_scale, *fine, *shape, 1, aligned)


def _grids(
    rois: Tensor, size: tuple[int, int], spatial_scale: float, sampling_ratio: int, aligned: bool
) -> Iterator[tuple[Tensor, tuple[int, int]]]:
    """RoIs whose bins have as many samples, by their numbers, and the samples' rows and columns."""
    if sampling_ratio > 0:
        grids = rois.new_full((len(rois), 2), sampling_ratio, dtype=torch.long)
    else:
        corners = rois[:, 1:].float() * spatial_scale - 0.5 * aligned
        extent = (corners[:, 2:] - corners[:, :2]).flip(1)  # height, width
        if not aligned:
            extent = extent.clamp_min(1)
        grids = (extent / extent.new_tensor(size)).ceil().long()
    for grid in grids.unique(dim=0):
        if grid.min() > 0:  # no samples: 0
            yield (grids == grid).all(1).nonzero()[:, 0], tuple(grid.tolist())


def roi_pool_forward(
    input: Tensor,
    rois: Tensor,
    output: Tensor,
    argmax: Tensor,
    pooled_height: int,
    pooled_width: int,
    spatial_scale: float,
) -> None:
    """RoIPool. torchvision's rounds the boxes first, mmcv's only the bins: they are not the same.

    Args:
        input (Tensor): (N, C, H, W).
        rois (Tensor): (R, 5), image number, x1, y1, x2, y2 in pixels of the image, the last ones included.
        output (Tensor): (R, C, h, w), written to: the largest value of each bin, 0 of an empty one.
        argmax (Tensor): (R, C, h, w), int32, written to: its number in the feature map, -1 of an empty bin.
        pooled_height (int): h.
        pooled_width (int): w.
        spatial_scale (float): Pixels of the feature map in one of the image.
    """
    height, width = input.shape[2:]
    (corners,) = as_computed(rois[:, 1:])
    corners = (corners + corners.new_tensor([0, 0, 1, 1])) * spatial_scale
    top, bottom = _bins(corners[:, 1], corners[:, 3], pooled_height, height)
    left, right = _bins(corners[:, 0], corners[:, 2], pooled_width, width)
    valid = (corners[:, 2:] > corners[:, :2]).all(1)[:, None, None]
    pixels = input.permute(0, 2, 3, 1).reshape(-1, input.shape[1])  # of channels that lie together
    first = (rois[:, 0].long() * height * width)[:, None, None]
    best = pixels.new_full((len(rois), pooled_height, pooled_width, input.shape[1]), -torch.inf)
    place = torch.full_like(best, -1, dtype=torch.long)
    rows, columns = (int(extent.max()) if len(rois) else 0 for extent in (bottom - top, right - left))
    for dy, dx in product(range(rows), range(columns)):
        y, x = (top + dy)[:, :, None], (left + dx)[:, None, :]
        inside = valid & (y < bottom[:, :, None]) & (x < right[:, None, :])
        number = torch.where(inside, y * width + x, 0)
        value = pixels[first + number]
        larger = inside[..., None] & (value > best)
        best = torch.where(larger, value, best)
        place = torch.where(larger, number[..., None], place)
    output.copy_(best.where(place >= 0, 0).permute(0, 3, 1, 2))
    argmax.copy_(place.permute(0, 3, 1, 2))


def _bins(start: Tensor, end: Tensor, bins: int, size: int) -> tuple[Tensor, Tensor]:
    """First pixels of the bins and those after their last ones, each (R, bins)."""
    step = ((end - start) / bins)[:, None]
    i = torch.arange(bins + 1, device=start.device)
    edges = i * step + start[:, None]
    return edges[:, :-1].floor().long().clamp(0, size), edges[:, 1:].ceil().long().clamp(0, size)


def roi_pool_backward(
    grad_output: Tensor,
    rois: Tensor,
    argmax: Tensor,
    grad_input: Tensor,
    pooled_height: int,
    pooled_width: int,
    spatial_scale: float,
) -> None:
    """Gradient of :func:`roi_pool_forward`, written to ``grad_input``, (N, C, H, W)."""
    images, channels, height, width = grad_input.shape
    (grad,) = as_computed(grad_output)
    plane = rois[:, :1].long() * channels + torch.arange(channels, device=rois.device)
    number = plane[:, :, None, None] * height * width + argmax.clamp_min(0)
    total = grad.new_zeros(images * channels * height * width)
    total.index_add_(0, number.flatten(), grad.where(argmax >= 0, 0).flatten())
    grad_input.copy_(total.view_as(grad_input))
