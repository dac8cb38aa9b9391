"""Boxes, outlines and key points, as COCO, VOC and YOLO have them."""

import json
import math
from collections import Counter, defaultdict
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import yaml

from ..errors import UserError
from .data import Data
from .folder import Folder, Picture, listed_names, split_of, stem

UNNAMED = 'objects of classes beyond the names in data.yaml, obj.names or classes.txt, left out'


def read_coco(folder: Folder, method: str) -> Data | None:
    """COCO's JSON; with key points for SimpleBaseline, preferably without them for detectors."""
    contents = {}
    for file in folder.ending('.json'):
        try:
            content = json.loads((folder.root / file).read_bytes())
        except ValueError:
            folder.problems["JSON files that can't be read"].append(file)
            continue
        keys = ('images', 'annotations', 'categories')
        if isinstance(content, dict) and all(isinstance(content.get(key), list) for key in keys):
            contents[file] = content
    posed = {f for f, content in contents.items() if any(c.get('keypoints') for c in content['categories'])}
    chosen = posed if method == 'simplebaseline' else {*contents} - posed or posed
    data = Data('COCO JSON', folder)
    for file in sorted(chosen):
        try:
            _read_coco(data, file, contents[file], method)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise UserError(
                f'{folder.root / file} is not as COCO has it: {type(error).__name__} {error}'
            ) from None
    return data if chosen else None


def _read_coco(data: Data, file: Path, content: dict, method: str) -> None:
    names = {category['id']: str(category['name']) for category in content['categories']}
    data.classes += names.values()
    needed = {'mask_rcnn': 'segmentation', 'simplebaseline': 'keypoints'}.get(method, 'bbox')
    required = {'id', 'bbox', 'area', 'iscrowd', *(['num_keypoints'] if needed == 'keypoints' else [])}
    by_image, prefixes = defaultdict(list), set()
    for annotation in content['annotations']:
        by_image[annotation['image_id']].append(annotation)
        if (number := annotation.get('category_id')) not in names:
            raise UserError(
                f'{data.folder.root / file}: the annotation of id {annotation.get("id")} has category_id '
                f'{number}, and the categories have {", ".join(map(str, names)) or "none"}'
            )
    for image in content['images']:
        found = data.folder.find(image['file_name'], file)
        picture = data.add(found, file, split_of(file.with_suffix('') / '_') or (found and split_of(found)))
        if picture is None:
            prefixes.add(None)
            continue
        if not data.has_size(picture, (image.get('width'), image.get('height'))):
            prefixes.add(None)
        ends = found.as_posix().endswith(image['file_name'])
        prefixes.add(found.as_posix().removesuffix(image['file_name']) if ends else None)
        for annotation in by_image[image['id']]:
            keys = {'bbox', 'area', 'iscrowd', 'segmentation'} & annotation.keys()
            kept = {key: annotation[key] for key in keys}
            outline = kept.get('segmentation')
            if 'bbox' not in kept and isinstance(outline, list) and outline:
                kept['bbox'] = _box(np.concatenate([np.reshape(part, (-1, 2)) for part in outline]))
            if needed == 'keypoints' and annotation.get('keypoints'):
                seen = sum(v > 0 for v in annotation['keypoints'][2::3])
                kept.update(keypoints=annotation['keypoints'], num_keypoints=seen)
            if not kept.get(needed) or kept['bbox'][2] <= 0 or kept['bbox'][3] <= 0:
                data.folder.problems[f'objects without {needed}, left out'].append(found)
                prefixes.add(None)
                continue
            picture.classes.append(names[annotation['category_id']])
            picture.objects.append(kept)
            if not required <= annotation.keys():
                prefixes.add(None)
    for category in content['categories']:
        if category.get('keypoints'):
            if data.points and data.points['keypoints'] != category['keypoints']:
                raise ValueError('categories of different key points; there can be only one set of them')
            data.points = category
    ids = Counter(annotation.get('id') for annotation in content['annotations'])
    again = [f'{file}: {number}' for number, n in ids.items() if number is not None for _ in range(n - 1)]
    known = {image['id'] for image in content['images']}
    lost = [f'{file}: {a.get("id")}' for a in content['annotations'] if a['image_id'] not in known]
    if lost or len(ids) < len(content['annotations']):
        prefixes.add(None)
    if again:
        data.folder.problems['ids of annotations come again, numbered anew'] += again
    if lost:
        data.folder.problems['annotations of no image, left out'] += lost
    own = [*names.values()]  # MMDetection numbers the classes in each file's own order
    if len(prefixes) == 1 and len({*own}) == len(own) and own == data.classes[: len(own)]:
        data.prefix[file] = prefixes.pop()


def _box(points: np.ndarray) -> list[float]:
    low, high = points.min(0), points.max(0)
    return [*low.tolist(), *(high - low).tolist()]


