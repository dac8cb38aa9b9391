"""Parameters and multiply-adds of models, counted on PyTorch's meta device: nothing is computed."""

from collections.abc import Callable, Iterable, Iterator
from math import prod
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from ..config import load_config, shipped_configs, walk
from ..errors import UserError
from .paper import paper

TOOLBOXES = ('mmdet', 'mmseg', 'mmpose', 'mmpretrain')
NUM_PROPOSALS, NUM_MASKS = 1000, 100


def complexity(cfg: Config, shape: tuple[int, int] | None = None) -> dict[str, float]:
    """Count a config's model.

    Detectors are counted with 1,000 proposals and 100 masks an image, as mmdet counts them.

    Args:
        cfg (Config): The config.
        shape (tuple[int, int], optional): Height and width of the image. Default: 800 x 1280 for mmdet's
            models, for the others what they are trained with, 300 x 400 where images keep their own size.

    Returns:
        dict: ``parameters`` and, of those, ``trainable`` and the ``backbone``'s, in millions; ``macs``, 10^9
        multiply-adds of convolutions and matrix products; ``flops``, what mmcv called GFLOPs: the same, but a
        transposed convolution counts at its output's positions, with stride 2 four times too much.

    Raises:
        UserError: If the config's toolbox isn't one of the four, or its model none of the usual shapes.
    """
    scope = cfg.get('default_scope')
    if scope not in TOOLBOXES:
        raise UserError(f'default_scope = {scope!r}: only models of {", ".join(TOOLBOXES)} can be counted')
    with DefaultScope.overwrite_default_scope(scope):
        model = _build(cfg.model).eval()
    image = torch.empty(1, 3, *(shape or ((800, 1280) if scope == 'mmdet' else _crop(cfg))), device='meta')
    with torch.device('meta'):
        try:
            counted = count(model, lambda: _forward(model, image))
        except NotImplementedError as error:  # a head without a forward, such as Sparse R-CNN's
            raise UserError(f"a {type(model).__name__} can't be counted: {error}") from None
    return dict(counted, backbone=sum(p.numel() for p in model.backbone.parameters()) / 1e6)


def _build(cfg: dict) -> nn.Module:
    try:
        with torch.device('meta'):
            return MODELS.build(cfg)
    except RuntimeError:  # mmpretrain's ResNet reads values from tensors while it is built
        return MODELS.build(cfg).to('meta')


def _crop(cfg: Config) -> tuple[int, int]:
    """Height and width of what a config's transforms cut out."""
    for _, node in walk(cfg.get('train_dataloader') or {}):
        if node.get('type') in ('RandomResizedCrop', 'RandomCrop'):
            size = node.get('scale') or node['crop_size']
            return (size, size) if isinstance(size, int) else tuple(size)
        if node.get('type') == 'TopdownAffine':
            return tuple(node['input_size'])[::-1]
        if node.get('type') == 'res2net_mm.SaliencyDataset':
            return 300, 400  # of most of MSRA-B's images, which keep their own size
    raise UserError('no crop in the config tells the size of its images; say it by --shape')


def backbone_complexity(cfg: dict) -> dict[str, float]:
    """Count a backbone as the papers do: for 224 x 224, with ImageNet's classifier on top.

    Args:
        cfg (dict): Its config, such as ``dict(type='res2net_mm.Res2Net', depth=50)``.

    Returns:
        dict: See :func:`complexity`.
    """
    with torch.device('meta'):
        backbone = MODELS.build(cfg).eval()
        image = torch.empty(1, 3, 224, 224)
        classifier = nn.Linear(backbone(image)[-1].shape[1], 1000)
    model = nn.ModuleList([backbone, classifier])
    return count(model, lambda: classifier(backbone(image)[-1].mean((2, 3))))


