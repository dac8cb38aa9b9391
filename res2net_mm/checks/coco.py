"""COCO's JSON: boxes, masks and key points, as MMDetection and MMPose read it."""

import gc
import json
import os
import reprlib
from collections import Counter
from pathlib import Path

import numpy as np

from ..errors import UserError
from .problems import Problems, Sample, some

FAR = 1e6  # pixels: pycocotools needs memory for each pixel of a polygon's outline
KINDS = {  # of values; true and false are no numbers
    'a number': lambda value: type(value) in (int, float),
    'a string': lambda value: type(value) is str,
    'a number or a string': lambda value: type(value) in (int, float, str),
    'a list of numbers': lambda value: type(value) is list and {int, float}.issuperset(map(type, value)),
    '0 or 1': lambda value: type(value) in (int, float, bool) and value in (0, 1),
}
IMAGE = dict(id='a number or a string', file_name='a string', width='a number', height='a number')
CATEGORY = dict(id='a number or a string', name='a string')
ANNOTATION = dict(id='a number or a string', bbox='a list of numbers', area='a number', iscrowd='0 or 1')
PERSON = ANNOTATION | dict(keypoints='a list of numbers', num_keypoints='a number')
JSON_TYPES = {str: 'string ', bool: 'boolean ', list: 'list ', dict: 'dict '}


def read_json(file: str | Path):
    """Read a JSON file as the toolboxes do.

    Raises:
        UserError: If it isn't one.
    """
    content = Path(file).read_bytes()
    if content.startswith(b'\xef\xbb\xbf'):
        raise UserError('the file begins with a byte order mark; save it as UTF-8 without one')
    try:
        return json.loads(content)
    except RecursionError:
        raise UserError('the JSON nests too deep to be read') from None
    except ValueError as error:
        raise UserError(f'not JSON: {error}') from None


def check_coco(
    file: str,
    classes: list[str] | None,
    image_root: str,
    masks: bool = False,
    key_points: int | None = None,
    annotated: bool = True,
    filter_cfg: dict | None = None,
) -> Problems:
    """Check COCO's JSON.

    Args:
        file (str): The file.
        classes (list[str], optional): The config's classes; None: any (of key points).
        image_root (str): The folder of the images.
        masks (bool): Whether masks are needed. Default: False.
        key_points (int, optional): How many key points a person has; boxes only if None. Default: None.
        annotated (bool): Whether annotations are needed, as for all but the submission of results.
            Default: True.
        filter_cfg (dict, optional): The data set's: ``min_size``, ``filter_empty_gt``. Default: None.
    """
    problems = Problems()
    gc.disable()  # which would look through millions of new objects, time and again
    try:
        data = read_json(file)
        if not isinstance(data, dict):
            raise UserError(f"not COCO's format: a {type(data).__name__} in place of a dict")
        _check(data, problems, classes, image_root, masks, key_points, annotated, filter_cfg or {})
    except UserError as error:
        problems.error(str(error))
    except Exception as error:  # whatever comes of a shape that nobody thought of
        problems.error(f"not COCO's format: {type(error).__name__}: {error}")
    finally:
        gc.enable()
    return problems


