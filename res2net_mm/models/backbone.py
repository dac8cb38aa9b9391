"""What all the networks share: pretrained weights, frozen stages, norm_eval."""

from collections.abc import Iterable, Sequence

import torch
from mmengine.model import BaseModule, constant_init
from mmengine.model.weight_init import PretrainedInit, update_init_info
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ..checkpoints import authors_name, load_pretrained
from .bottle2neck import Bottle2neck
from .conv_norm import inferring
from .recompute import recomputing

DEFAULT_INIT = [
    dict(type='Kaiming', layer='Conv2d'),
    dict(type='Constant', val=1, layer=['_BatchNorm', 'GroupNorm']),
]
CACHED = 2**18  # bytes that surely stay in a core's cache


class Backbone(BaseModule):
    """Base class of the networks.

    Args:
        norm_eval (bool): Whether BN layers stay in eval mode (running statistics) in training.
        zero_init_residual (bool): Whether each block's last normalisation starts at zero, so that the
            block starts as the identity; only where ``init_cfg`` is None.
        init_cfg (dict | list[dict], optional): ``dict(type='Pretrained', checkpoint=X)`` loads X by
            :func:`res2net_mm.checkpoints.load_pretrained`, whose options go beside ``checkpoint``. None:
            Kaiming initialisation.
    """

    def __init__(
        self,
        norm_eval: bool,
        zero_init_residual: bool,
        init_cfg: dict | list[dict] | None,
    ):
        super().__init__(init_cfg)
        self.norm_eval = norm_eval
        self.zero_init_residual = zero_init_residual
        self.fused = False
        self._register_load_state_dict_pre_hook(_before_loading, with_module=True)

    def init_weights(self) -> None:
        """Initialise the parameters as ``init_cfg`` says.

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
        for cfg in pretrained:
            load_pretrained(self, **{k: v for k, v in cfg.items() if k != 'type'})
            if hasattr(self, '_params_init_info'):
                update_init_info(self, f'Pretrained: load from {cfg["checkpoint"]}')

    def fuse(self, dtype: torch.dtype | None = None) -> 'Backbone':
        """Put the network into inference form: the same outputs, to rounding, in less time.

        Each convolution takes in its normalisation, ReLU and residual; splits are concatenated in place; and
        maps are laid out as the device computes them fastest (channels last, but for float32 on a GPU).
        Parameters no longer learn, and a state dict is no longer that of a training. What can't be fused
        (deformable convolutions, GroupNorm, plugins) stays as it is. A second call changes only the type.

        Args:
            dtype (torch.dtype, optional): What to compute in, such as ``torch.bfloat16``: the weights are
                converted once, inputs and outputs in every pass. Default: None (as it is).

        Returns:
            Backbone: The network itself, in eval mode.

        Raises:
            TypeError: If ``dtype`` is none of PyTorch's float16, bfloat16, float32 and float64.

        Example:
            >>> import torch
            >>> from res2net_mm.models import Res2Net
            >>> network = Res2Net(depth=50).fuse()
            >>> with torch.no_grad():
            ...     maps = network(torch.rand(1, 3, 224, 224))
        """
        if dtype not in (None, torch.float16, torch.bfloat16, torch.float32, torch.float64):
            raise TypeError(f'dtype={dtype!r} is no type to compute in, such as torch.bfloat16')
        if not self.fused:
            self.eval()
            for module in list(self.modules()):
                if module is not self and hasattr(module, 'fuse'):
                    module.fuse()
            self.fuse_stem()
            self.requires_grad_(False)
            self.fused = True
        return self.to(dtype) if dtype else self

    def fuse_stem(self) -> None:
        """Put what no block is part of into inference form."""

    def taken_in(self, x: Tensor) -> Tensor:
        """The input as the network computes with it."""
        if not self.fused:
            return x
        dtype = next(p.dtype for p in self.parameters() if p.is_floating_point())
        last = x.device.type == 'cpu' or dtype is not torch.float32
        return x.to(dtype=dtype, memory_format=torch.channels_last if last else torch.contiguous_format)

    def given_out(self, features: Tensor, x: Tensor) -> Tensor:
        """A map of features in the input's type and memory format, whatever the network's own.

        mmcv's compiled ops, RoIAlign for one, take every map for channels first, and compute nonsense of
        others: a model that has them needs images that are channels first.
        """
        if x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous():
            return features.to(dtype=x.dtype, memory_format=torch.channels_last)
        if features.is_cpu and not features.is_contiguous() and inferring(features):
            return _channels_first(features, x.dtype)
        return features.to(dtype=x.dtype, memory_format=torch.contiguous_format)

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
    """Base class of the networks with a stem and stages, some of whose outputs are returned.

    A subclass adds the stem's modules and the stages as children, calls :meth:`set_stages` and defines
    :meth:`forward_stem`. Its docstring says the shapes of the outputs.
    """

    def set_stages(self, names: Sequence[str], out_indices: Sequence[int], frozen_stages: int) -> None:
        """Say which children the stages are, in their order, and which of them are returned or frozen.

        Args:
            names (Sequence[str]): The stages' names; all other children are the stem's.
            out_indices (Sequence[int]): Stages whose outputs are returned.
            frozen_stages (int): Stem (0) and stages up to this one (counted from 1) neither learn nor update
                their statistics; -1 freezes nothing.

        Raises:
            ValueError: If there are no such stages.
        """
        if not out_indices or not all(0 <= i < len(names) for i in out_indices):
            raise ValueError(f'out_indices={tuple(out_indices)} must name stages from 0 to {len(names) - 1}')
        if not -1 <= frozen_stages <= len(names):
            raise ValueError(f'frozen_stages={frozen_stages} is not from -1 to {len(names)}')
        self.stages = tuple(names)
        self.out_indices = tuple(out_indices)
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
            x (Tensor): Images, (N, in_channels, H, W), normalised as the weights expect: the authors'
                want RGB in 0 ... 1 less ImageNet's mean, divided by its standard deviation.

        Returns:
            tuple[Tensor]: The stages' maps, in their order; a map's height and width are the image's by the
            stage's stride, rounded up.
        """
        outs = []
        with recomputing():
            features = self.forward_stem(self.taken_in(x))
            for i, name in enumerate(self.stages):
                features = getattr(self, name)(features)
                if i in self.out_indices:
                    outs.append(self.given_out(features, x))
        return tuple(outs)


