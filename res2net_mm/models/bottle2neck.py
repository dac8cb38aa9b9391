"""The Res2Net module (Sec. 3.1, Eq. 1, Fig. 2b), with cardinality and SE (Sec. 3.2, Fig. 3)."""

import inspect
import math

import torch
from mmcv.cnn import build_conv_layer, build_norm_layer, build_plugin_layer
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from .arguments import check, checked

PLUGIN_POSITIONS = ('after_conv1', 'after_conv2', 'after_conv3')


class SqueezeExcitation(nn.Module):
    """Squeeze-and-excitation (Hu et al., CVPR 2018): scale each channel by a gate in 0 ... 1.

    Args:
        channels (int): Channels of the input and the output.
        ratio (int): Reduction ratio of the hidden layer. Default: 16.
    """

    def __init__(self, channels: int, ratio: int = 16):
        super().__init__()
        self.fc1 = nn.Conv2d(channels, max(1, channels // ratio), 1)
        self.fc2 = nn.Conv2d(max(1, channels // ratio), channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, channels, H, W) to the same shape."""
        gate = self.fc2(self.fc1(x.mean((2, 3), keepdim=True)).relu())
        return x * gate.sigmoid()


class Bottle2neck(BaseModule):
    """The Res2Net module: a bottleneck whose 3x3 convolution is a hierarchy of smaller ones (Eq. 1).

    A 1x1 convolution gives ``scales`` splits of equal width. One 3x3 convolution after another takes
    its split plus the output of the one before, the last split goes through unchanged, and a 1x1
    convolution fuses the concatenation. As in the authors' networks it is the last split that has no
    convolution; Eq. 1 omits it for the first, which is the same up to the order of the channels.

    Args:
        in_channels (int): Channels of the input.
        planes (int): The stage's base number of channels; the output has ``expansion * planes``.
        scales (int): Number of splits, the paper's *s*. 1 gives the plain bottleneck of ResNet (or of
            ResNeXt). Default: 4.
        base_width (int): Channels of one split where ``planes == base_channels``, the paper's *w*.
            Default: 26.
        groups (int): Groups of the 3x3 convolutions, the paper's cardinality *c*. A split has
            ``floor(planes * base_width / base_channels) * groups`` channels. Default: 1.
        base_channels (int): See ``base_width``. Default: 64.
        stride (int): Stride of the 3x3 convolutions and of the pooling. Default: 1.
        dilation (int): Dilation of the 3x3 convolutions. Default: 1.
        first (bool): Whether this is the first block of a stage: its splits are not added to one
            another and its last split is average-pooled (3x3, padding counted). Default: False.
        pool_at_stride_1 (bool): Whether the last split of a first block is pooled where the stride is
            1, too, as in the authors' networks. MMDetection's Res2Net doesn't. Default: True.
        conv_last_split (bool): Whether a first block has a convolution on its last split, too, in place of
            the pooling, as the paper's networks for CIFAR. Default: False.
        expansion (int): The output's channels by ``planes``. Default: 4.
        final_relu (bool): Whether a ReLU follows the residual connection. Default: True.
        downsample (nn.Module, optional): The residual path's projection. Default: None.
        with_se (bool): Whether an SE block stands right before the residual connection. Default: False.
        se_ratio (int): Its reduction ratio. Default: 16.
        conv_cfg (dict, optional): Config of the convolutions. Default: None (Conv2d).
        norm_cfg (dict, optional): Config of the normalization. Default: BN.
        dcn (dict, optional): Config of a deformable convolution in place of each 3x3 convolution, such
            as ``dict(type='DCNv2', deform_groups=1)``. As in mmdet, ``fallback_on_stride=True`` in it means
            plain convolutions. Default: None.
        plugins (list[dict], optional): ``dict(cfg=dict(type=...), position='after_conv2')``, position
            one of after_conv1, after_conv2 (after the concatenation) and after_conv3. Default: None.
        with_cp (bool): Recompute the block in the backward pass to save memory. Default: False.
        init_cfg (dict, optional): Initialization config. Default: None.

    Raises:
        ValueError: If ``base_width`` leaves no channel in a split, there is a stride but the block isn't a
            first one, or a plugin's position is unknown; see :func:`checked`, too.
    """

    expansion = 4

    @checked()
    def __init__(
        self,
        in_channels: int,
        planes: int,
        *,
        scales: int = 4,
        base_width: int = 26,
        groups: int = 1,
        base_channels: int = 64,
        stride: int = 1,
        dilation: int = 1,
        first: bool = False,
        pool_at_stride_1: bool = True,
        conv_last_split: bool = False,
        expansion: int = expansion,
        final_relu: bool = True,
        downsample: nn.Module | None = None,
        with_se: bool = False,
        se_ratio: int = 16,
        conv_cfg: dict | None = None,
        norm_cfg: dict | None = None,
        dcn: dict | None = None,
        plugins: list[dict] | None = None,
        with_cp: bool = False,
        init_cfg: dict | None = None,
    ):
        super().__init__(init_cfg)
        norm_cfg = norm_cfg or dict(type='BN')
        width = math.floor(planes * base_width / base_channels) * groups
        if width < 1:
            raise ValueError(f'base_width={base_width} leaves no channel in a split of {planes} planes')
        if stride > 1 and scales > 1 and not first:
            raise ValueError(f'stride={stride}: of several splits only a first block can have one')
        out_channels = planes * expansion
        dcn = dict(dcn) if dcn else None
        if dcn and dcn.pop('fallback_on_stride', False):
            dcn = None
        if dcn:
            import mmcv.ops  # noqa: F401  (registers the deformable convolutions)

        self.expansion = expansion
        self.width = width
        self.scales = scales
        self.is_first = first
        self.final_relu = final_relu
        self.with_cp = with_cp

        self.conv1 = build_conv_layer(conv_cfg, in_channels, width * scales, 1, bias=False)
        self.bn1 = build_norm_layer(norm_cfg, width * scales)[1]
        self.convs = nn.ModuleList()
        self.bns = nn.ModuleList()
        for _ in range(scales if first and conv_last_split else max(1, scales - 1)):
            self.convs.append(
                build_conv_layer(
                    dcn or conv_cfg,
                    width,
                    width,
                    3,
                    stride=stride,
                    padding=dilation,
                    dilation=dilation,
                    groups=groups,
                    bias=False,
                )
            )
            if dcn:
                self.convs[-1].register_forward_pre_hook(make_contiguous)
            self.bns.append(build_norm_layer(norm_cfg, width)[1])
        self.pool = None
        if first and len(self.convs) < scales and (stride > 1 or pool_at_stride_1):
            self.pool = average_pool(stride)
        self.conv3 = build_conv_layer(conv_cfg, width * scales, out_channels, 1, bias=False)
        self.bn3 = build_norm_layer(norm_cfg, out_channels)[1]
        self.se = SqueezeExcitation(out_channels, se_ratio) if with_se else None
        self.relu = nn.ReLU()
        self.downsample = downsample
        self.plugins = self._build_plugins(plugins or [], (width * scales, width * scales, out_channels))

    def _build_plugins(self, plugins: list[dict], channels: tuple) -> dict[str, list[str]]:
        """Build the plugins as children of the block; return their names by position."""
        names = {position: [] for position in PLUGIN_POSITIONS}
        for plugin in plugins:
            position = plugin.get('position')
            if position not in names:
                raise ValueError(f'plugin position {position!r} is not one of {", ".join(PLUGIN_POSITIONS)}')
            if others := plugin.keys() - {'cfg', 'position'}:
                raise ValueError(f'a plugin of a block has no {", ".join(sorted(others))}')
            cfg = dict(check("a plugin's cfg", plugin.get('cfg'), dict))
            name, layer = build_plugin_layer(
                cfg,
                postfix=cfg.pop('postfix', ''),
                in_channels=channels[PLUGIN_POSITIONS.index(position)],
            )
            if hasattr(self, name):
                raise ValueError(f'two plugins of one block are called {name!r}; give one a postfix')
            self.add_module(name, layer)
            names[position].append(name)
        return names

    def plug(self, position: str, x: Tensor) -> Tensor:
        """Run the plugins at one of :data:`PLUGIN_POSITIONS`, if there are any."""
        for name in self.plugins[position]:
            x = getattr(self, name)(x)
        return x

    def forward(self, x: Tensor, shortcut: Tensor | None = None) -> Tensor:
        """Map (N, in_channels, H, W) to (N, expansion * planes, ceil(H / stride), ceil(W / stride)).

        Args:
            x (Tensor): The input.
            shortcut (Tensor, optional): What is added, of the output's shape. Default: None (the input, or
                its projection by ``downsample``).
        """
        if self.with_cp and torch.is_grad_enabled():
            return checkpoint(self._forward, x, shortcut, use_reentrant=False)
        return self._forward(x, shortcut)

    def _forward(self, x: Tensor, shortcut: Tensor | None) -> Tensor:
        if shortcut is None:
            shortcut = x if self.downsample is None else self.downsample(x)
        xs = self.plug('after_conv1', self.relu(self.bn1(self.conv1(x)))).split(self.width, dim=1)
        ys = []
        for i, (conv, bn) in enumerate(zip(self.convs, self.bns)):
            x_i = xs[i] if self.is_first or i == 0 else xs[i] + ys[-1]
            ys.append(self.relu(bn(conv(x_i))))  # Eq. 1: y_i = K_i(x_i + y_{i-1})
        if len(ys) < self.scales:
            ys.append(xs[-1] if self.pool is None else self.pool(xs[-1]))
        out = self.plug('after_conv2', torch.cat(ys, dim=1))
        out = self.plug('after_conv3', self.bn3(self.conv3(out)))
        if self.se is not None:
            out = self.se(out)
        out = out + shortcut
        return self.relu(out) if self.final_relu else out


def average_pool(stride: int) -> nn.Sequential:
    """3x3 average pooling that counts what it pads.

    PyTorch's own, if it pads, had wrong gradients in ``channels_last`` on a GPU until July 2026 (its issue
    188344): 2.11 has them.
    """
    return nn.Sequential(nn.ZeroPad2d(1), nn.AvgPool2d(3, stride))


# What a network's users may say of its blocks; the network itself says the rest.
BLOCK_ARGUMENTS = {
    name: inspect.signature(Bottle2neck).parameters[name] for name in (
        'scales', 'base_width', 'groups', 'pool_at_stride_1', 'with_se', 'se_ratio', 'conv_cfg', 'norm_cfg',
        'dcn', 'plugins', 'with_cp',
    )
}  # fmt: skip


def make_contiguous(conv: nn.Module, args: tuple) -> tuple:
    """Of a view of channels mmcv's compiled deformable convolution reads what lies between them, too."""
    return (args[0].contiguous(), *args[1:])
