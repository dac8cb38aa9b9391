"""ResNet-shaped networks of Res2Net modules: Res2Net, Res2NeXt, SE-Res2Net, v1b (Sec. 3.3)."""

from collections.abc import Sequence
from itertools import accumulate
from operator import mul

from mmcv.cnn import build_conv_layer, build_norm_layer
from torch import Tensor, nn

from ..registry import MODELS
from .backbone import Backbone, StagedBackbone
from .bottle2neck import Bottle2neck
from .stage import blocks_per_stage, check_per_stage, check_plugins, make_stage, plugins_of_stage


@MODELS.register_module()
class Res2Net(StagedBackbone):
    """Res2Net, and with ``groups`` Res2NeXt, with ``with_se`` SE-Res2Net (Table 1).

    It computes exactly what the authors' released networks compute and uses their parameter names.
    Its stages give 256, 512, 1024 and 2048 channels at strides 4, 8, 16 and 32.
    The defaults build the paper's Res2Net-50 26w4s; ``deep_stem=True, avg_down=True`` its v1b (elsewhere
    called v1d or d); ``base_width=4, groups=8`` Res2NeXt-50; ``scales=1, base_width=64`` ResNet-50.

    Args:
        depth (int | tuple[int]): 50, 101, 152, 200, or the number of blocks of each stage. Default: 50.
        scales (int): Number of splits in a block, the paper's *s*. Default: 4.
        base_width (int): Channels of a split in the first stage, the paper's *w*. Default: 26.
        groups (int): Cardinality, the paper's *c*. Default: 1.
        with_se (bool): SE block right before each residual connection (Sec. 3.2.2). Default: False.
        se_ratio (int): Its reduction ratio. Default: 16.
        style (str): 'pytorch', the only one there is: the stride is the 3x3 convolutions', not the first
            1x1 convolution's. So that a config's ResNet can be replaced as it is. Default: 'pytorch'.
        deep_stem (bool): Three 3x3 convolutions in place of the 7x7 one. Default: False.
        avg_down (bool): Average pooling in place of the stride of the residual path's 1x1 convolution.
            Default: False.
        pool_at_stride_1 (bool): Whether the last split of a stage's first block is pooled where its
            stride is 1, as in the authors' networks. False runs detectors that were trained with
            MMDetection's own Res2Net. Default: True.
        in_channels (int): Channels of the images. Default: 3.
        stem_channels (int, optional): Channels of the stem's output; None: ``base_channels``. Default: 64.
        base_channels (int): Planes of the first stage; each later one has twice as many. Default: 64.
        num_stages (int): Number of stages. Default: 4.
        strides (Sequence[int]): Stride of each stage. Default: (1, 2, 2, 2).
        dilations (Sequence[int]): Dilation of each stage. Default: (1, 1, 1, 1).
        contract_dilation (bool): Whether the first block of a dilated stage takes half the dilation, that
            is the stage's before it, as the authors' dilated networks do. Default: False.
        multi_grid (Sequence[int], optional): Dilation of each block of the last stage, in place of
            ``dilations``. Default: None.
        out_indices (Sequence[int]): Stages whose outputs are returned. Default: (0, 1, 2, 3).
        frozen_stages (int): Stem (0) and stages up to this one (1 ... 4) neither learn nor update their
            statistics; -1 freezes nothing. Default: -1.
        conv_cfg (dict, optional): Config of the convolutions. Default: None (Conv2d).
        norm_cfg (dict): Config of the normalization. Default: ``dict(type='BN', requires_grad=True)``.
        norm_eval (bool): Whether BN layers use their running statistics in training. Default: False.
        dcn (dict, optional): Deformable convolution in place of the 3x3 ones, such as
            ``dict(type='DCNv2', deform_groups=1, fallback_on_stride=False)``. Default: None.
        stage_with_dcn (Sequence[bool]): The stages that have it. Default: none.
        plugins (list[dict], optional): ``dict(cfg=dict(type=...), stages=(False, True, True, True),
            position='after_conv3')``; see :class:`Bottle2neck`. Default: None.
        with_cp (bool): Recompute blocks in the backward pass to save memory; as in mmdet, BN layers that
            aren't in eval mode then update their statistics twice a step. Default: False.
        zero_init_residual (bool): Whether each block's last BN starts at zero. Default: True.
        init_cfg (dict | list[dict], optional): ``dict(type='Pretrained', checkpoint=X)``, X a file, an
            address or ``res2net://res2net50_26w_4s``, in any layout that
            :func:`res2net_mm.checkpoints.load_pretrained` knows. Default: None (Kaiming).

    Raises:
        ValueError: If an argument is out of its range; the message names it.

    Example:
        >>> import torch
        >>> from res2net_mm.models import Res2Net
        >>> network = Res2Net(depth=50, out_indices=(1, 2, 3)).eval()
        >>> [tuple(x.shape) for x in network(torch.rand(1, 3, 64, 96))]
        [(1, 512, 8, 12), (1, 1024, 4, 6), (1, 2048, 2, 3)]
    """

    def __init__(
        self,
        depth: int | Sequence[int] = 50,
        *,
        scales: int = 4,
        base_width: int = 26,
        groups: int = 1,
        with_se: bool = False,
        se_ratio: int = 16,
        style: str = 'pytorch',
        deep_stem: bool = False,
        avg_down: bool = False,
        pool_at_stride_1: bool = True,
        in_channels: int = 3,
        stem_channels: int | None = 64,
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
        with_cp: bool = False,
        zero_init_residual: bool = True,
        init_cfg: dict | list[dict] | None = None,
    ):
        super().__init__(norm_eval, zero_init_residual, init_cfg)
        if style != 'pytorch':
            raise ValueError(f"style={style!r}: Res2Net has only 'pytorch'")
        blocks = blocks_per_stage(depth)
        stem_channels = stem_channels or base_channels
        norm_cfg = norm_cfg or dict(type='BN', requires_grad=True)
        per_stage = dict(depth=blocks, strides=strides, dilations=dilations)
        if dcn:
            per_stage['stage_with_dcn'] = stage_with_dcn
        check_per_stage(num_stages, **per_stage)
        check_plugins(plugins, num_stages)
        names = [f'layer{i + 1}' for i in range(num_stages)]
        widths = [base_channels * 2**i * Bottle2neck.expansion for i in range(num_stages)]
        reductions = list(accumulate(strides[:num_stages], mul, initial=4))[1:]
        self.set_stages(names, widths, reductions, out_indices, frozen_stages)

        self.conv1 = self._stem(in_channels, stem_channels, deep_stem, conv_cfg, norm_cfg)
        self.bn1 = build_norm_layer(norm_cfg, stem_channels)[1]
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        channels = stem_channels
        for i in range(num_stages):
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
                scales=scales,
                base_width=base_width,
                groups=groups,
                base_channels=base_channels,
                pool_at_stride_1=pool_at_stride_1,
                with_se=with_se,
                se_ratio=se_ratio,
                conv_cfg=conv_cfg,
                norm_cfg=norm_cfg,
                dcn=dcn if dcn and stage_with_dcn[i] else None,
                plugins=plugins_of_stage(plugins, i),
                with_cp=with_cp,
            )
            self.add_module(self.stages[i], stage)
            channels = planes * Bottle2neck.expansion
        self.train()

    @staticmethod
    def _stem(in_channels, stem_channels, deep_stem, conv_cfg, norm_cfg) -> nn.Module:
        """The stem's convolution, or its three with what is between them; ``bn1`` comes after it."""

        def conv(c_in, c_out, kernel_size, stride):
            return build_conv_layer(conv_cfg, c_in, c_out, kernel_size, stride, kernel_size // 2, bias=False)

        if not deep_stem:
            return conv(in_channels, stem_channels, 7, 2)
        half = stem_channels // 2
        return nn.Sequential(
            conv(in_channels, half, 3, 2),
            build_norm_layer(norm_cfg, half)[1],
            nn.ReLU(),
            conv(half, half, 3, 1),
            build_norm_layer(norm_cfg, half)[1],
            nn.ReLU(),
            conv(half, stem_channels, 3, 1),
        )

    def forward_stem(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, stem_channels, H / 4, W / 4), rounded up."""
        return self.maxpool(self.relu(self.bn1(self.conv1(x))))


@MODELS.register_module()
class Res2Layer(Backbone):
    """One stage of Res2Net, such as the shared RoI head of a C4 detector (Table 5's Faster R-CNN).

    It holds its blocks as ``layer{stage + 1}``, so it takes its weights from the same pretrained file as
    the backbone. The arguments are those of :class:`Res2Net`, for one stage.

    Args:
        depth (int | tuple[int]): See :class:`Res2Net`. Default: 50.
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

    def __init__(
        self,
        depth: int | Sequence[int] = 50,
        *,
        stage: int = 3,
        stride: int = 2,
        dilation: int = 1,
        contract_dilation: bool = False,
        multi_grid: Sequence[int] | None = None,
        scales: int = 4,
        base_width: int = 26,
        groups: int = 1,
        with_se: bool = False,
        se_ratio: int = 16,
        avg_down: bool = False,
        pool_at_stride_1: bool = True,
        base_channels: int = 64,
        conv_cfg: dict | None = None,
        norm_cfg: dict | None = None,
        norm_eval: bool = False,
        dcn: dict | None = None,
        plugins: list[dict] | None = None,
        with_cp: bool = False,
        zero_init_residual: bool = True,
        init_cfg: dict | list[dict] | None = None,
    ):
        super().__init__(norm_eval, zero_init_residual, init_cfg)
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
            scales=scales,
            base_width=base_width,
            groups=groups,
            base_channels=base_channels,
            pool_at_stride_1=pool_at_stride_1,
            with_se=with_se,
            se_ratio=se_ratio,
            conv_cfg=conv_cfg,
            norm_cfg=norm_cfg or dict(type='BN', requires_grad=True),
            dcn=dcn,
            plugins=plugins_of_stage(plugins, stage),
            with_cp=with_cp,
        )
        self.add_module(self.stage, layer)
        self.train()

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, 2 * C, H / stride, W / stride), rounded up.

        C is what the stage before gives: 1024 for ``layer4``.
        """
        return getattr(self, self.stage)(x)