def count(model: nn.Module, forward: Callable[[], object]) -> dict[str, float]:
    """Count a model's parameters and the multiply-adds of what ``forward()`` computes."""
    excess = 0

    def conv_flops(x_shape, w_shape, bias, stride, padding, dilation, transposed, *_, out_shape, **__) -> int:
        nonlocal excess
        macs = x_shape[0] * prod(w_shape) * prod((x_shape if transposed else out_shape)[2:])
        if transposed:
            excess += macs * (prod(out_shape[2:]) // prod(x_shape[2:]) - 1)
        return 2 * macs

    counter = FlopCounterMode(display=False, custom_mapping={torch.ops.aten.convolution: conv_flops})
    with torch.no_grad(), counter:
        forward()
    macs = counter.get_total_flops() // 2
    return dict(
        parameters=sum(p.numel() for p in model.parameters()) / 1e6,
        trainable=sum(p.numel() for p in model.parameters() if p.requires_grad) / 1e6,
        macs=macs / 1e9,
        flops=(macs + excess) / 1e9,
    )


def _forward(model: nn.Module, image: Tensor) -> None:
    """What a model computes for an image, but for what has no cost in multiply-adds."""
    maps = model.extract_feat(image)
    if hasattr(model, 'roi_head'):
        _two_stages(model, maps)
    elif hasattr(model, 'decode_head'):
        model.decode_head(maps)
    elif hasattr(model, 'head'):
        model.head(maps)
    elif hasattr(model, 'bbox_head') and not hasattr(model, 'encoder'):  # as DETR and its descendants have
        model.bbox_head(maps)
    else:
        raise UserError(f"a {type(model).__name__} can't be counted: it has none of the usual heads")


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


def tables(configs: list[str], shape: tuple[int, int] | None = None) -> Iterator[Table]:
    """Lay out the counts of configs and backbones beside the published ones.

    Args:
        configs (list[str]): Config files. Empty: the paper's backbones and all that the package ships.
        shape (tuple[int, int], optional): Height and width of the image. Default: see :func:`complexity`.
    """
    published = paper()['complexity']
    if not configs:
        table = _table('Backbones with a 1000-way classifier, 224 x 224', 'parameters (M)', 'GMACs')
        rows = published['backbones']
        for row in track(rows, 'counting backbones', console=Console(stderr=True), transient=True):
            counted = backbone_complexity(dict(type='res2net_mm.Res2Net', **row['arguments']))
            texts = (f'{counted["parameters"]:.6f}', f'{counted["macs"]:.2f}')
            known = (row['parameters'] / 1e6, row.get('gmacs'))
            table.add_row(row['name'], *_beside(texts, known))
        yield table
    size = '{}' if shape is None else f'{shape[1]} x {shape[0]}'
    sizes = size.format('detectors at 1280 x 800, the others at their own size')
    others = _table(f'Configs, {sizes}', 'learning (M)', "mmcv's GFLOPs", 'parameters (M)', 'GMACs')
    sizes = size.format("each one's own size")
    classifiers = _table(f'Classifiers, {sizes}', 'backbone (M)', 'GMACs', 'parameters (M)')
    known_costs = {**published['configs'], **published['classifiers']}
    paths = configs or list(map(str, shipped_configs().values()))
    for path in track(paths, 'counting', console=Console(stderr=True), transient=True):
        cfg = load_config(path)
        counted = {key: f'{value:.2f}' for key, value in complexity(cfg, shape).items()}
        known = known_costs.get(Path(path).stem) if shape is None else None
        if cfg.default_scope == 'mmpretrain':
            table, columns = classifiers, ('backbone', 'macs', 'parameters')
        else:
            table, columns = others, ('trainable', 'flops', 'parameters', 'macs')
        texts = [counted[column] for column in columns]
        table.add_row(Path(path).stem, *_beside(texts[:2], known or (None, None)), *texts[2:])
    yield from (table for table in (others, classifiers) if table.row_count)


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), title_justify='left')
    table.add_column('', no_wrap=True)
    for i, column in enumerate(columns):
        table.add_column(column, justify='right', no_wrap=True)
        if i < 2:
            table.add_column('published', justify='right', no_wrap=True, style='dim')
    return table


def _beside(texts: Iterable[str], published: tuple[float | None, ...]) -> Iterator[str]:
    """Counts, each with what was published and by how much it differs."""
    for text, known in zip(texts, published):
        yield text
        yield '' if known is None else f'{known:g} ({float(text) / known - 1:+.1%})'
