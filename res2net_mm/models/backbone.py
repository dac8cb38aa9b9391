"""What all the networks share: pretrained weights, frozen stages, norm_eval."""

from collections.abc import Iterable

from mmengine.model import BaseModule, constant_init
from mmengine.model.weight_init import PretrainedInit, update_init_info
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from ..checkpoints import authors_name, load_pretrained
from .bottle2neck import Bottle2neck

DEFAULT_INIT = [
    dict(type='Kaiming', layer='Conv2d'),
    dict(type='Constant', val=1, layer=['_BatchNorm', 'GroupNorm']),
]


class Backbone(BaseModule):
    """Base class of the networks.

    Args:
        norm_eval (bool): Whether BN layers stay in eval mode (running statistics) in training.
        zero_init_residual (bool): Whether each block's last normalisation starts at zero, so that the
            block starts as the identity; only where ``init_cfg`` is None.
        init_cfg (dict | list[dict], optional): ``dict(type='Pretrained', checkpoint=X)`` loads X by
            :func:`res2net_mm.checkpoints.load_pretrained`. None: Kaiming initialisation.
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
        self._register_load_state_dict_pre_hook(_rename_parameters, with_module=True)

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


def _rename_parameters(module: nn.Module, state_dict: dict, prefix: str, *_) -> None:
    """Let a whole model's checkpoint from mmdet or mmpretrain load as it is."""
    for name in [k for k in state_dict if k.startswith(prefix)]:
        state_dict[prefix + authors_name(name[len(prefix) :])] = state_dict.pop(name)
