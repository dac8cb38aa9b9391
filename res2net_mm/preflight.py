"""What a config names is looked up before anything is built: data, checkpoints, registered names."""

import os
import re
import shlex
import sys
from collections.abc import Iterator
from inspect import signature
from pathlib import Path

from mmengine.config import Config
from mmengine.registry import DefaultScope

from .checkpoints import SCHEME, fetch, local_rank
from .config import CONFIGS, accepted, walk
from .errors import UserError, command
from .lookup import did_you_mean, find_registered, parameters, registries
from .registry import MODELS

COCO_LAYOUT = """\
  {root}
    annotations/  instances_train2017.json  instances_val2017.json
                  person_keypoints_train2017.json  person_keypoints_val2017.json
    train2017/    118,287 images
    val2017/        5,000 images
    person_detection_results/  COCO_val2017_detections_AP_H_56_person.json  (for key points)
    stuffthingmaps/  train2017/  val2017/  (for HTC)"""
VOC_LAYOUT = """\
  {root}
    VOC2007/  Annotations/  ImageSets/  JPEGImages/  SegmentationClass/
    VOC2012/  Annotations/  ImageSets/  JPEGImages/  SegmentationClass/  SegmentationClassAug/"""
IMAGENET_LAYOUT = """\
  {root}
    train/  n01440764/ ... n15075141/  1,281,167 images in 1,000 folders
    val/    n01440764/ ... n15075141/     50,000 images in the same folders"""
CIFAR_LAYOUT = """\
  {root}
    cifar-100-python/  train  test  meta  (cifar-100-python.tar.gz unpacked)"""
SALIENCY_LAYOUT = """\
  {root}
    MSRA-B/     *.jpg  *.png  train.txt  val.txt  5,000 images
    ECSSD/      images/  ground_truth_mask/       1,000
    PASCAL-S/   datasets/imgs/pascal/  datasets/masks/pascal/  850
    HKU-IS/     imgs/  gt/                        4,447
    DUT-OMRON/  DUT-OMRON-image/  pixelwiseGT-new-PNG/  5,168"""
# The shipped configs' own roots: what must be in them, and what tools/prepare_data.py calls it.
ROOTS = {
    'data/coco': (COCO_LAYOUT, 'coco'),
    'data/VOCdevkit': (VOC_LAYOUT, 'voc07'),
    'data/VOCdevkit/VOC2012': (VOC_LAYOUT, 'voc12aug'),
    'data/imagenet': (IMAGENET_LAYOUT, 'imagenet'),
    'data/cifar100': (CIFAR_LAYOUT, 'cifar100'),
    'data/saliency': (SALIENCY_LAYOUT, 'saliency'),
    'data/demo': ('', "make demo makes the demo's data"),
}
# Where a number counts from 1.
COUNTS = re.compile(r'\w+_dataloader\.batch_size|train_cfg\.(max_epochs|max_iters|val_interval)')
# Where `type` names something registered. Elsewhere it may be anything: a transform of albumentations, a
# tokenizer, a keyword of a neck's own.
REGISTERED = re.compile(
    r"""(model(\.\w+)*\.(backbone|neck|head|\w+_head|data_preprocessor|loss\w*|norm_cfg|conv_cfg|act_cfg)
        |model
        |\w+_dataloader(\.(dataset|datasets|sampler|batch_sampler|pipeline|\d+))*
        |\w+_evaluator | optim_wrapper(\.optimizer)? | param_scheduler | (default|custom)_hooks(\.\w+)?
        |visualizer | (train|val|test)_cfg
        )(\.\d+)?""",
    re.VERBOSE,
)


def check(cfg: Config, mode: str, checkpoint: str | None = None, keys: bool = True) -> None:
    """Check what a config names.

    Args:
        cfg (Config): The whole config, options merged.
        mode (str): 'train' or 'test'.
        checkpoint (str, optional): The checkpoint to resume or test. Default: None.
        keys (bool): Whether unknown keys are refused. Default: True.

    Raises:
        UserError: Listing all that is missing, where it was looked for and what to do.
    """
    # A run of a config without a scope has mmengine's, whatever this process did before.
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope') or 'mmengine'):
        check_names(cfg)
        if keys:
            check_keys(cfg)
        if checkpoint and '://' not in checkpoint:  # what was asked for by hand comes before what wasn't
            fetch(checkpoint)
        check_data(cfg, mode)
    check_checkpoints(cfg, mode, checkpoint)


