"""Parameters and multiply-adds of a config's model, counted on PyTorch's meta device: nothing is computed."""

from math import prod

import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from .errors import UserError

# Height and width of the input: mmdet's for costs, and each protocol's own.
SHAPES = dict(mmdet=(800, 1280), mmseg=(513, 513), mmpose=(256, 192), mmpretrain=(224, 224))
NUM_PROPOSALS, NUM_MASKS = 1000, 100


def complexity(cfg: Config, shape: tuple[int, int] | None = None) -> dict[str, float]:
    """Count a config's model.

    Detectors are counted with 1,000 proposals and 100 masks an image, as mmdet counts them.

    Args:
        cfg (Config): The config.
        shape (tuple[int, int], optional): Height and width of the image. Default: 800 x 1280 for mmdet's
            models, 513 x 513 for mmseg's, 256 x 192 for mmpose's, 224 x 224 for mmpretrain's.

    Returns:
        dict: ``parameters`` (millions), ``macs`` (10^9 multiply-adds of convolutions and matrix products)
        and ``flops``, what mmcv used to call GFLOPs: the same, but a transposed convolution counts at its
        output's positions, with stride 2 four times too much.

    Raises:
        UserError: If the config's toolbox isn't one of the four.
    """
    scope = cfg.get('default_scope')
    if scope not in SHAPES:
        raise UserError(f'default_scope = {scope!r}: only models of {", ".join(SHAPES)} can be counted')
    with DefaultScope.overwrite_default_scope(scope), torch.device('meta'):
        model = MODELS.build(cfg.model).eval()
        image = torch.empty(1, 3, *(shape or SHAPES[scope]))
    macs, flops = count(lambda: _forward(model, image))
    return dict(parameters=parameters(model) / 1e6, macs=macs / 1e9, flops=flops / 1e9)


def parameters(model: nn.Module) -> int:
    """Number of a model's parameters."""
    return sum(p.numel() for p in model.parameters())


def count(forward) -> tuple[int, int]:
    """Multiply-adds of what ``forward()`` computes: the real number, and mmcv's old one."""
    excess = 0

    def conv_macs(x_shape, w_shape, bias, stride, padding, dilation, transposed, *_, out_shape, **__) -> int:
        nonlocal excess
        macs = x_shape[0] * prod(w_shape) * prod((x_shape if transposed else out_shape)[2:])
        if transposed:
            excess += macs * (prod(out_shape[2:]) // prod(x_shape[2:]) - 1)
        return 2 * macs

    counter = FlopCounterMode(display=False, custom_mapping={torch.ops.aten.convolution: conv_macs})
    with torch.no_grad(), counter:
        forward()
    macs = counter.get_total_flops() // 2
    return macs, macs + excess


def _forward(model: nn.Module, image: Tensor) -> None:
    """What a model computes for an image, but for what has no cost in multiply-adds."""
    maps = model.extract_feat(image)
    if hasattr(model, 'roi_head'):
        _two_stages(model, maps)
    elif hasattr(model, 'decode_head'):
        model.decode_head(maps)
    else:
        model.head(maps)


def _two_stages(model: nn.Module, maps: tuple[Tensor, ...]) -> None:
    """The heads of Faster R-CNN and its descendants."""
    head = model.roi_head

    def as_list(modules) -> list:
        return list(modules) if isinstance(modules, nn.ModuleList) else [modules]

    def rois(extractors, number: int) -> Tensor:
        extractor = as_list(extractors)[0]
        x = maps[0].new_empty(number, extractor.out_channels, *extractor.roi_layers[0].output_size)
        return head.shared_head(x) if head.with_shared_head else x

    model.rpn_head(maps)
    for bbox_head in as_list(head.bbox_head):
        bbox_head(rois(head.bbox_roi_extractor, NUM_PROPOSALS))
    if getattr(head, 'with_semantic', False):
        head.semantic_head(maps)
    if head.with_mask:
        x, last = rois(head.mask_roi_extractor, NUM_MASKS), None
        for mask_head in as_list(head.mask_head):
            if getattr(head, 'mask_info_flow', False):
                _, last = mask_head(x, last)
            else:
                mask_head(x)