def _channels_first(x: Tensor, dtype: torch.dtype) -> Tensor:
    """Copy a map that is channels last, some rows at a time.

    PyTorch writes one channel after another. The cache lines that it reads each hold several, and are out of
    the cache again when it comes to the next, unless it copies little at a time.
    """
    out = torch.empty(x.shape, dtype=dtype)
    rows = max(1, CACHED // max(1, x[:, :, :1].nbytes))
    for part, source in zip(out.split(rows, 2), x.split(rows, 2)):
        part.copy_(source)
    return out


def _before_loading(module: nn.Module, state_dict: dict, prefix: str, *_) -> None:
    """Let a whole model's checkpoint from mmdet or mmpretrain load as it is, and none of the other form."""
    for name in [k for k in state_dict if k.startswith(prefix)]:
        state_dict[prefix + authors_name(name[len(prefix) :])] = state_dict.pop(name)
    own = module.state_dict()
    others = {k.removeprefix(prefix) for k in state_dict if k.startswith(prefix)} - own.keys()
    if module.fused and any(k.endswith('.running_mean') for k in others):
        raise RuntimeError(
            "the network is in inference form and the weights are of a training's: load them before fuse()"
        )
    if not module.fused and any(k.endswith('.bias') and f'{k[:-4]}weight' in own for k in others):
        raise RuntimeError(
            'the weights are of a network in inference form: call fuse() before they are loaded'
        )
