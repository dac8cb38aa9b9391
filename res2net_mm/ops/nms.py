"""Non-maximum suppression: greedy by torchvision, soft, and with the suppressed boxes."""

import numpy as np
import torch
import torchvision  # noqa: F401  (registers its ops)
from torch import Tensor


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float, offset: int) -> Tensor:
    """Greedy non-maximum suppression. Of equal scores the first box comes first.

    Args:
        boxes (Tensor): (N, 4), as x1, y1, x2, y2.
        scores (Tensor): (N,).
        iou_threshold (float): A box is suppressed where its IoU with a better one is above.
        offset (int): 1 if a box's last pixel belongs to it: widths are x2 - x1 + 1; else 0.

    Returns:
        Tensor: (K,), int64: the boxes that are left, best first.
    """
    if not boxes.dtype == scores.dtype == torch.float64:
        boxes, scores = boxes.float(), scores.float()
    if offset:
        boxes = boxes + boxes.new_tensor([0, 0, offset, offset])
    return torch.ops.torchvision.nms(boxes, scores, iou_threshold)


def softnms(
    boxes: Tensor,
    scores: Tensor,
    dets: Tensor,
    iou_threshold: float,
    sigma: float,
    min_score: float,
    method: int,
    offset: int,
) -> Tensor:
    """Soft-NMS (Bodla et al., ICCV 2017), on the CPU. Of equal scores the first box comes first.

    Args:
        boxes (Tensor): (N, 4), as x1, y1, x2, y2.
        scores (Tensor): (N,).
        dets (Tensor): (N, 5), written to: the K boxes that are left with their lowered scores, best first.
        iou_threshold (float): From which IoU on the naive and the linear method lower a score.
        sigma (float): Of the Gaussian method.
        min_score (float): Boxes whose score falls below are dropped.
        method (int): 0 naive, 1 linear, 2 Gaussian.
        offset (int): 1 if widths are x2 - x1 + 1, else 0.

    Returns:
        Tensor: (K,), int64.

    Raises:
        TypeError: If the boxes are integers, of which ``dets`` is, too.
    """
    if not dets.is_floating_point():
        raise TypeError(f'soft-NMS lowers scores, so its boxes must be floating point, not {boxes.dtype}')
    left = np.concatenate([boxes.float().numpy(), scores.float().numpy()[:, None]], axis=1)
    inds = np.arange(len(left))
    found, kept = [], []
    while len(left):
        best = left[:, 4].argmax()
        found.append(left[best].copy())
        kept.append(inds[best])
        iou = _iou(found[-1], left, offset)
        if method == 2:
            weight = np.exp(-(iou * iou) / sigma)
        else:
            weight = np.where(iou >= iou_threshold, 1 - iou if method else 0, 1)
        left[:, 4] *= weight
        enough = left[:, 4] >= min_score
        enough[best] = False
        left, inds = left[enough], inds[enough]
    if found:
        dets[: len(found)] = torch.from_numpy(np.stack(found))
    return torch.tensor(kept, dtype=torch.int64)


def nms_match(dets: Tensor, iou_threshold: float) -> list[list[int]]:
    """Greedy non-maximum suppression that keeps, with each box, those that it suppresses.

    Args:
        dets (Tensor): (N, 5), as x1, y1, x2, y2, score.
        iou_threshold (float): A box is suppressed where its IoU with a better one is as large.

    Returns:
        list[list[int]]: A group for each box that is left: itself, then what it suppresses, by falling score.
    """
    dets = dets.float().numpy()
    left = np.argsort(-dets[:, 4], kind='stable')
    groups = []
    while len(left):
        suppressed = _iou(dets[left[0]], dets[left], 0) >= iou_threshold
        suppressed[0] = True  # a box without an area, too
        groups.append(left[suppressed].tolist())
        left = left[~suppressed]
    return groups


def _iou(box: np.ndarray, boxes: np.ndarray, offset: int) -> np.ndarray:
    """IoU of one box with some, in the order of mmcv's operations; 0 between boxes without an area."""
    area = (box[2] - box[0] + offset) * (box[3] - box[1] + offset)
    areas = (boxes[:, 2] - boxes[:, 0] + offset) * (boxes[:, 3] - boxes[:, 1] + offset)
    width = np.minimum(box[2], boxes[:, 2]) - np.maximum(box[0], boxes[:, 0]) + offset
    height = np.minimum(box[3], boxes[:, 3]) - np.maximum(box[1], boxes[:, 1]) + offset
    shared = width.clip(0) * height.clip(0)
    with np.errstate(invalid='ignore', over='ignore'):
        return np.nan_to_num(shared / (area + areas - shared))
