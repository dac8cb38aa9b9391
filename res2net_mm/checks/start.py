"""What of a training's start is legitimate, but hardly meant."""

from collections.abc import Iterator

import numpy as np
from mmengine.config import Config
from mmengine.dist import get_world_size

from ..checkpoints import SCHEME

RGB = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True)


def doubts(cfg: Config) -> Iterator[str]:
    """Say what keeps a model from learning well, or its pretrained weights from being of use.

    Args:
        cfg (Config): The whole config.
    """
    backbone = cfg.model.get('backbone') or {}
    init = backbone.get('init_cfg') or {}
    learns = dict(frozen_stages=-1, norm_eval=False)
    held = {key: v for key in learns if (v := backbone.get(key)) not in (None, learns[key])}
    given = init or backbone.get('pretrained') or cfg.model.get('init_cfg') or cfg.get('load_from')
    if held and not given:
        yield (
            'the backbone begins with random weights, some of which do not learn by '
            f'{", ".join(f"{key}={value}" for key, value in held.items())}; to have all learn: '
            f'--cfg-options {" ".join(f"model.backbone.{key}={learns[key]}" for key in held)}'
        )
    scaling = cfg.get('auto_scale_lr') or {}
    images = ((cfg.get('train_dataloader') or {}).get('batch_size') or 0) * get_world_size()
    images *= (cfg.get('optim_wrapper') or {}).get('accumulative_counts', 1)
    meant = scaling.get('base_batch_size')
    if images and meant and images != meant and not (scaling.get('enable') or cfg.get('resume')):
        yield (
            f'an iteration learns from {images} images, and the config says that its learning rate is for '
            f'{meant} (auto_scale_lr.base_batch_size): --auto-scale-lr adapts it'
        )
    pretrained = str(init.get('checkpoint')) if isinstance(init, dict) else ''
    std = (cfg.model.get('data_preprocessor') or cfg.get('data_preprocessor') or {}).get('std') or ()
    if len(std) == 3 and pretrained.startswith((SCHEME, 'torchvision://')):
        if not np.allclose(sorted(std), sorted(RGB['std'])):
            yield f'{pretrained} expects data_preprocessor = {RGB}, and std is {list(std)}'
