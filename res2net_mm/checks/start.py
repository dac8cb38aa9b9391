"""What of a training's start is legitimate, but hardly meant."""

from collections.abc import Iterator

import numpy as np
from mmengine.config import Config

from ..checkpoints import SCHEME

RGB = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True)


def doubts(cfg: Config, resumed: bool) -> Iterator[str]:
    """Say what keeps a model from learning, or its pretrained weights from being of use.

    Args:
        cfg (Config): The whole config.
        resumed (bool): Whether the training goes on from a checkpoint.
    """
    backbone = cfg.model.get('backbone') or {}
    init = backbone.get('init_cfg') or {}
    held = {key: backbone[key] for key in ('frozen_stages', 'norm_eval') if key in backbone}
    frozen = held.get('frozen_stages') not in (None, -1) or held.get('norm_eval')
    if frozen and not (init or backbone.get('pretrained') or cfg.model.get('init_cfg') or resumed):
        yield (
            'the backbone begins with random weights, some of which do not learn by '
            f'{", ".join(f"{key}={value}" for key, value in held.items())}; to have all learn: '
            '--cfg-options model.backbone.frozen_stages=-1 model.backbone.norm_eval=False'
        )
    pretrained = str(init.get('checkpoint')) if isinstance(init, dict) else ''
    std = (cfg.model.get('data_preprocessor') or cfg.get('data_preprocessor') or {}).get('std') or ()
    if len(std) == 3 and pretrained.startswith((SCHEME, 'torchvision://')):
        if not np.allclose(sorted(std), sorted(RGB['std'])):
            yield f'{pretrained} expects data_preprocessor = {RGB}, and std is {list(std)}'