def _add_box(data: Data, picture: Picture, name: str, corners: np.ndarray, **more) -> None:
    """Add an object, its box cut at the image's edges."""
    x, y, width, height = _box(np.clip(corners, 0, picture.size).round(2))
    if width <= 0 or height <= 0:
        data.folder.problems['boxes without an area, left out'].append(picture.file)
        return
    picture.classes.append(name)
    picture.objects.append(dict(bbox=[x, y, width, height], area=width * height, iscrowd=0) | more)


def read_voc(folder: Folder, method: str) -> Data | None:
    """VOC's XML; a difficult object is ignored, like COCO's crowds."""
    data, seen = Data('VOC XML', folder), False
    for file in folder.ending('.xml'):
        try:
            root = ElementTree.parse(folder.root / file).getroot()
        except (ElementTree.ParseError, ValueError, LookupError):  # the latter of its encoding
            folder.problems["XML files that can't be read"].append(file)
            continue
        if root.tag != 'annotation':
            continue
        seen = True
        name = (root.findtext('filename') or '').replace('\\', '/').rpartition('/')[2]
        picture = data.add(folder.find(name if stem(name) == file.stem else file.stem, file), file)
        if picture:
            sides = [(root.findtext(f'size/{side}') or '').strip() for side in ('width', 'height')]
            data.has_size(picture, tuple(int(side) if side.isdecimal() else 0 for side in sides))
        for item in root.iter('object') if picture else ():
            try:
                corners = [float(item.find('bndbox').findtext(k)) for k in ('xmin', 'ymin', 'xmax', 'ymax')]
                name = item.findtext('name').strip()
            except (AttributeError, TypeError, ValueError):
                folder.problems['objects without a name or a box, left out'].append(file)
                continue
            difficult = int(item.findtext('difficult') == '1')
            _add_box(data, picture, name, np.reshape(corners, (2, 2)), iscrowd=difficult)
    data.classes = sorted(data.used())
    return data if seen else None


def read_yolo(folder: Folder, method: str) -> Data | None:
    """YOLO's text: a class and, in shares of the image, a box or an outline; no text is no object."""
    tables = {file: table for file in folder.ending('.txt') if (table := _yolo_lines(folder, file))}
    if not any(numbers for table in tables.values() for numbers in table.values()):
        return None  # but captions, say
    data, (names, posed) = Data('YOLO txt', folder), _yolo_names(folder)
    for file, table in tables.items():
        picture = data.add(folder.find(file.stem, file), file)
        for line, numbers in table.items() if picture else ():
            if not numbers:
                folder.problems["label lines that can't be read, left out"].append(f'{file}:{line}')
                continue
            number, *shares = numbers
            outlined = len(shares) > 5 and not posed  # key points follow a box; an outline has none
            if not _in_shares(shares if outlined else shares[:4]):
                folder.problems['boxes in pixels, not in 0...1, left out'].append(f'{file}:{line}')
                continue
            if names and number not in names:
                folder.problems[UNNAMED].append(f'{file}:{line}')
                continue
            name = names.get(number, f'class_{int(number)}')
            points = np.reshape(shares[: len(shares) // 2 * 2 if outlined else 4], (-1, 2)) * picture.size
            corners = points if outlined else np.array([points[0] - points[1] / 2, points[0] + points[1] / 2])
            if method == 'mask_rcnn' and not outlined:
                folder.problems['objects without an outline, left out'].append(file)
            else:
                more = dict(segmentation=[points.ravel().round(2).tolist()]) if outlined else {}
                _add_box(data, picture, name, corners, **more)
    data.classes = [*names.values(), *sorted({*data.used()} - {*names.values()})]
    for file in folder.images:
        if file not in data.pictures:
            data.add(file, file)
    return data


def _yolo_lines(folder: Folder, file: Path) -> dict[int, list[float]]:
    """The numbers in each line of a label, none of a line that can't be read; {} if it is some other text."""
    table = {i: _numbers(line) for i, line in enumerate(folder.text(file), 1) if line.strip()}
    fine = all(numbers and _in_shares(numbers[1:5]) for numbers in table.values())
    return table if fine or folder.has(file.stem) else {}


def _numbers(line: str) -> list[float]:
    try:
        numbers = [float(number) for number in line.split()]
    except ValueError:
        return []
    fine = len(numbers) > 4 and all(map(math.isfinite, numbers)) and numbers[0] >= 0 and numbers[0] % 1 == 0
    return numbers if fine else []


def _in_shares(numbers: list[float]) -> bool:
    """Whether they are shares of the image, perhaps somewhat outside of it, not pixels."""
    return -0.5 <= min(numbers) and max(numbers) <= 1.5


def _yolo_names(folder: Folder) -> tuple[dict[int, str], bool]:
    """The names of the classes, and whether there are key points."""
    for file in folder.ending('.yaml', '.yml'):
        try:
            content = yaml.safe_load('\n'.join(folder.text(file)))
        except yaml.YAMLError:
            folder.problems["YAML files that can't be read"].append(file)
            continue
        if isinstance(content, dict) and content.get('names'):
            names = content['names']
            pairs = names.items() if isinstance(names, dict) else enumerate(names)
            return {int(number): str(name) for number, name in pairs}, 'kpt_shape' in content
    return dict(enumerate(listed_names(folder))), False