def _check(data, problems, classes, image_root, masks, key_points, annotated, filter_cfg) -> None:
    images = _entries(data, 'images', {*IMAGE}, problems)
    categories = _entries(data, 'categories', {*CATEGORY}, problems)
    # MMPose leaves persons without box or key points out.
    needed = {'id', 'image_id', 'category_id'} | ({'bbox', 'area'} if key_points is None else set())
    annotations = _entries(data, 'annotations', needed, problems)
    sound = len(problems.errors)
    kinds = ANNOTATION if key_points is None else PERSON
    kinds = kinds | dict(image_id=_kind_of_ids(images), category_id=_kind_of_ids(categories))
    _check_kinds('images', images, IMAGE, problems)
    _check_kinds('categories', categories, CATEGORY, problems)
    _check_kinds('annotations', annotations, kinds, problems)
    if len(problems.errors) > sound:
        return  # all that follows compares the values
    by_id = {image['id']: image for image in images}
    for name, entries in dict(images=images, categories=categories, annotations=annotations).items():
        twice = [i for i, count in Counter(entry['id'] for entry in entries).items() if count > 1]
        problems.error(f'ids of {name} appear more than once', twice)
    sizeless = [i['file_name'] for i in images if not all(0 < i[key] < FAR for key in ('width', 'height'))]
    problems.error('images have a width or height that is no positive number', sizeless)
    problems.samples = [
        Sample(os.path.join(image_root, i['file_name']), (i['width'], i['height'])) for i in images
    ]
    if not images:
        problems.error('there are no images in it')
    if sizeless or not images:
        return
    stray = [a['id'] for a in annotations if a['image_id'] not in by_id]
    problems.error('annotations are of images that the file lacks (annotation ids)', stray)
    annotations = [a for a in annotations if a['image_id'] in by_id]
    counts = Counter(a['category_id'] for a in annotations)
    if key_points is None:
        _check_boxes(annotations, by_id, problems)  # MMDetection reads those of all categories
        annotations = _of_classes(annotations, categories, counts, classes, problems, annotated)
        filled = {a['image_id'] for a in annotations if filter_cfg.get('filter_empty_gt')}
        sizes = [min(i['width'], i['height']) for i in images if not filled or i['id'] in filled]
        smallest = filter_cfg.get('min_size', 0)
        if annotations and max(sizes) < smallest:
            problems.error(
                f"no image is left: filter_cfg drops those of less than {smallest} pixels, the largest's "
                f'short side is {max(sizes)}'
            )
    else:
        annotations = [a for a in annotations if 'bbox' in a and 'keypoints' in a]
        wrong = [a['id'] for a in annotations if len(a['keypoints']) != 3 * key_points]
        problems.error(f'annotations have not {key_points} key points, the number of the config', wrong)
        bad = [a['id'] for a in annotations if not np.isfinite(np.array(a['keypoints'], float)).all()]
        problems.error('annotations have a key point that is not a finite number', bad)
        if annotated and not any(max(a['keypoints'], default=0) > 0 for a in annotations):
            problems.error('no annotation has key points')
        _check_boxes(annotations, by_id, problems)
    _check_masks(annotations, by_id, masks, problems)


