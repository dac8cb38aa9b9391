"""How a run's config differs from the shipped one of its name."""

import copy
from collections.abc import Iterator
from pathlib import Path

from mmengine.config import Config

from ..config import unwrap
from ..lookup import class_name
from .options import as_list, use_tta

# Keys that change neither what is computed nor what is learned. The batch size is of one process; images per
# iteration, of all of them, are compared instead.
IGNORED = set(
    'data_root backend_args download lazy_init outfile_prefix use_mp_eval metric metric_items classwise '
    'meta_keys num_workers persistent_workers pin_memory prefetch_factor val_interval with_cp batch_size '
    'accumulative_counts _scope_'.split()
)
EQUAL = {'SyncBN': 'BN', 'FasterCocoMetric': 'CocoMetric'}
# Evaluators and hooks that only write something down.
WRITERS = {'DumpDetResults', 'DumpResults', 'DumpProposals', 'CurvesHook', 'RecordHook'}
FILES = {'ann_file', 'bbox_file', 'data_prefix'}  # of which the last part of a path counts
TRAINING = ('train_dataloader', 'train_cfg', 'optim_wrapper', 'param_scheduler', 'custom_hooks', 'sync_bn')
# Parts of a model's config that only training uses.
MODEL_TRAINING = set(
    'auxiliary_head batch_augments dropout_ratio frozen_stages init_cfg norm_eval pretrained requires_grad '
    'train_cfg'.split()
)


def find_changes(
    cfg: Config, shipped: Config, part: str, images_per_iteration: int | None = None
) -> dict[str, list[str]]:
    """Compare value by value what decides a number.

    Args:
        cfg (Config): The run's merged config.
        shipped (Config): The shipped one.
        part (str): Whether the run evaluates 'test' or 'val'.
        images_per_iteration (int, optional): How many images an iteration of a training learns from; as
            shipped, ``auto_scale_lr.base_batch_size``. Default: None (it is no training).

    Returns:
        dict[str, list[str]]: Lines such as ``model.backbone.depth=101, not 50``: in ``evaluation`` those on
        the model as it is tested, the test data's processing and the metric; in ``training`` those on the
        schedule, the optimizer, the training data, the initial weights and the batch size.
    """
    if 'module' in cfg.model and 'tta_model' in shipped:
        use_tta(shipped := copy.deepcopy(shipped))
    changes = dict(evaluation=[], training=[])
    for path, ours, theirs in _compare(_plain(_parts(cfg, part)), _plain(_parts(shipped, part))):
        # What a loss is decides how its head's outputs are read; what it weighs doesn't.
        loss = any(p.startswith('loss') for p in path) and path[-1] not in ('type', 'use_sigmoid')
        in_model = path[0] == 'model' and (loss or bool({*path} & MODEL_TRAINING))
        short = [repr(v) if len(repr(v)) < 60 else f'{repr(v)[:50]}...' for v in (ours, theirs)]
        line = f'{".".join(path)}={short[0]}, not {short[1]}'
        if in_model or path[0] in (*TRAINING, 'load_from', 'auto_scale_lr'):
            changes['training'].append(line)
        elif not (path[-1] == 'bbox_file' and ours is None):  # the ground truth's: results have rows for them
            changes['evaluation'].append(line)
    batch = (shipped.get('auto_scale_lr') or {}).get('base_batch_size')
    if batch and images_per_iteration not in (None, batch):
        changes['training'].append(f'{images_per_iteration} images per iteration, not {batch}')
    return changes


def _parts(cfg: Config, part: str) -> dict:
    loader = cfg.get(f'{part}_dataloader') or {}
    return dict(
        {key: cfg.get(key) for key in TRAINING},
        model=cfg.model,
        dataset=unwrap(loader.get('dataset') or {}),
        num_batch_per_epoch=loader.get('num_batch_per_epoch'),
        evaluator=as_list(cfg.get(f'{part}_evaluator') or []),
        load_from=None if cfg.get('resume') or part == 'test' else cfg.get('load_from'),
        auto_scale_lr=dict(enable=(cfg.get('auto_scale_lr') or {}).get('enable') or None),
    )


def _plain(value, key: str = ''):
    """A part of a config without what doesn't count; None, and what is empty, counts as missing."""
    if isinstance(value, dict):
        inner = {str(k): _plain(v, key if key in FILES else k) for k, v in value.items() if k not in IGNORED}
        return {k: v for k, v in inner.items() if v is not None}
    if isinstance(value, (list, tuple)):
        kept = [v for v in value if not (isinstance(v, dict) and class_name(v.get('type')) in WRITERS)]
        return [_plain(v, key) for v in kept] or None
    if isinstance(value, type):
        return value.__name__
    if isinstance(value, str):
        return Path(value).name if key in FILES else EQUAL.get(value, value)
    return value


def _compare(ours, theirs, path: tuple[str, ...] = ()) -> Iterator[tuple]:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in sorted({*ours, *theirs}):
            yield from _compare(ours.get(key), theirs.get(key), (*path, key))
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for index, (x, y) in enumerate(zip(ours, theirs)):
            yield from _compare(x, y, (*path, str(index)))
    elif ours != theirs:
        yield path, ours, theirs
