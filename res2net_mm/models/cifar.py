"""CIFAR-shaped networks of Res2Net modules: Res2NeXt-29 (Sec. 4.3, Table 4, Fig. 5)."""

from collections.abc import Sequence

from mmcv.cnn import build_conv_layer, build_norm_layer
from torch import Tensor, nn

from ..registry import MODELS
from .arguments import checked
from .backbone import BN, StagedBackbone
from .bottle2neck import BLOCK_ARGUMENTS, Bottle2neck
from .stage import blocks_per_stage, make_stage


@MODELS.register_module()
class Res2NeXtCIFAR(StagedBackbone):
    """Res2NeXt for small images: ResNeXt-29 (Xie et al., CVPR 2017) of Res2Net modules.

    A 3x3 stem and three stages, which give 256, 512 and 1024 channels at strides 1, 2 and 4. The first block
    of a stage has a 3x3 convolution on each of its splits and no pooling: with that, and without the
    classifier, the parameters are those of Table 4 (24.3, 33.8 and 36.7 M for 6c24w4s, 8c25w4s and
    6c24w6s). ``scales=1, groups=8, base_width=64`` is ResNeXt-29 8c64w itself (34.4 M).

    The table's SE rows (35.1, 26.0, 34.0 and 36.9 M) follow from no single reduction ratio; with
    ``se_ratio=16`` these networks have 34.9, 24.8, 34.3 and 37.2 M.

    All arguments that aren't here are in :class:`StagedBackbone` and, as ``**block``, :class:`Bottle2neck`.

    Args:
        depth (int | tuple[int]): ``9 * n + 2`` for three stages of n blocks, or the number of blocks of each
            stage. Default: 29.
        groups (int): See :class:`Bottle2neck`. Default: 6.
        base_width (int): See :class:`Bottle2neck`. Default: 24.

    Example:
        >>> import torch
        >>> from res2net_mm.models import Res2NeXtCIFAR
        >>> network = Res2NeXtCIFAR(depth=29, groups=6, base_width=24, scales=4).eval()
        >>> [tuple(x.shape) for x in network(torch.rand(1, 3, 32, 32))]
        [(1, 256, 32, 32), (1, 512, 16, 16), (1, 1024, 8, 8)]
    """

    @checked(BLOCK_ARGUMENTS)
    def __init__(
        self,
        depth: int | Sequence[int] = 29,
        *,
        groups: int = 6,
        base_width: int = 24,
        in_channels: int = 3,
        base_channels: int = 64,
        out_indices: Sequence[int] = (0, 1, 2),
        frozen_stages: int = -1,
        conv_cfg: dict | None = None,
        norm_cfg: dict | None = None,
        norm_eval: bool = False,
        zero_init_residual: bool = True,
        init_cfg: dict | list[dict] | None = None,
        **block,
    ):
        super().__init__(norm_eval, zero_init_residual, init_cfg)
        if isinstance(depth, int):
            if depth <= 2 or depth % 9 != 2:
                raise ValueError(
                    f'depth={depth}: there is no such network; take 9 * n + 2, such as 20, 29 or 38, '
                    'or a number for each stage such as (3, 3, 3)'
                )
            depth = (depth // 9,) * 3
        blocks = blocks_per_stage(depth, {29: (3, 3, 3)})
        names = [f'layer{i + 1}' for i in range(len(blocks))]
        strides = [min(i + 1, 2) for i in range(len(blocks))]
        channels = base_channels * Bottle2neck.expansion
        self.set_stages(names, channels, (1, *strides), out_indices, frozen_stages)
        cfgs = dict(conv_cfg=conv_cfg, norm_cfg=norm_cfg or BN)

        self.conv1 = build_conv_layer(conv_cfg, in_channels, base_channels, 3, padding=1, bias=False)
        self.bn1 = build_norm_layer(cfgs['norm_cfg'], base_channels)[1]
        self.relu = nn.ReLU()
        channels = base_channels
        for i, name in enumerate(self.stages):
            planes = base_channels * 2**i
            stage = make_stage(
                channels,
                planes,
                blocks[i],
                stride=strides[i],
                conv_last_split=True,
                groups=groups,
                base_width=base_width,
                base_channels=base_channels,
                **cfgs,
                **block,
            )
            self.add_module(name, stage)
            channels = planes * Bottle2neck.expansion
        self.train()

    def forward_stem(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, base_channels, H, W)."""
        return self.relu(self.bn1(self.conv1(x)))