def _entries(data: dict, name: str, needed: set[str], problems: Problems) -> list[dict]:
    entries = data.get(name, [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise UserError(f"not COCO's format: {name} is not a list of dicts")
    cases = [_name(entry, i) for i, entry in enumerate(entries) if not needed <= entry.keys()]
    lacking = sorted(set().union(*(needed - entry.keys() for entry in entries))) if cases else []
    problems.error(f'{name} have no {" or ".join(lacking)}', cases)
    return [entry for entry in entries if needed <= entry.keys()] if cases else entries


def _name(entry: dict, index: int) -> str:
    """What to find an entry by: its file name, its id or, without these, its place in the list."""
    file, number = entry.get('file_name'), entry.get('id')
    if file and KINDS['a string'](file):
        return file
    return f'id {number}' if KINDS['a number or a string'](number) else f'index {index}'


def _kind_of_ids(entries: list[dict]) -> str:
    """What refers to entries must be; string ids are used, too, and 1 isn't '1'."""
    strings = {type(entry['id']) is str for entry in entries}
    return 'a number or a string' if len(strings) != 1 else 'a string' if True in strings else 'a number'


def _check_kinds(name: str, entries: list[dict], kinds: dict[str, str], problems: Problems) -> None:
    for key, kind in kinds.items():
        fits = KINDS[kind]
        wrong = [
            f'{_name(entry, i)} ({JSON_TYPES.get(type(entry[key]), "")}{reprlib.repr(entry[key])})'
            for i, entry in enumerate(entries)
            if key in entry and not fits(entry[key])
        ]
        problems.error(f'{name} have a value of {key} that is not {kind}', wrong)


def _of_classes(annotations, categories, counts, classes, problems, annotated) -> list[dict]:
    """Those of the config's classes; how they fit the file's categories."""
    names = {category['id']: category['name'] for category in categories}
    own = list(names.values())
    classes = own if classes is None else classes
    wanted = {i for i, name in names.items() if name in classes}
    # MMDetection numbers the labels in the order of the file.
    problems.classes = [names[i] for i in names if i in wanted]
    if annotated and not any(counts[i] for i in wanted):
        problems.error(
            f'none of its {len(annotations):,} annotations is of a class of the config.\n'
            f'    classes of the file: {some(own, 20) or "none"}\n'
            f'    classes of the config: {some(classes, 20)}'
        )
        return []
    others = [f'{names.get(i, f"id {i}")} ({n:,})' for i, n in counts.most_common() if i not in wanted]
    problems.warn('categories with annotations are no classes of the config and left out', others)
    if problems.classes != list(classes):
        lacking = [name for name in classes if name not in problems.classes]
        problems.warn(
            'labels are numbered in the order of the file, so that names shown would be wrong; set '
            f'metainfo=dict(classes=({some([repr(c) for c in problems.classes], 100)}))'
            + (f'; the file has no category {some(lacking)}' if lacking else '')
        )
    return [a for a in annotations if a['category_id'] in wanted]


def _check_boxes(annotations, by_id, problems) -> None:
    shaped = [a for a in annotations if len(a['bbox']) == 4]
    problems.error(
        'annotations have a bbox that is not [x, y, width, height] (annotation ids)',
        [a['id'] for a in annotations if len(a['bbox']) != 4],
    )
    boxes = np.array([a['bbox'] for a in shaped], float).reshape(-1, 4)
    areas = np.array([a.get('area', 1) for a in shaped], float)
    ids = np.array([a['id'] for a in shaped], object)
    shapes = [by_id[a['image_id']] for a in shaped]
    sizes = np.array([(i['width'], i['height']) for i in shapes], float).reshape(-1, 2)
    finite = np.isfinite(boxes).all(1) & np.isfinite(areas)
    problems.error('boxes or areas are not finite numbers (annotation ids)', ids[~finite])
    with np.errstate(invalid='ignore'):
        flat = finite & ((boxes[:, 2:].min(1, initial=np.inf) < 1) | (areas <= 0))
        low, high = boxes[:, :2], boxes[:, :2] + boxes[:, 2:]
        outside = finite & ~flat & ((high <= 0) | (low >= sizes)).any(1)
        # Rounded coordinates are beyond by a pixel in COCO itself.
        beyond = finite & ~flat & ~outside & ((low < -2) | (high > sizes + 2)).any(1)
    if flat.all():
        text = 'boxes, that is all, are smaller than a pixel: COCO has pixels, no shares (annotation ids)'
        problems.error(text, ids)
    else:
        text = 'boxes have no area, or less than a pixel, and are left out (annotation ids)'
        problems.warn(text, ids[flat])
    problems.warn('boxes are outside of their image and left out (annotation ids)', ids[outside])
    problems.warn('boxes reach beyond their image and are clipped (annotation ids)', ids[beyond])


def _check_masks(annotations, by_id, masks, problems) -> None:
    if masks:
        without = [a['id'] for a in annotations if not a.get('segmentation')]
        problems.error('annotations have no segmentation, which masks need (annotation ids)', without)
    far, wrong = [], []
    for annotation in annotations:
        shape = annotation.get('segmentation') or []
        if isinstance(shape, dict):
            image, counts = by_id[annotation['image_id']], shape.get('counts')
            if shape.get('size') != [image['height'], image['width']] or not isinstance(counts, (list, str)):
                wrong.append(annotation['id'])
            continue
        try:
            for polygon in shape:
                # A sum is NaN if a number is; comparisons with NaN are false.
                if polygon and not (-FAR < min(polygon) and max(polygon) < FAR and sum(polygon) < np.inf):
                    far.append(annotation['id'])
        except TypeError:
            wrong.append(annotation['id'])
    problems.error('polygons have a coordinate that is not a finite number, or far off (annotation ids)', far)
    problems.error('masks are neither polygons nor run lengths of the image size (annotation ids)', wrong)
