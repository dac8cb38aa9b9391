"""ResNet-shaped networks of Res2Net modules: Res2Net, Res2NeXt, SE-Res2Net, v1b (Sec. 3.3)."""

from collections.abc import Sequence

from mmcv.cnn import build_conv_layer, build_norm_layer
from torch import Tensor, nn

from ..registry import MODELS
from .arguments import checked
from .backbone import BN, Backbone, StagedBackbone
from .bottle2neck import BLOCK_ARGUMENTS, Bottle2neck
from .stage import blocks_per_stage, check_per_stage, check_plugins, make_stage, plugins_of_stage


@MODELS.register_module()
class Res2Net(StagedBackbone):
    """Res2Net, and with ``groups`` Res2NeXt, with ``with_se`` SE-Res2Net (Table 1).

    It computes exactly what the authors' released networks compute and uses their parameter names.
    Its stages give 256, 512, 1024 and 2048 channels at strides 4, 8, 16 and 32.
    The defaults build the paper's Res2Net-50 26w4s; ``deep_stem=True, avg_down=True`` its v1b (elsewhere
    called v1d or d); ``base_width=4, groups=8`` Res2NeXt-50; ``scales=1, base_width=64`` ResNet-50.

    All arguments that aren't here are in :class:`StagedBackbone` and, as ``**block``, :class:`Bottle2neck`:
    there are the paper's own, ``scales`` (4), ``base_width`` (26), ``groups`` (1) and ``with_se`` (False).

    Args:
        depth (int | tuple[int]): 50, 101, 152, 200, or the number of blocks of each stage. Default: 50.
        style (str): 'pytorch', the only one there is: the stride is the 3x3 convolutions', not the first
            1x1 convolution's. So that a config's ResNet can be replaced as it is. Default: 'pytorch'.
        deep_stem (bool): Three 3x3 convolutions in place of the 7x7 one. Default: False.
        avg_down (bool): Average pooling in place of the stride of the residual path's 1x1 convolution.
            Default: False.
        stem_channels (int, optional): Channels of the stem's output; None: ``base_channels``. Default: 64.
        out_stem (bool): Whether the stem's output before its max pooling (``stem_channels`` at stride 2)
            comes first, as DSS wants it (Sec. 4.9). Default: False.
        num_stages (int): Number of stages. Default: 4.
        strides (Sequence[int]): Stride of each stage. Default: (1, 2, 2, 2).
        dilations (Sequence[int]): Dilation of each stage. Default: (1, 1, 1, 1).
        contract_dilation (bool): Whether the first block of a dilated stage takes half the dilation, that
            is the stage's before it, as the authors' dilated networks do. Default: False.
        multi_grid (Sequence[int], optional): Dilation of each block of the last stage, in place of
            ``dilations``. Default: None.
        dcn (dict, optional): See :class:`Bottle2neck`. Default: None.
        stage_with_dcn (Sequence[bool]): The stages that have it. Default: none.
        plugins (list[dict], optional): ``dict(cfg=dict(type=...), stages=(False, True, True, True),
            position='after_conv3')``; see :class:`Bottle2neck`. Default: None.

    Example:
        >>> import torch
        >>> from res2net_mm.models import Res2Net
        >>> network = Res2Net(depth=50, out_indices=(1, 2, 3)).eval()
        >>> [tuple(x.shape) for x in network(torch.rand(1, 3, 64, 96))]
        [(1, 512, 8, 12), (1, 1024, 4, 6), (1, 2048, 2, 3)]
    """

    @checked(BLOCK_ARGUMENTS)
    def __init__(
        self,
        depth: int | Sequence[int] = 50,
        *,
        style: str = 'pytorch',
        deep_stem: bool = False,
        avg_down: bool = False,
        in_channels: int = 3,
        stem_channels: int | None = 64,
        out_stem: bool = False,
        base_channels: int = 64,
        num_stages: int = 4,
        strides: Sequence[int] = (1, 2, 2, 2),
        dilations: Sequence[int] = (1, 1, 1, 1),
        contract_dilation: bool = False,
        multi_grid: Sequence[int] | None = None,
        out_indices: Sequence[int] = (0, 1, 2, 3),
        frozen_stages: int = -1,
        conv_cfg: dict | None = None,
        norm_cfg: dict | None = None,
        norm_eval: bool = False,
        dcn: dict | None = None,
        stage_with_dcn: Sequence[bool] = (False, False, False, False),
        plugins: list[dict] | None = None,
        zero_init_residual: bool = True,
        init_cfg: dict | list[dict] | None = None,
        **block,
    ):
        super().__init__(norm_eval, zero_init_residual, init_cfg)
        _check_style(style)
        blocks = blocks_per_stage(depth)
        per_stage = dict(depth=blocks, strides=strides, dilations=dilations)
        if dcn:
            per_stage['stage_with_dcn'] = stage_with_dcn
        check_per_stage(num_stages, **per_stage)
        check_plugins(plugins, num_stages)
        names = [f'layer{i + 1}' for i in range(num_stages)]
        channels = base_channels * Bottle2neck.expansion
        self.set_stages(names, channels, (4, *strides), out_indices, frozen_stages)

        cfgs = dict(conv_cfg=conv_cfg, norm_cfg=norm_cfg or BN)
        channels = stem_channels or base_channels
        self.out_stem = out_stem
        if out_stem:
            self.out_channels = channels, *self.out_channels
            self.out_strides = 2, *self.out_strides
        self.conv1 = _stem(in_channels, channels, deep_stem, **cfgs)
        self.bn1 = build_norm_layer(cfgs['norm_cfg'], channels)[1]
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        for i, name in enumerate(self.stages):
            planes = base_channels * 2**i
            stage = make_stage(
                channels,
                planes,
                blocks[i],
                stride=strides[i],
                dilation=dilations[i],
                contract_dilation=contract_dilation,
                multi_grid=multi_grid if i == num_stages - 1 else None,
                avg_down=avg_down,
                base_channels=base_channels,
                dcn=dcn if dcn and stage_with_dcn[i] else None,
                plugins=plugins_of_stage(plugins, i),
                **cfgs,
                **block,
            )
            self.add_module(name, stage)
            channels = planes * Bottle2neck.expansion
        self.train()

    def forward_stem(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, stem_channels, H / 2, W / 2), rounded up."""
        return self.relu(self.bn1(self.conv1(x)))

    def forward_stages(self, x: Tensor) -> tuple[Tensor, ...]:
        """Map the stem's output to the feature maps of the stages in ``out_indices``, after itself or not."""
        outs = super().forward_stages(self.maxpool(x))
        return (x, *outs) if self.out_stem else outs