def check_names(cfg: Config) -> None:
    """Check that the types of a config's models, data sets, transforms, hooks ... are registered.

    Raises:
        UserError: Naming each unknown one, where it is and what comes nearest.
    """
    unknown = []
    for path, node in walk(cfg._cfg_dict):
        name, where = node.get('type'), '.'.join(map(str, path))
        if isinstance(name, str) and REGISTERED.fullmatch(where) and find_registered(name) is None:
            known = {n for registry in registries() for n in registry.module_dict}
            hint = did_you_mean(name.rpartition('.')[2], known, most=3)
            unknown.append(f'  {where}.type = {name!r}{hint}')
        elif where == 'model.backbone' and name in MODELS.module_dict and local_rank() == 0:
            taken = find_registered(name).__module__.partition('.')[0]
            if taken != 'res2net_mm':
                print(
                    f"{where}.type = {name!r} is {taken}'s; this package's is 'res2net_mm.{name}'",
                    file=sys.stderr,
                )
    if unknown:
        scope = cfg.get('default_scope')
        where = f'in {scope}' if scope else "in mmengine (the config has no default_scope, such as 'mmdet')"
        raise UserError(f'not registered {where}, nor under the scope named:\n' + '\n'.join(unknown))


def check_keys(cfg: Config) -> None:
    """Check that what a config builds takes the keys that it is given, and the few numbers that count.

    Of the config's own keys, which may be variables, and of classes that may take any, only misspellings of
    known ones are noticed.

    Raises:
        UserError: Naming each unknown key and what comes nearest, and each number that is none.
    """
    wrong = []
    for path, node in walk(cfg._cfg_dict):
        where = '.'.join(map(str, path))
        known = accepted(node, [*map(str, path)]) if not path or REGISTERED.fullmatch(where) else None
        for key in map(str, node):
            name, value = f'{where}.{key}'.lstrip('.'), node.get(key)
            if known and key not in known | {'_scope_'}:
                sure = path and not _unsure(node.get('type'))
                hint = did_you_mean(key, known, cutoff=0.6 if sure else 0.885)
                if hint or sure:
                    wrong.append(f'  {name}: there is no such key{hint}')
            elif COUNTS.fullmatch(name) and not (isinstance(value, (int, float)) and value >= 1):
                wrong.append(f'  {name} = {value!r}: it must be a number from 1 on')
    if wrong:
        raise UserError(
            f'{cfg.filename or "the config"} (or a base, or an option) is wrong:\n'
            + '\n'.join([*wrong, '--no-check takes it as it is'])
        )


def _unsure(kind: str | type | None) -> bool:
    """Whether a type's name is of several classes, or one takes any keyword, which it may pass on."""
    if len({registry.module_dict.get(kind) for registry in registries()} - {None}) > 1:
        return True
    taker = find_registered(kind) if isinstance(kind, str) else kind
    return any(p.kind is p.VAR_KEYWORD for p in signature(taker).parameters.values()) if taker else False


