#!/usr/bin/env python
"""What compiled mmcv computes: run after make env OPS=compiled, this writes compiled_results.npz."""

from pathlib import Path

import mmcv
import mmcv.ops
import numpy as np
import torch

FILE = Path(__file__).with_suffix('.npz')


def cases() -> dict:
    """Calls of mmcv's ops, by name: the op, its tensors, and its other arguments."""
    rng = np.random.default_rng(0)

    def normal(*shape):
        return torch.tensor(rng.normal(size=shape), dtype=torch.float32)

    def uniform(low, high, *shape):
        return torch.tensor(rng.uniform(low, high, shape), dtype=torch.float32)

    corners = uniform(0, 60, 40, 2)
    boxes = torch.cat([corners, corners + uniform(0, 50, 40, 2)], dim=1)
    scores = torch.tensor(rng.permutation(40) / 40 + 0.01, dtype=torch.float32)  # no two alike
    features = normal(2, 3, 9, 13)
    corners = uniform(-20, 80, 7, 2)
    image = torch.tensor(rng.integers(0, 2, (7, 1)), dtype=torch.float32)
    rois = torch.cat([image, corners, corners + uniform(1, 70, 7, 2)], dim=1)

    called = {}
    for offset in (0, 1):
        for threshold in (0.2, 0.6):
            called[f'nms {offset} {threshold}'] = mmcv.ops.nms, (boxes, scores), (threshold, offset)
    called['nms, some'] = mmcv.ops.nms, (boxes, scores), (0.5, 0, 0.3, 5)
    for method in ('naive', 'linear', 'gaussian'):
        for offset in (0, 1):
            called[f'soft_nms {method} {offset}'] = (
                mmcv.ops.soft_nms,
                (boxes, scores),
                (0.3, 0.5, 0.05, method, offset),
            )
    called['nms_match'] = mmcv.ops.nms_match, (torch.cat([boxes, scores[:, None]], dim=1),), (0.4,)
    for mode in ('avg', 'max'):
        for ratio in (0, 2):
            for aligned in (True, False):
                called[f'roi_align {mode} {ratio} {aligned}'] = (
                    mmcv.ops.roi_align,
                    (features, rois),
                    ((3, 4), 0.125, ratio, mode, aligned),
                )
    for groups, deform_groups, stride, padding, dilation in (
        (1, 1, 1, 1, 1),
        (2, 1, 2, (1, 2), 1),
        (1, 2, (1, 2), 2, 2),
        (2, 4, 1, 1, (2, 1)),
    ):
        x, weight, bias = normal(2, 8, 7, 6), normal(4, 8 // groups, 3, 3) / 5, normal(4)
        shape = torch.nn.functional.conv2d(x, weight, None, stride, padding, dilation, groups).shape
        offset = 2 * normal(2, deform_groups * 18, *shape[2:])
        mask = uniform(0, 1, 2, deform_groups * 9, *shape[2:])
        geometry = stride, padding, dilation, groups, deform_groups
        called[f'deform_conv2d {geometry}'] = mmcv.ops.deform_conv2d, (x, offset, weight), geometry
        called[f'modulated_deform_conv2d {geometry}'] = (
            mmcv.ops.modulated_deform_conv2d,
            (x, offset, mask, weight, bias),
            geometry,
        )
    return called


def results(op, tensors, arguments, device='cpu') -> list[np.ndarray]:
    """What an op gives, and the gradients of all tensors that have one, for the same random gradient."""
    differentiable = op not in (mmcv.ops.nms, mmcv.ops.soft_nms, mmcv.ops.nms_match)
    tensors = [x.clone().to(device).requires_grad_(differentiable) for x in tensors]
    out = op(*tensors, *arguments)
    if not differentiable:
        return [x.cpu().numpy() for x in out]
    grad = np.random.default_rng(1).normal(size=tuple(out.shape))
    out.backward(torch.tensor(grad).to(out))
    return [x.cpu().numpy() for x in (out.detach(), *(x.grad for x in tensors)) if x is not None]


if __name__ == '__main__':
    from mmcv import _ext

    if not _ext.__file__.endswith('.so'):
        raise SystemExit('mmcv has no compiled ops here: make env OPS=compiled')
    written = {
        f'{name}/{i}': array for name, case in cases().items() for i, array in enumerate(results(*case))
    }
    np.savez_compressed(FILE, **written)
    print(f'{len(written)} arrays of mmcv {mmcv.__version__} in {FILE}')