def _check_style(style: str) -> None:
    if style != 'pytorch':
        raise ValueError(
            f"style={style!r}: Res2Net has only 'pytorch', whose weights expect RGB images: "
            'data_preprocessor = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], '
            'bgr_to_rgb=True)'
        )


def _stem(in_channels: int, channels: int, deep: bool, conv_cfg: dict | None, norm_cfg: dict) -> nn.Module:
    """The stem's convolution, or its three with what is between them; ``bn1`` comes after it."""

    def conv(c_in, c_out, kernel_size, stride):
        return build_conv_layer(conv_cfg, c_in, c_out, kernel_size, stride, kernel_size // 2, bias=False)

    if not deep:
        return conv(in_channels, channels, 7, 2)
    half = max(1, channels // 2)
    return nn.Sequential(
        conv(in_channels, half, 3, 2),
        build_norm_layer(norm_cfg, half)[1],
        nn.ReLU(),
        conv(half, half, 3, 1),
        build_norm_layer(norm_cfg, half)[1],
        nn.ReLU(),
        conv(half, channels, 3, 1),
    )


@MODELS.register_module()
class Res2Layer(Backbone):
    """One stage of Res2Net, such as the shared RoI head of a C4 detector (Table 5's Faster R-CNN).

    It holds its blocks as ``layer{stage + 1}``, so it takes its weights from the same pretrained file as
    the backbone. All arguments that aren't here are as in :class:`Res2Net`, for one stage.

    Args:
        depth (int | tuple[int]): See :class:`Res2Net`. Default: 50.
        style (str): See :class:`Res2Net`. Default: 'pytorch'.
        stage (int): The stage, counted from 0. Default: 3 (``layer4``).
        stride (int): Its stride. Default: 2.
        dilation (int): Its dilation. Default: 1.

    Raises:
        ValueError: If there is no such depth or stage.

    Example:
        >>> import torch
        >>> from res2net_mm.models import Res2Layer
        >>> head = Res2Layer(depth=50, stage=3).eval()
        >>> tuple(head(torch.rand(8, 1024, 14, 14)).shape)
        (8, 2048, 7, 7)
    """

    @checked(BLOCK_ARGUMENTS)
    def __init__(
        self,
        depth: int | Sequence[int] = 50,
        *,
        style: str = 'pytorch',
        stage: int = 3,
        stride: int = 2,
        dilation: int = 1,
        contract_dilation: bool = False,
        multi_grid: Sequence[int] | None = None,
        avg_down: bool = False,
        base_channels: int = 64,
        norm_cfg: dict | None = None,
        norm_eval: bool = False,
        plugins: list[dict] | None = None,
        zero_init_residual: bool = True,
        init_cfg: dict | list[dict] | None = None,
        **block,
    ):
        super().__init__(norm_eval, zero_init_residual, init_cfg)
        _check_style(style)
        blocks = blocks_per_stage(depth)
        if not 0 <= stage < len(blocks):
            raise ValueError(f'stage={stage} is not from 0 to {len(blocks) - 1}')
        check_plugins(plugins, stage + 1)
        planes = base_channels * 2**stage
        self.stage = f'layer{stage + 1}'
        layer = make_stage(
            planes * Bottle2neck.expansion // 2 if stage else base_channels,
            planes,
            blocks[stage],
            stride=stride,
            dilation=dilation,
            contract_dilation=contract_dilation,
            multi_grid=multi_grid,
            avg_down=avg_down,
            base_channels=base_channels,
            norm_cfg=norm_cfg or BN,
            plugins=plugins_of_stage(plugins, stage),
            **block,
        )
        self.add_module(self.stage, layer)
        self.train()

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, 2 * C, H / stride, W / stride), rounded up.

        C is what the stage before gives: 1024 for ``layer4``.
        """
        return getattr(self, self.stage)(x)
