"""Which checks a config's data sets need, and what they found, in one message."""

import copy
import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from mmengine.config import Config
from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.registry import DATASETS, TRANSFORMS, DefaultScope

from .. import __version__
from ..config import walk
from ..errors import UserError
from ..files import write_text
from ..lookup import find_registered
from .coco import check_coco, read_json
from .pixels import check_folders, check_labels, check_saliency, check_segmentation, mask_fault
from .problems import MASKS, Problems, Sample, some, spread
from .voc import check_voc

CACHED_FROM = 2**20  # bytes: smaller files are read at once
CACHE = Path(os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache'), 'res2net_mm', 'checks')


def check(cfg: Config, mode: str, every: bool = False) -> None:
    """Look through the data of a run; warnings are printed.

    Of several processes one looks, and all end if it found errors.

    Args:
        cfg (Config): The whole config.
        mode (str): 'train' or 'test'.
        every (bool): Whether each image is looked for, not a sample of them. Default: False.

    Raises:
        UserError: Naming all that would end the run, or have it learn nothing.
    """
    outcome = [None]
    try:
        if is_main_process():
            found = look(cfg, ('train', 'val') if mode == 'train' else ('test',), every)
            if warnings := report(found, 'warnings'):
                print(f'warnings about the data:\n{warnings}', file=sys.stderr)
            outcome[0] = report(found, 'errors')
    finally:
        broadcast_object_list(outcome)
    if outcome[0]:
        raise UserError(
            f"the data can't be used as they are:\n{outcome[0]}\n"
            'docs/data_checks.md explains each; to go on regardless: --no-check'
        )


def report(found: dict[str, Problems], kind: str) -> str:
    """The 'errors' or 'warnings' of several data sets; empty if there are none."""
    return '\n'.join(
        line
        for where, problems in found.items()
        if getattr(problems, kind)
        for line in (where, *(f'  - {text}' for text in dict.fromkeys(getattr(problems, kind))))
    )


def look(cfg: Config, phases: tuple[str, ...], every: bool = False) -> dict[str, Problems]:
    """Look through a config's data sets.

    Args:
        cfg (Config): The whole config.
        phases (tuple[str]): Of 'train', 'val', 'test'.
        every (bool): Whether each image is looked for, not a sample of them. Default: False.

    Returns:
        dict[str, Problems]: By where in the config the data set is; 'model' is what doesn't fit it.
    """
    model, heads, found = Problems(), dict(_heads(cfg.get('model') or {})), {}
    numbered = []  # where a data set is, and what its labels mean
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope') or 'mmengine'):
        for phase in phases:
            for where, node in _datasets(cfg.get(f'{phase}_dataloader') or {}, f'{phase}_dataloader'):
                if '://' in str(node.get('data_root')) or node.get('backend_args'):
                    continue  # elsewhere
                try:
                    dataset = DATASETS.build({**copy.deepcopy(node), 'lazy_init': True, 'pipeline': []})
                    problems = check_dataset(dataset, node, cfg, phase, every)
                except UserError as error:
                    problems = Problems(errors=[str(error)])
                except Exception as error:  # what the run would build it with, too
                    problems = Problems(errors=[f'{type(error).__name__}: {error}'])
                else:
                    _check_heads(heads, dataset.metainfo.get('classes') or problems.classes, model)
                    name = dataset.ann_file or dataset.data_root
                    where += f' ({name})' if name else ''
                if phase != 'train' and "'bad_images': 'skip'" in str(node.get('pipeline')):
                    problems.error("bad_images='skip' is for training: an evaluation is of all images")
                if problems.classes:
                    numbered.append((where, problems.classes))
                found[where] = problems
        _check_numbering(numbered, model)
    for path, node in walk({f'{phase}_evaluator': cfg.get(f'{phase}_evaluator') or {} for phase in phases}):
        topk = node.get('topk') or 0
        most = max(topk) if isinstance(topk, (list, tuple)) else topk
        if fewer := [n for n in heads.values() if n < most]:
            model.error(f'{".".join(map(str, path))}.topk asks for the best {most} of {fewer[0]}: topk=(1,)')
    return {'model': model, **found}


def _datasets(node, where: str) -> Iterator[tuple[str, dict]]:
    """The data sets of a data loader, inside of those that repeat, join or mix them."""
    for path, each in walk(node, (where,)):
        kind = each.get('type')
        kind = find_registered(kind) if isinstance(kind, str) else kind
        if hasattr(kind, 'load_data_list') and not {'dataset', 'datasets'} & each.keys():
            yield '.'.join(map(str, path)), each


def _heads(model: dict) -> Iterator[tuple[str, int]]:
    for path, node in walk(model, ('model',)):
        key = next((str(p) for p in reversed(path) if isinstance(p, str)), '')
        number = node.get('num_classes')
        if key.endswith('head') and key not in ('rpn_head', 'semantic_head') and isinstance(number, int):
            yield '.'.join(map(str, path)), number


def _check_heads(heads: dict[str, int], classes: Sequence[str] | None, problems: Problems) -> None:
    wrong = [f'{name}.num_classes={n}' for name, n in heads.items() if n != len(classes or ())]
    if wrong and classes:
        problems.error(
            f'{", ".join(wrong)}, but the data have {len(classes):,} classes ({some(classes, 10)}): set '
            f'num_classes={len(classes)} there, or metainfo=dict(classes=...) in each data set'
        )


def _check_numbering(numbered: list[tuple[str, list[str]]], problems: Problems) -> None:
    # Data to learn from may lack the last classes: the other labels are the same without them.
    longest = max(numbered, key=lambda n: (n[0].startswith('train'), len(n[1])), default=None)
    for other, theirs in numbered:
        first, own = longest
        if theirs != (own[: len(theirs)] if other.startswith('train') else own):
            only = [
                f'only in {where}: {some(sorted(names), 10)}'
                for where, names in ((first, set(own) - set(theirs)), (other, set(theirs) - set(own)))
                if names
            ]
            differ = '; '.join(only) or 'another order'
            problems.error(f'labels mean other classes in {first} than in {other}: {differ}')


def check_dataset(dataset, node: dict, cfg: Config, phase: str, every: bool = False) -> Problems:
    """Check a data set by the method of its class that reads it; of others nothing is known.

    Args:
        dataset (BaseDataset): The data set, built with ``lazy_init``.
        node (dict): Its config.
        cfg (Config): The whole config.
        phase (str): 'train', 'val' or 'test'.
        every (bool): See :func:`look`.
    """
    reader = getattr(type(dataset).load_data_list, '__qualname__', '').partition('.')[0]
    parser = getattr(type(dataset), 'parse_data_info', None)
    parsed = getattr(parser, '__qualname__', '').partition('.')[0]
    classes = dataset.metainfo.get('classes')
    if isinstance(classes, str):
        raise UserError(f"metainfo's classes are a string; of one class it is classes=({classes!r},)")
    evaluator = cfg.get(f'{phase}_evaluator') or {}
    annotated = not any(n.get('format_only') for _, n in walk({'evaluator': evaluator}))
    prefix, file, root = dataset.data_prefix, dataset.ann_file, dataset.data_root or ''
    images = prefix.get('img') or prefix.get('img_path') or ''
    if reader == parsed == 'CocoDataset':
        masks = annotated and any(step.get('with_mask') for step in _steps(node))
        filters = {} if dataset.test_mode else dict(dataset.filter_cfg or {})
        arguments = (classes and list(classes), images, masks, None, annotated, filters)
        problems = _cached(check_coco, root, every, file, *arguments)
    elif reader == parsed == 'BaseCocoStyleDataset':
        count = dataset.metainfo.get('num_keypoints')
        problems = _cached(check_coco, root, every, file, None, images, False, count, annotated)
        if dataset.bbox_file and not problems.errors:
            _check_detections(dataset.bbox_file, file, problems)
    elif reader == 'XMLDataset' and parsed == 'XMLDataset':
        folders = [os.path.join(dataset.sub_data_root, f) for f in (dataset.ann_subdir, dataset.img_subdir)]
        problems = check_voc(file, list(classes), *folders, annotated, every)
    elif reader == 'BaseSegDataset':
        problems = check_segmentation(
            file, images, prefix.get('seg_map_path'), dataset.img_suffix, dataset.seg_map_suffix
        )
    elif reader == 'SaliencyDataset':
        problems = check_saliency(dataset)
    elif reader == 'CustomDataset' and dataset.with_label:
        if file:
            problems = check_labels(file, images, classes and len(classes))
        else:
            problems = check_folders(images, classes, dataset.extensions)
    else:
        return Problems()
    if reader not in ('CocoDataset', 'BaseCocoStyleDataset'):
        problems.check_root(root)
    problems.check_files(problems.samples if every else spread(problems.samples))
    if reader in ('BaseSegDataset', 'SaliencyDataset'):
        problems.mask_fault = _mask_fault(dataset, node)
    if problems.mask_fault:
        faults = map(problems.mask_fault, spread(problems.samples))
        problems.error(MASKS, [text for text in faults if text])
    return problems


def _steps(node: dict) -> list[dict]:
    return [step for _, step in walk(list(node.get('pipeline') or []))]


def _mask_fault(dataset, node: dict) -> Callable[[Sample], str | None] | None:
    """What finds the faults of a data set's masks; None if its pipeline loads none."""
    steps = [s for s in _steps(node) if str(s.get('type')).endswith(('LoadAnnotations', 'LoadSaliencyMask'))]
    classes = dataset.metainfo.get('classes')
    if not steps or not classes:
        return None
    info = {k: dataset.metainfo[k] for k in ('label_map', 'reduce_zero_label') if k in dataset.metainfo}
    load = TRANSFORMS.build(copy.deepcopy(dict(steps[0])))
    return partial(mask_fault, load=load, info=info, classes=len(classes))


def _check_detections(file: str, ann_file: str, problems: Problems) -> None:
    detections = read_json(file)
    if not isinstance(detections, list) or not all(isinstance(d, dict) for d in detections):
        raise UserError(f'{file} is not a list of detections')
    persons = [d for d in detections if d['category_id'] == 1]
    if not persons:
        problems.error(f'{file} has no person (category_id 1)')
    elif not np.isfinite([[*d['bbox'][:4], d['score']] for d in persons]).all():
        problems.error(f'{file} has boxes or scores that are not finite numbers')
    known = {image['id'] for image in read_json(ann_file)['images']}
    stray = sorted({d['image_id'] for d in persons} - known)
    problems.error(f'images that {file} has persons of are unknown (image ids)', stray)


def _cached(function: Callable[..., Problems], root: str, every: bool, file: str, *arguments) -> Problems:
    """Call a check of a large file, unless it was called before for the file as it is."""
    stat = os.stat(file)
    key = [os.path.abspath(file), stat.st_size, stat.st_mtime_ns, root, __version__, arguments]
    cache = CACHE / f'{hashlib.sha256(json.dumps(key).encode()).hexdigest()[:32]}.json'
    if not every and stat.st_size >= CACHED_FROM:
        try:
            errors, warnings, samples, classes = json.loads(cache.read_text('utf-8'))
            return Problems(errors, warnings, [Sample(path, size) for path, size in samples], classes)
        except (OSError, ValueError, TypeError):  # none yet, or damaged
            pass
    problems = function(file, *arguments)
    problems.check_root(root)
    if stat.st_size >= CACHED_FROM:
        samples = [(s.path, s.size) for s in spread(problems.samples)]
        try:
            write_text(cache, json.dumps((problems.errors, problems.warnings, samples, problems.classes)))
        except OSError:  # a home that can't be written to
            pass
    return problems