def check_data(cfg: Config, mode: str) -> None:
    """Check that the files and folders of the data sets exist.

    Raises:
        UserError: Listing what is missing, the expected layout and how to get it.
    """
    phases = ('train', 'val') if mode == 'train' else ('test',)
    missing, roots, inherited = [], [], {}
    for phase in phases:
        for where in (f'{phase}_dataloader', f'{phase}_evaluator'):
            for path, node in walk(cfg.get(where) or {}, (where,)):
                remote = (node.get('backend_args') or {}).get('backend', 'local') not in ('local', 'disk')
                files = [(key, file) for key, file in _files(node) if not remote and '://' not in file]
                gone = [(key, file) for key, file in files if not os.path.exists(file)]
                name = '.'.join(map(str, path))
                missing += [f'  {name}.{key}: {os.path.abspath(file)}' for key, file in gone]
                roots += [_to_link(node.get('data_root'), key, file) for key, file in gone]
                prefixes = [file in gone for file in files if file[0].startswith('data_prefix')]
                if True in prefixes and False in prefixes:
                    inherited[f'{name}.data_prefix'] = node['data_prefix']
    if missing:
        advice = _advice(roots[0])
        for name, prefix in inherited.items():
            advice += (
                f"\n{name} = {dict(prefix)}: where a key of it is a base's, leave that out by "
                'data_prefix=dict(_delete_=True, ...)'
            )
        if any('.bbox_file: ' in line for line in missing):
            advice += (
                "\nTo use the ground truth's boxes instead of detected ones: "
                f'--cfg-options {phases[-1]}_dataloader.dataset.bbox_file=None'
            )
        if any('cifar-100-python' in line for line in missing):
            options = ' '.join(f'{phase}_dataloader.dataset.download=True' for phase in phases)
            advice += f'\nTo have MMPretrain download it (169 MB): --cfg-options {options}'
        raise UserError('data not found. Looked for:\n' + '\n'.join(missing) + '\n' + advice)


def _files(dataset: dict) -> Iterator[tuple[str, str]]:
    """Names and paths of the files that a data set or metric of a config reads."""
    root = dataset.get('data_root') or ''
    if isinstance(dataset.get('ann_file'), str) and dataset['ann_file']:
        yield 'ann_file', os.path.join(root, dataset['ann_file'])
    if isinstance(dataset.get('bbox_file'), str):
        yield 'bbox_file', dataset['bbox_file']
    prefix = dataset.get('data_prefix') or {}
    if root and not prefix and not dataset.get('ann_file'):
        kind = find_registered(dataset['type']) if isinstance(dataset.get('type'), str) else None
        if not (dataset.get('download', True) and 'download' in (kind and parameters(kind) or ())):
            yield 'data_root', os.path.join(root, getattr(kind, 'base_folder', ''))  # CIFAR's own folder
    for key, folder in (prefix if isinstance(prefix, dict) else {'img': prefix}).items():
        if isinstance(folder, str):
            yield f'data_prefix.{key}', os.path.join(root, folder)


def _to_link(data_root: str | None, key: str, file: str) -> str:
    """What of a missing file's path a link may stand for: its folder, if that is missing, too."""
    folder = data_root or ('' if key.startswith('data_prefix') else os.path.dirname(file))
    return file if not folder or os.path.exists(folder) else folder


def _advice(root: str) -> str:
    absolute = Path(os.path.abspath(root))
    inside = [shipped for shipped in ROOTS if absolute.is_relative_to(os.path.abspath(shipped))]
    if not inside:
        advice = f'Put the data there, or link to it: ln -s WHERE_IT_IS {shlex.quote(root.rstrip("/"))}'
        relative = f'\nPaths are seen from the folder where this was called, {os.getcwd()}'
        return advice + relative * (not os.path.isabs(root))
    shipped = max(inside, key=len)
    layout, prepare = ROOTS[shipped]
    if not layout:
        return prepare
    shipped = shipped.removesuffix('/VOC2012')
    advice = (
        f'Expected layout:\n{layout.format(root=shipped)}\n'
        f'To unpack archives or see what is missing: {command("prepare_data")} {prepare} --root {shipped}\n'
        f'If you have it elsewhere, link to it: ln -s WHERE_IT_IS {shipped}'
    )
    in_checkout = CONFIGS.resolve().with_name('Makefile').exists()
    return advice + '\nTo see everything run without any data: make demo' * in_checkout


def check_checkpoints(cfg: Config, mode: str, checkpoint: str | None) -> None:
    """Check that the checkpoints which a config names exist; download the authors' that it needs.

    Raises:
        CheckpointError: If one is missing or can't be downloaded.
    """
    sources = [checkpoint or cfg.get('load_from')]
    if mode == 'train' and not cfg.get('resume'):  # a checkpoint fills the model
        sources += [
            node['checkpoint']
            for _, node in walk(cfg.get('model') or {})
            if node.get('type') == 'Pretrained' and 'checkpoint' in node
        ]
    for source in sources:
        if source and ('://' not in source or source.startswith(SCHEME)):
            fetch(source)
