"""What a config names is looked up before anything is built: data, checkpoints, registered names."""

import os
import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from mmengine.config import Config
from mmengine.registry import DefaultScope

from .checkpoints import SCHEME, fetch
from .config import find_registered, nearest, parameters, registries
from .errors import UserError, command

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


def check(cfg: Config, mode: str, checkpoint: str | None = None) -> None:
    """Check what a config names.

    Args:
        cfg (Config): The whole config, options merged.
        mode (str): 'train' or 'test'.
        checkpoint (str, optional): The checkpoint to resume or test. Default: None.

    Raises:
        UserError: Listing all that is missing, where it was looked for and what to do.
    """
    # A run of a config without a scope has mmengine's, whatever this process did before.
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope') or 'mmengine'):
        check_names(cfg)
        check_metrics(cfg, mode)
        if checkpoint and '://' not in checkpoint:  # what was asked for by hand comes before what wasn't
            fetch(checkpoint)
        check_data(cfg, mode)
    check_checkpoints(cfg, mode, checkpoint)


def walk(node, path: tuple = ()) -> Iterator[tuple[tuple, dict]]:
    """All dicts in a config, with their paths."""
    if isinstance(node, dict):
        yield path, node
    items = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in items:
        if isinstance(value, (dict, list, tuple)):
            yield from walk(value, (*path, key))


def check_names(cfg: Config) -> None:
    """Check that the types of a config's models, data sets, transforms, hooks ... are registered.

    Raises:
        UserError: Naming each unknown one, where it is and what comes nearest.
    """
    unknown = []
    for path, node in walk(cfg._cfg_dict):
        name, where = node.get('type'), '.'.join(map(str, path))
        if isinstance(name, str) and REGISTERED.fullmatch(where) and find_registered(name) is None:
            known = {n for r in registries() for n in (*r.module_dict, *_of(r.parent))}
            near = nearest(name.rpartition('.')[2], known, most=3)
            unknown.append(f'  {where}.type = {name!r}' + (f'; did you mean {near}?' if near else ''))
    if unknown:
        scope = cfg.get('default_scope')
        where = f'in {scope}' if scope else "in mmengine (the config has no default_scope, such as 'mmdet')"
        raise UserError(f'not registered {where}, nor under the scope named:\n' + '\n'.join(unknown))


def check_metrics(cfg: Config, mode: str) -> None:
    """Check that FasterCocoMetric's package is there: mmdet would miss it only after the first evaluation.

    Raises:
        UserError: If it isn't, saying what to do.
    """
    key = 'val_evaluator' if mode == 'train' else 'test_evaluator'
    used = [node for _, node in walk({key: cfg.get(key) or {}}) if node.get('type') == 'FasterCocoMetric']
    if used and find_spec('faster_coco_eval') is None:
        raise UserError(
            'FasterCocoMetric needs the package faster-coco-eval: install it, or evaluate by pycocotools:\n'
            '  --cfg-options val_evaluator.type=CocoMetric test_evaluator.type=CocoMetric'
        )


def _of(registry) -> dict:
    return registry.module_dict if registry is not None else {}


def check_data(cfg: Config, mode: str) -> None:
    """Check that the files and folders of the data sets exist.

    Raises:
        UserError: Listing what is missing, the expected layout and how to get it.
    """
    phases = ('train', 'val') if mode == 'train' else ('test',)
    missing, roots = [], []
    for phase in phases:
        for where in (f'{phase}_dataloader', f'{phase}_evaluator'):
            for path, node in walk(cfg.get(where) or {}, (where,)):
                for key, file in _files(node):
                    if '://' not in file and not os.path.exists(file):
                        missing.append(f'  {".".join(map(str, path))}.{key}: {os.path.abspath(file)}')
                        roots.append(node.get('data_root') or os.path.dirname(file))
    if missing:
        advice = _advice(roots[0])
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


def _advice(root: str) -> str:
    parts = Path(root).parts
    if 'demo' in parts:
        return "make demo makes the demo's data"
    if parts[-1:] and parts[-1] in ('annotations', 'person_detection_results'):  # of COCO's
        parts = parts[:-1]
    whole = str(Path(*parts))
    name = whole.lower()
    voc = next((i for i, part in enumerate(parts) if part.startswith('VOC')), None)
    if voc is not None:
        root, layout = Path(*parts[: voc + (parts[voc] == 'VOCdevkit')]), VOC_LAYOUT
        prepare = 'voc12aug' if 'VOC2012' in parts else 'voc07'
    elif 'coco' in name:
        root, layout, prepare = whole, COCO_LAYOUT, 'coco'
    elif 'imagenet' in name:
        root, layout, prepare = whole, IMAGENET_LAYOUT, 'imagenet'
    elif 'cifar' in name:
        root, layout, prepare = whole, CIFAR_LAYOUT, 'cifar100'
    elif 'saliency' in Path(name).name:
        root, layout, prepare = whole, SALIENCY_LAYOUT, 'saliency'
    else:
        return f'Put the data there, or link to it: ln -s WHERE_IT_IS {root.rstrip("/")}'
    return (
        f'Expected layout:\n{layout.format(root=root)}\n'
        f'To unpack archives or see what is missing: {command("prepare_data")} {prepare} --root {root}\n'
        f'If you have it elsewhere, link to it: ln -s WHERE_IT_IS {root}\n'
        'To see everything run without any data: make demo'
    )


def check_checkpoints(cfg: Config, mode: str, checkpoint: str | None) -> None:
    """Check that the checkpoints which a config names exist; download the authors' that it needs.

    Raises:
        CheckpointError: If one is missing or can't be downloaded.
    """
    sources = [checkpoint or cfg.get('load_from')]
    if mode == 'train':  # mmengine initializes a model even where it resumes
        sources += [
            node['checkpoint']
            for _, node in walk(cfg.get('model') or {})
            if node.get('type') == 'Pretrained' and 'checkpoint' in node
        ]
    for source in sources:
        if source and ('://' not in source or source.startswith(SCHEME)):
            fetch(source)
