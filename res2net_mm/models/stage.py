"""What the networks are made of beside the block: depth tables, stages, convolutions with BN and ReLU."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence

from mmcv.cnn import build_conv_layer, build_norm_layer
from torch import nn

from .arguments import check
from .bottle2neck import Bottle2neck

BLOCKS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3), 200: (3, 24, 36, 3)}


def blocks_per_stage(
    depth: int | Sequence[int], known: Mapping[int, tuple[int, ...]] = BLOCKS
) -> tuple[int, ...]:
    """Number of blocks of each stage for one of the known depths, or for a custom tuple.

    Raises:
        ValueError: If there is no network of that depth.
    """
    if isinstance(depth, tuple) and depth:
        return depth
    if depth not in known:
        raise ValueError(
            f'depth={depth!r}: there is no such network; take {", ".join(map(str, known))} '
            f'or a number for each stage such as {next(iter(known.values()))}'
        )
    return known[depth]


def check_per_stage(num_stages: int, **arguments: Sequence) -> None:
    """Check that arguments have an entry for each stage.

    Raises:
        ValueError: If one has fewer.
    """
    for name, values in arguments.items():
        if num_stages > len(values):
            raise ValueError(f'{name} has {len(values)} entries: {values}, but there are {num_stages} stages')


def check_plugins(plugins: list[dict] | None, num_stages: int) -> None:
    """Check that the ``stages`` of plugins, where they have them, have an entry for each stage.

    Raises:
        ValueError: If one has fewer.
    """
    for plugin in plugins or []:
        if plugin.get('stages') is not None:
            stages = check("a plugin's stages", plugin['stages'], Sequence[bool], (True,) * num_stages)
            check_per_stage(num_stages, **{"a plugin's stages": stages})


def plugins_of_stage(plugins: list[dict] | None, stage: int) -> list[dict]:
    """The plugins whose ``stages`` name the stage (counted from 0), or that name none."""
    return [
        {key: value for key, value in plugin.items() if key != 'stages'}
        for plugin in plugins or []
        if plugin.get('stages') is None or plugin['stages'][stage]
    ]


def conv_norm(
    in_channels: int,
    out_channels: int,
    kernel_size: int,
    stride: int = 1,
    *,
    relu: bool = True,
    names: tuple[str, str, str] = ('0', '1', '2'),
    conv_cfg: dict | None = None,
    norm_cfg: dict | None = None,
) -> nn.Sequential:
    """Build a convolution that keeps the size (less the stride), its normalization and perhaps a ReLU.

    Args:
        in_channels (int): Channels of the input.
        out_channels (int): Channels of the output.
        kernel_size (int): Size of the kernel, odd.
        stride (int): The stride. Default: 1.
        relu (bool): Whether a ReLU follows. Default: True.
        names (tuple[str, str, str]): What the three are called in a state dict. Default: their numbers.
        conv_cfg (dict, optional): Config of the convolution. Default: None (Conv2d).
        norm_cfg (dict, optional): Config of the normalization. Default: BN.
    """
    layers = [
        build_conv_layer(
            conv_cfg, in_channels, out_channels, kernel_size, stride, kernel_size // 2, bias=False
        ),
        build_norm_layer(norm_cfg or dict(type='BN'), out_channels)[1],
    ]
    if relu:
        layers.append(nn.ReLU())
    return nn.Sequential(OrderedDict(zip(names, layers)))


def make_stage(
    in_channels: int,
    planes: int,
    num_blocks: int,
    *,
    stride: int = 1,
    dilation: int = 1,
    contract_dilation: bool = False,
    multi_grid: Sequence[int] | None = None,
    avg_down: bool = False,
    first: bool = True,
    final_relu: bool = True,
    downsample: nn.Module | None = None,
    conv_cfg: dict | None = None,
    norm_cfg: dict | None = None,
    **block,
) -> nn.Sequential:
    """Build a stage: a first block with the stride and the projection, then ``num_blocks - 1`` more.

    Args:
        in_channels (int): Channels of the input.
        planes (int): The blocks' planes.
        num_blocks (int): Number of blocks.
        stride (int): Stride of the first block. Default: 1.
        dilation (int): Dilation of the blocks. Default: 1.
        contract_dilation (bool): Whether the first block takes half the dilation. Default: False.
        multi_grid (Sequence[int], optional): Dilation of each block, in place of both. Default: None.
        avg_down (bool): Average pooling in place of the projection's stride. Default: False.
        first (bool): Whether the first block is of the kind that begins a stage. Default: True.
        final_relu (bool): Whether the last block ends in a ReLU. Default: True.
        downsample (nn.Module, optional): The first block's projection. Default: None (a 1x1 convolution where
            the shape changes).
        conv_cfg (dict, optional): Config of the convolutions. Default: None (Conv2d).
        norm_cfg (dict, optional): Config of the normalization. Default: BN.
        **block: Further arguments of each :class:`Bottle2neck`.

    Raises:
        ValueError: If ``multi_grid`` has not as many entries as there are blocks.
    """
    out_channels = planes * Bottle2neck.expansion
    dilations = list(multi_grid or [dilation] * num_blocks)
    if len(dilations) != num_blocks:
        raise ValueError(f'multi_grid={tuple(dilations)}, but the stage has {num_blocks} blocks')
    if multi_grid is None and contract_dilation and dilation > 1:
        dilations[0] = dilation // 2
    cfgs = dict(conv_cfg=conv_cfg, norm_cfg=norm_cfg or dict(type='BN'))
    if downsample is None and (stride != 1 or in_channels != out_channels):
        downsample = conv_norm(in_channels, out_channels, 1, 1 if avg_down else stride, relu=False, **cfgs)
        if avg_down:
            downsample.insert(0, nn.AvgPool2d(stride, stride, ceil_mode=True, count_include_pad=False))

    blocks = []
    for i in range(num_blocks):
        begin = dict(stride=stride, first=first, downsample=downsample) if i == 0 else {}
        relu = final_relu or i < num_blocks - 1
        channels = in_channels if i == 0 else out_channels
        blocks.append(
            Bottle2neck(channels, planes, dilation=dilations[i], final_relu=relu, **begin, **cfgs, **block)
        )
    return nn.Sequential(*blocks)
