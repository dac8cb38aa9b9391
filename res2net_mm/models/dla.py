"""DLA-shaped networks of Res2Net modules: Res2Net-DLA-60 and Res2NeXt-DLA-60 (Sec. 3.3, Table 1)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..registry import MODELS
from .arguments import checked
from .backbone import BN, StagedBackbone
from .bottle2neck import BLOCK_ARGUMENTS, Bottle2neck
from .stage import blocks_per_stage, check_per_stage, conv_norm

TREES = {60: (1, 2, 3, 1)}  # their depth in each stage
EXPANSION = 2


class Tree(nn.Module):
    """A binary tree of blocks with a 1x1 convolution at its nodes (Yu et al., CVPR 2018, Fig. 3).

    A tree of depth 1 is two blocks in a row and a node, its root, which fuses their outputs and those of
    other children. A deeper tree is two trees in a row; the first one's output is a child of the second
    one's root.

    Args:
        depth (int): Depth of the tree; it has ``2 ** depth`` blocks.
        in_channels (int): Channels of the input.
        planes (int): The blocks' planes; the output has twice as many channels.
        stride (int): Stride of the first block. Default: 1.
        dilation (int): Dilation of the blocks. Default: 1.
        first_dilation (int, optional): Dilation of the first block. Default: None (as of the others).
        first (bool): Whether the first block is of the kind that begins a stage. Default: False.
        level_root (bool): Whether the (pooled) input is a child of the root, too. Default: False.
        children_channels (int): Channels of the root's further children, together. Default: 0.
        conv_cfg (dict, optional): Config of the convolutions. Default: None (Conv2d).
        norm_cfg (dict, optional): Config of the normalization. Default: BN.
        **block: Further arguments of each :class:`Bottle2neck`.
    """

    def __init__(
        self,
        depth: int,
        in_channels: int,
        planes: int,
        *,
        stride: int = 1,
        dilation: int = 1,
        first_dilation: int | None = None,
        first: bool = False,
        level_root: bool = False,
        children_channels: int = 0,
        conv_cfg: dict | None = None,
        norm_cfg: dict | None = None,
        **block,
    ):
        super().__init__()
        cfgs = dict(conv_cfg=conv_cfg, norm_cfg=norm_cfg or dict(type='BN'))
        out_channels = EXPANSION * planes
        begin = dict(stride=stride, first=first)
        first_dilation = first_dilation or dilation
        children_channels += in_channels if level_root else 0
        self.level_root = level_root
        # ceil_mode: as many rows and columns as the convolutions give, also where the input's number is odd.
        self.pool = nn.MaxPool2d(stride, stride, ceil_mode=True) if stride > 1 else nn.Identity()
        if first and stride == 1:
            # As dense as the dilated convolutions, and the same where there was a stride.
            self.pool = nn.Sequential(
                nn.ZeroPad2d((0, first_dilation, 0, first_dilation)),
                nn.MaxPool2d(2, 1, dilation=first_dilation),
            )
        if depth > 1:
            block.update(cfgs, dilation=dilation)
            self.tree1 = Tree(depth - 1, in_channels, planes, first_dilation=first_dilation, **begin, **block)
            children_channels += out_channels
            self.tree2 = Tree(depth - 1, out_channels, planes, children_channels=children_channels, **block)
            self.root = None
            return
        block.update(cfgs, expansion=EXPANSION)
        self.tree1 = Bottle2neck(in_channels, planes, dilation=first_dilation, **begin, **block)
        self.tree2 = Bottle2neck(out_channels, planes, dilation=dilation, **block)
        self.project = nn.Identity()
        if in_channels != out_channels:
            self.project = conv_norm(in_channels, out_channels, 1, relu=False, **cfgs)
        names = 'conv', 'bn', 'relu'
        self.root = conv_norm(2 * out_channels + children_channels, out_channels, 1, names=names, **cfgs)

    def forward(self, x: Tensor, children: tuple[Tensor, ...] = ()) -> Tensor:
        """Map (N, in_channels, H, W) to (N, 2 * planes, H / stride, W / stride), rounded up.

        Args:
            x (Tensor): The input.
            children (tuple[Tensor]): What the root fuses besides its own two blocks' outputs, of the output's
                height and width. Default: nothing.
        """
        pooled = self.pool(x)
        if self.level_root:
            children = (*children, pooled)
        if self.root is None:
            x = self.tree1(x)
            return self.tree2(x, (*children, x))
        first = self.tree1(x, self.project(pooled))
        return self.root(torch.cat([self.tree2(first), first, *children], 1))


@MODELS.register_module()
class Res2NetDLA(StagedBackbone):
    """Deep layer aggregation (Yu et al., CVPR 2018) of Res2Net modules.

    It computes exactly what the authors' released networks compute and uses their parameter names. The
    defaults build Res2Net-DLA-60; ``base_width=4, groups=8`` Res2NeXt-DLA-60. Its four stages (``level2`` ...
    ``level5``) give 128, 256, 512 and 1024 channels at strides 4, 8, 16 and 32, each rounded up.

    The published sizes of the two (21,145,544 and 17,330,456 parameters with a classifier) count three
    projections (297,472) that the authors' files hold and nothing uses. As in timm they are left out.
    Weights: ``res2net://res2net_dla60_4s`` and ``res2net://res2next_dla60_4s``.

    All arguments that aren't here are in :class:`StagedBackbone` and, as ``**block``, :class:`Bottle2neck`.

    Args:
        depth (int | tuple[int]): 60, or the depth of each stage's tree. Default: 60.
        base_width (int): See :class:`Bottle2neck`. Default: 28.
        strides (Sequence[int]): Stride of each stage; the stem's is 2. Default: (2, 2, 2, 2).
        dilations (Sequence[int]): Dilation of each stage, whose first block keeps that of the stage before,
            as in the authors' dilated networks. For output stride 16, as DeepLabv3+ wants it:
            ``strides=(2, 2, 2, 1), dilations=(1, 1, 1, 2)``. Default: (1, 1, 1, 1).

    Example:
        >>> import torch
        >>> from res2net_mm.models import Res2NetDLA
        >>> network = Res2NetDLA(out_indices=(1, 2, 3)).eval()
        >>> [tuple(x.shape) for x in network(torch.rand(1, 3, 64, 96))]
        [(1, 256, 8, 12), (1, 512, 4, 6), (1, 1024, 2, 3)]
    """

    @checked(BLOCK_ARGUMENTS)
    def __init__(
        self,
        depth: int | Sequence[int] = 60,
        *,
        base_width: int = 28,
        in_channels: int = 3,
        base_channels: int = 64,
        strides: Sequence[int] = (2, 2, 2, 2),
        dilations: Sequence[int] = (1, 1, 1, 1),
        out_indices: Sequence[int] = (0, 1, 2, 3),
        frozen_stages: int = -1,
        conv_cfg: dict | None = None,
        norm_cfg: dict | None = None,
        norm_eval: bool = False,
        zero_init_residual: bool = True,
        init_cfg: dict | list[dict] | None = None,
        **block,
    ):
        super().__init__(norm_eval, zero_init_residual, init_cfg)
        trees = blocks_per_stage(depth, TREES)
        check_per_stage(len(trees), strides=strides, dilations=dilations)
        cfgs = dict(conv_cfg=conv_cfg, norm_cfg=norm_cfg or BN)
        names = [f'level{i + 2}' for i in range(len(trees))]
        self.set_stages(names, base_channels * EXPANSION, (2, *strides), out_indices, frozen_stages)

        channels = max(1, base_channels // 4)
        self.base_layer = conv_norm(in_channels, channels, 7, **cfgs)
        self.level0 = conv_norm(channels, channels, 3, **cfgs)
        self.level1 = conv_norm(channels, 2 * channels, 3, stride=2, **cfgs)
        channels *= 2
        for i, name in enumerate(self.stages):
            planes = base_channels * 2**i
            tree = Tree(
                trees[i],
                channels,
                planes,
                stride=strides[i],
                dilation=dilations[i],
                first_dilation=dilations[max(i - 1, 0)],
                # Unlike in Res2Net, only the block with the stage's stride is of the kind that begins one.
                first=True,
                level_root=i > 0,
                base_width=base_width,
                base_channels=base_channels,
                **cfgs,
                **block,
            )
            self.add_module(name, tree)
            channels = EXPANSION * planes
        self.train()

    def forward_stem(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, base_channels / 2, H / 2, W / 2), rounded up."""
        return self.level1(self.level0(self.base_layer(x)))
