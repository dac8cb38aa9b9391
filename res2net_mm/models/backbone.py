"""What the networks share: initialization, frozen stages, norm_eval, stages and their outputs."""

from collections.abc import Iterable, Sequence
from math import prod

from mmengine.model import BaseModule, constant_init
from mmengine.model.weight_init import PretrainedInit, update_init_info
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ..registry import FUNCTIONS
from .bottle2neck import Bottle2neck

BN = dict(type='BN', requires_grad=True)
DEFAULT_INIT = [
    dict(type='Kaiming', layer='Conv2d'),
    dict(type='Constant', val=1, layer=['_BatchNorm', 'GroupNorm']),
]


class Backbone(BaseModule):
    """Base class of the networks.

    Args:
        norm_eval (bool): Whether BN layers use their running statistics in training. Default: False.
        zero_init_residual (bool): Whether the last normalization of each block starts at zero, so that the
            block starts as the identity; only where ``init_cfg`` is None. Default: True.
        init_cfg (dict | list[dict], optional): ``dict(type='Pretrained', checkpoint=X)``, X a file, an
            address or one of the authors' weights such as ``res2net://res2net50_26w_4s``, in any layout that
            :func:`res2net_mm.checkpoints.load_pretrained` knows, whose options go beside ``checkpoint``.
            Default: None (Kaiming initialization).
    """

    def __init__(
        self,
        norm_eval: bool = False,
        zero_init_residual: bool = True,
        init_cfg: dict | list[dict] | None = None,
    ):
        super().__init__(init_cfg)
        self.norm_eval = norm_eval
        self.zero_init_residual = zero_init_residual
        self._register_load_state_dict_pre_hook(_adapt, with_module=True)

    def init_weights(self) -> None:
        """Initialize the parameters as ``init_cfg`` says.

        Raises:
            CheckpointError: If a pretrained file isn't this network's.
        """
        if self.is_init:
            return super().init_weights()  # which logs that it has been called before
        given = self.init_cfg
        cfgs = [given] if isinstance(given, dict) else list(given or [])
        pretrained = [c for c in cfgs if c['type'] in ('Pretrained', PretrainedInit)]
        # mmengine's own PretrainedInit would load whatever happens to fit, silently.
        self.init_cfg = [c for c in cfgs if c not in pretrained] or DEFAULT_INIT
        super().init_weights()
        self.init_cfg = given

        for module in self.modules():
            if hasattr(module, 'conv_offset'):  # a deformable convolution begins undeformed
                constant_init(module.conv_offset, 0)
            elif isinstance(module, Bottle2neck) and self.zero_init_residual and not given:
                constant_init(module.bn3, 0)
        load_pretrained = FUNCTIONS.get('load_pretrained')
        for cfg in pretrained:
            load_pretrained(self, **{k: v for k, v in cfg.items() if k != 'type'})
            if hasattr(self, '_params_init_info'):
                update_init_info(self, f'Pretrained: load from {cfg["checkpoint"]}')

    def frozen_modules(self) -> Iterable[nn.Module]:
        """The modules that ``frozen_stages`` keeps from learning."""
        return ()

    def train(self, mode: bool = True) -> 'Backbone':
        """Set the mode; frozen stages, and with ``norm_eval`` all BN layers, stay in eval mode."""
        super().train(mode)
        for module in self.frozen_modules():
            module.eval()
            module.requires_grad_(False)
        if mode and self.norm_eval:
            for module in self.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self


class StagedBackbone(Backbone):
    """Base class of the networks with a stem and stages, and what all of them take.

    A subclass adds the stem's modules and the stages as children, calls :meth:`set_stages` and defines
    :meth:`forward_stem`. Besides these arguments and its own it takes in ``**block`` those of its blocks, see
    :class:`Bottle2neck`: ``scales``, ``base_width``, ``groups``, ``with_se``, ``with_cp`` ...

    Args:
        in_channels (int): Channels of the images. Default: 3.
        base_channels (int): Planes of the first stage; each later one has twice as many. Default: 64.
        out_indices (Sequence[int]): Stages whose outputs are returned. Default: all.
        frozen_stages (int): Stem (0) and stages up to this one (counted from 1) neither learn nor update
            their statistics; -1 freezes nothing. Default: -1.
        conv_cfg (dict, optional): Config of the convolutions. Default: None (Conv2d).
        norm_cfg (dict): Config of the normalization. Default: ``dict(type='BN', requires_grad=True)``.
        norm_eval, zero_init_residual, init_cfg: See :class:`Backbone`.

    Attributes:
        out_indices (tuple[int]): The stages whose outputs are returned.
        out_channels (tuple[int]): Channels of each output.
        out_strides (tuple[int]): Stride of each output: pixels of the image in one of the feature map.

    Raises:
        ValueError: If an argument is out of its range; the message names it.
    """

    def set_stages(
        self,
        names: Sequence[str],
        channels: int,
        strides: Sequence[int],
        out_indices: Sequence[int],
        frozen_stages: int,
    ) -> None:
        """Say which children the stages are, in their order, and which of them are returned or frozen.

        Args:
            names (Sequence[str]): The stages' names; all other children are the stem's.
            channels (int): Channels of the first stage's output; each later one has twice as many.
            strides (Sequence[int]): Stride of the stem, then of each stage.
            out_indices (Sequence[int]): See the class.
            frozen_stages (int): See the class.

        Raises:
            ValueError: If there are no such stages.
        """
        if not out_indices or not all(0 <= i < len(names) for i in out_indices):
            raise ValueError(f'out_indices={tuple(out_indices)} must name stages from 0 to {len(names) - 1}')
        if not -1 <= frozen_stages <= len(names):
            raise ValueError(f'frozen_stages={frozen_stages} is not from -1 to {len(names)}')
        self.stages = tuple(names)
        self.out_indices = tuple(out_indices)
        self.out_channels = tuple(channels * 2**i for i in sorted(set(out_indices)))
        self.out_strides = tuple(prod(strides[: i + 2]) for i in sorted(set(out_indices)))
        self.frozen_stages = frozen_stages

    def frozen_modules(self) -> Iterable[nn.Module]:
        """The stem and the stages up to ``frozen_stages``."""
        if self.frozen_stages >= 0:
            learning = self.stages[self.frozen_stages :]
            yield from (child for name, child in self.named_children() if name not in learning)

    def forward_stem(self, x: Tensor) -> Tensor:
        """Map the images to the first stage's input."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Compute the feature maps of the stages in ``out_indices``.

        Args:
            x (Tensor): Images, (N, in_channels, H, W), normalized as the weights expect: the authors'
                want RGB in 0 ... 1 less ImageNet's mean, divided by its standard deviation. Any size, down to
                1x1, unless the normalization wants several values: BN in training, GN and IN always.

        Returns:
            tuple[Tensor]: The stages' feature maps, in their order, (N, C, H / stride, W / stride), rounded
            up; C is in ``out_channels``, the stride in ``out_strides``.
        """
        return self.forward_stages(self.forward_stem(x))

    def forward_stages(self, x: Tensor) -> tuple[Tensor, ...]:
        """Map the stem's output to the feature maps of the stages in ``out_indices``."""
        outs = []
        for i, name in enumerate(self.stages):
            x = getattr(self, name)(x)
            if i in self.out_indices:
                outs.append(x)
        return tuple(outs)


def _adapt(module: nn.Module, state_dict: dict, prefix: str, *_) -> None:
    """Let a whole model's checkpoint from mmdet or mmpretrain load as it is."""
    FUNCTIONS.get('adapt_state_dict')(module, state_dict, prefix)
