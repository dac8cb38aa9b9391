"""Big-Little networks of Res2Net modules: bLRes2Net (Sec. 3.3, Table 1)."""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from ..registry import MODELS
from .arguments import checked
from .backbone import BN, StagedBackbone
from .bottle2neck import BLOCK_ARGUMENTS, Bottle2neck, average_pool
from .stage import blocks_per_stage, check_per_stage, conv_norm, make_stage


class BigLittle(nn.Module):
    """Two branches of different resolution, added (Chen et al., ICLR 2019, Fig. 1).

    Args:
        big (nn.Module): The branch with more layers and channels, at a lower resolution.
        little (nn.Module): The branch with fewer, whose output has the big one's channels. Neither ends in a
            ReLU: as in a residual block it follows the sum.
    """

    def __init__(self, big: nn.Module, little: nn.Module):
        super().__init__()
        self.big = big
        self.little = little

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the little branch's shape; the big one's output is upsampled (nearest)."""
        big, little = self.big(x), self.little(x)
        return (F.interpolate(big, size=little.shape[2:]) + little).relu()


BLOCKS = {50: (3, 4, 6, 3)}


@MODELS.register_module()
class BLRes2Net(StagedBackbone):
    """Big-Little Net (Chen et al., ICLR 2019) of Res2Net modules: bLRes2Net-50.

    In each of the first three stages of ResNet's four, all blocks but one form a big branch at half the
    resolution; beside it stands a little branch at the full one, and the last block fuses their sum. The
    stem has two branches, too. These stages reduce the resolution at their end (strides 2, 2 and 1), so
    here the blocks are counted by resolution: the maps returned are the last ones at strides 4 (the first
    stage's sum, 256 channels), 8 (the second's sum, 512), 16 (the third stage's output, 1024) and 32 (2048),
    each rounded up.

    The defaults build bLRes2Net-50; ``scales=1, base_width=64`` bL-ResNet-50 (26.7 M parameters with its
    classifier, as published). The paper gives neither size nor cost of bLRes2Net-50, and no weights or code
    of it were released to compare with. Where it says nothing, this is what was chosen: 26w4s blocks, as in
    Res2Net-50; only blocks with stride 2 are of the kind that begins a stage, as in the authors' DLA
    networks, because a little branch of one block would have no hierarchy else; and a stride of the residual
    path is an average pooling (3x3), as that of the last split is.

    All arguments that aren't here are in :class:`StagedBackbone` and, as ``**block``, :class:`Bottle2neck`.

    Args:
        depth (int | tuple[int]): 50, or the number of blocks of each of ResNet's four stages, at least 2 in
            the first three. Default: 50.
        alpha (int): What the planes of the little branch are divided by. Default: 2.
        beta (int): What its depth is divided by: it has ``max(1, blocks // beta - 1)`` blocks. Default: 4.
        strides (Sequence[int]): Strides between the resolutions; the first one's is the stem's and must be 1.
            Default: (1, 2, 2, 2).
        dilations (Sequence[int]): Dilations of their blocks; a block with a stride keeps that of the ones
            before it. For output stride 16, as DeepLabv3+ wants it: ``strides=(1, 2, 2, 1), dilations=(1, 1,
            1, 2)``. Default: (1, 1, 1, 1).

    Example:
        >>> import torch
        >>> from res2net_mm.models import BLRes2Net
        >>> network = BLRes2Net(depth=50, alpha=2, beta=4).eval()
        >>> [tuple(x.shape) for x in network(torch.rand(1, 3, 64, 96))]
        [(1, 256, 16, 24), (1, 512, 8, 12), (1, 1024, 4, 6), (1, 2048, 2, 3)]
    """

    @checked(BLOCK_ARGUMENTS)
    def __init__(
        self,
        depth: int | Sequence[int] = 50,
        *,
        alpha: int = 2,
        beta: int = 4,
        in_channels: int = 3,
        base_channels: int = 64,
        strides: Sequence[int] = (1, 2, 2, 2),
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
        blocks = blocks_per_stage(depth, BLOCKS)
        if len(blocks) != 4 or min(blocks[:3]) < 2:
            raise ValueError(f'depth={blocks} must be four stages, the first three of at least 2 blocks')
        if base_channels % alpha:
            raise ValueError(f'alpha={alpha} does not divide base_channels={base_channels}')
        check_per_stage(4, strides=strides, dilations=dilations)
        if strides[0] != 1:
            raise ValueError(f'strides={strides}: the first must be 1, there is no block for it')
        names = [f'layer{i + 1}' for i in range(4)]
        channels = base_channels * Bottle2neck.expansion
        self.set_stages(names, channels, (4, *strides), out_indices, frozen_stages)
        cfgs = dict(conv_cfg=conv_cfg, norm_cfg=norm_cfg or BN)

        def conv(c_in, c_out, kernel_size=1, stride=1, relu=True):
            names = 'conv', 'bn', 'relu'
            return conv_norm(c_in, c_out, kernel_size, stride, relu=relu, names=names, **cfgs)

        def stage(c_in, planes, rates, stride=1, first=False, **others):
            c_out = planes * Bottle2neck.expansion
            # bL-ResNet-50's published size leaves no convolution in a fusion block's residual path.
            downsample = nn.Sequential()
            if first:
                downsample.append(average_pool(stride))
            if c_in != c_out:
                downsample.append(conv(c_in, c_out, relu=False))
            return make_stage(
                c_in,
                planes,
                len(rates),
                stride=stride,
                multi_grid=rates,
                first=first,
                downsample=downsample,
                base_channels=base_channels,
                **cfgs,
                **block,
                **others,
            )

        def big_little(c_in, planes, num_blocks, dilation):
            c_out = planes * Bottle2neck.expansion
            big = stage(c_in, planes, [dilation] * (num_blocks - 1), stride=2, first=True, final_relu=False)
            little = stage(c_in, planes // alpha, [dilation] * max(1, num_blocks // beta - 1))
            return BigLittle(big, little.append(conv(c_out // alpha, c_out, relu=False)))

        c = base_channels
        self.conv1 = nn.Sequential(
            conv(in_channels, c, 7, stride=2),
            BigLittle(
                conv(c, c, 3, stride=2, relu=False),
                nn.Sequential(
                    conv(c, c // alpha, 3),
                    conv(c // alpha, c // alpha, 3, stride=2),
                    conv(c // alpha, c, relu=False),
                ),
            ),
            conv(c, c),
        )
        d1, d2, d3, d4 = dilations[:4]
        self.layer1 = nn.Sequential(big_little(c, c, blocks[0], d1))
        self.layer2 = stage(4 * c, c, [d1], strides[1], first=True)
        self.layer2.append(big_little(4 * c, 2 * c, blocks[1], d2))
        self.layer3 = stage(8 * c, 2 * c, [d2], strides[2], first=True)
        self.layer3.append(big_little(8 * c, 4 * c, blocks[2], d3))
        self.layer3.extend(stage(16 * c, 4 * c, [d3]))
        self.layer4 = stage(16 * c, 8 * c, [d3] + [d4] * (blocks[3] - 1), strides[3], first=True)
        self.train()

    def forward_stem(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, base_channels, H / 4, W / 4), rounded up."""
        return self.conv1(x)
