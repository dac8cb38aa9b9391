#!/usr/bin/env python
"""Writes a small data set to try the configs on: drawn scenes as COCO and VOC, and real digits.

The real dataset classes of mmdet, mmseg and mmpose read it with nothing but ``data_root`` changed.
What an annotation is of is the visible part of an object. The digits are scikit-learn's, a folder a class,
as in mmpretrain's ``CustomDataset``. Equal arguments write equal bytes.
"""

import argparse
import json
import shutil
import signal
import sys
import tempfile
import time
import zlib
from collections import Counter
from importlib.util import find_spec
from itertools import count, groupby
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
from PIL import Image
from scenes import Instance, draw_scene
from shapes import KEYPOINTS
from torchvision.models.detection import MaskRCNN_ResNet50_FPN_Weights
from torchvision.models.segmentation import DeepLabV3_ResNet50_Weights

from res2net_mm.errors import UserError, run_tool

VERSION = 3  # to be raised with every change of what is drawn or annotated
MANIFEST = 'demo.json'
PERSON_DETECTIONS = 'person_detection_results/COCO_val2017_detections_AP_H_56_person.json'
# Pictures per split.
COUNTS = {
    'coco/train': 480,
    'coco/val': 80,
    'VOC2007/train': 60,
    'VOC2007/val': 60,
    'VOC2007/test': 60,
    'VOC2012/train': 60,
    'VOC2012/aug': 60,
    'VOC2012/val': 40,
    'digits/train': 500,
    'digits/test': 1297,
}
DIGIT_SIZE = 32  # as CIFAR's images
COCO_NAMES = MaskRCNN_ResNet50_FPN_Weights.DEFAULT.meta['categories']  # by COCO's ids, which have gaps
COCO_CATEGORIES = [dict(id=i, name=n) for i, n in enumerate(COCO_NAMES) if n not in ('__background__', 'N/A')]
# The bones between key points, counted from 1 as COCO does.
BONES = '16-14 14-12 17-15 15-13 12-13 6-12 7-13 6-7 6-8 7-9 8-10 9-11 2-3 1-2 1-3 2-4 3-5 4-6 5-7'
SKELETON = [[int(end) for end in bone.split('-')] for bone in BONES.split()]
VOC_CLASSES = DeepLabV3_ResNet50_Weights.DEFAULT.meta['categories']  # 0 is the background
VOC_NAMES = {'airplane': 'aeroplane', 'potted plant': 'pottedplant', 'tv': 'tvmonitor'}
VOC_VOID = 255
VOC_DIFFICULT_AREA = 22**2  # an object below is marked difficult


def make_demo_data(
    root: str | Path, counts: dict[str, int] | None = None, seed: int = 0
) -> tuple[dict, bool]:
    """Write the demo data set, or leave it alone where it is complete.

    It is written next to ``root`` and renamed at the end: what is at ``root`` is always whole.

    Args:
        root (str | Path): The folder to make.
        counts (dict, optional): Pictures per split, all splits of ``COUNTS``, which is the default.
        seed (int): Another seed, other scenes. Defaults to 0.

    Returns:
        tuple[dict, bool]: What the data set holds, and whether it was written just now.

    Raises:
        UserError: If something else is at ``root``, or it can't be written, or scikit-learn is missing.
    """
    root = Path(root).expanduser().resolve()
    wanted = {'made_by': 'res2net_mm', 'version': VERSION, 'seed': seed, 'counts': dict(counts or COUNTS)}
    if found := read_manifest(root, wanted):
        return found, False
    if find_spec('sklearn') is None:  # said before the drawing
        raise UserError('the digits of the demo data come with scikit-learn: pip install scikit-learn')
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f'.{root.name}-', suffix='.part', dir=root.parent))
    except OSError as error:
        raise UserError(f"can't write next to {root}: {error.strerror}") from error
    try:
        write_scenes(part, wanted['counts'], seed)
        write_digits(part / 'digits', wanted['counts']['digits/train'], wanted['counts']['digits/test'])
        manifest = dict(wanted, files=count_files(part) + 1)
        write(part / MANIFEST, manifest)
        part.chmod(0o755)  # mkdtemp's folders are private
        if root.exists():  # empty; Windows renames to nothing that is there
            root.rmdir()
        part.rename(root)
    except OSError as error:
        raise UserError(f"can't write {root}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return manifest, True


def read_manifest(root: Path, wanted: dict) -> dict | None:
    """The manifest of the complete data set at ``root``, None if nothing is there."""
    try:
        if not root.exists() or (root.is_dir() and not any(root.iterdir())):
            return None
        manifest = json.loads((root / MANIFEST).read_text('utf-8'))
        files = count_files(root)
    except (OSError, ValueError):
        manifest = None
    advice = 'Delete it or name another folder.'
    if not isinstance(manifest, dict) or manifest.get('made_by') != wanted['made_by']:
        raise UserError(f'{root} exists and is no demo data set of this tool. {advice}')
    if any(manifest.get(key) != value for key, value in wanted.items()):
        raise UserError(f'{root} holds another version of the demo data. {advice}')
    if files < manifest.get('files', 0):
        raise UserError(f'{root} lacks some of its {manifest["files"]} files. {advice}')
    return manifest


def count_files(root: Path) -> int:
    return sum(path.is_file() for path in root.rglob('*'))


def write(
    path: Path, content: bytes | str | dict | list | np.ndarray, palette: list[int] | None = None
) -> None:
    """Write bytes, text, JSON or labels as a PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, np.ndarray):
        image = Image.fromarray(content)
        if palette:
            image.putpalette(palette)
        return image.save(path)
    if isinstance(content, dict | list):
        content = json.dumps(content, separators=(',', ':')) + '\n'
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def write_scenes(root: Path, counts: dict[str, int], seed: int) -> None:
    """Draw the splits of COCO and VOC under ``root``."""
    records = {split: [] for split in counts if not split.startswith('digits/')}
    numbers = Counter()
    for split in records:
        name, part = split.split('/')
        for index in range(counts[split]):
            numbers[name] += 1
            # As in COCO, a few pictures have no object, and some have a crowd.
            empty, crowd = (name == 'coco' and index % n == rest for n, rest in ((160, 40), (12, 5)))
            image, instances = draw_scene((seed, zlib.crc32(split.encode()), index), empty, crowd)
            write_annotations = write_coco_image if name == 'coco' else write_voc_image
            path, record = write_annotations(root, name, part, numbers[name], instances, image.shape)
            write(path, cv2.imencode('.jpg', image[..., ::-1])[1].tobytes())
            records[split].append(record)
    write_person_detections(root / 'coco' / PERSON_DETECTIONS, records['coco/val'], seed)
    write_coco_annotations(root / 'coco/annotations', records)
    for name in ('VOC2007', 'VOC2012'):
        write_voc_lists(root / 'VOCdevkit' / name / 'ImageSets', name, records)


# ---- COCO --------------------------------------------------------------------------------------


def polygons(mask: np.ndarray) -> list[list[float]]:
    """The outlines of a mask's pieces as COCO has them: [x, y, x, y, ...], holes filled."""
    fine = 4  # the outline follows the pixels' edges, not their centers
    enlarged = cv2.resize(mask.astype(np.uint8), None, fx=fine, fy=fine, interpolation=cv2.INTER_NEAREST)
    contours, _ = cv2.findContours(enlarged, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    outlines = (cv2.approxPolyDP(contour, 0.5 * fine, True)[:, 0] for contour in contours)
    return [((outline + 0.5) / fine).ravel().round(2).tolist() for outline in outlines if len(outline) >= 3]


def rle(mask: np.ndarray) -> dict:
    """A mask's run lengths, uncompressed as COCO's crowds: 0s and 1s in turn, column by column."""
    runs = [(value, sum(1 for _ in run)) for value, run in groupby(mask.ravel(order='F').tolist())]
    return {'counts': [0] * runs[0][0] + [length for _, length in runs], 'size': list(mask.shape)}


def write_coco_image(
    root: Path, name: str, part: str, number: int, instances: list[Instance], shape: tuple[int, ...]
) -> tuple[Path, dict]:
    """Write a picture's map of things; return the picture's path and its annotations."""
    height, width = shape[:2]
    image = {'license': 1, 'file_name': f'{number:012d}.jpg', 'height': height, 'width': width}
    image |= {'date_captured': '2017-09-01 00:00:00', 'id': number}
    annotations = []
    things = np.full((height, width), 255, np.uint8)  # COCO-Stuff's: an object's category less 1
    for instance in instances:
        category = COCO_NAMES.index(instance.category)
        things[instance.mask] = category - 1
        if instance.crowd:
            segmentation, area = rle(instance.mask), int(np.count_nonzero(instance.mask))
            bbox = cv2.boundingRect(instance.mask.astype(np.uint8))
        else:
            segmentation = polygons(instance.mask)
            outlines = [np.reshape(outline, (-1, 2)) for outline in segmentation]
            area = round(sum(cv2.contourArea(o.astype(np.float32)) for o in outlines), 4)
            bbox = *np.concatenate(outlines).min(0), *np.ptp(np.concatenate(outlines), axis=0)
        annotation = {'segmentation': segmentation, 'area': area, 'iscrowd': int(instance.crowd)}
        annotation |= {
            'image_id': number,
            'bbox': [round(float(v), 2) for v in bbox],
            'category_id': category,
        }
        if instance.category == 'person':
            none = np.zeros((len(KEYPOINTS), 3), int)  # of a crowd
            keypoints = none if instance.keypoints is None else instance.keypoints
            annotation['keypoints'] = keypoints.ravel().tolist()
            annotation['num_keypoints'] = int(np.count_nonzero(keypoints[:, 2]))
        annotations.append(annotation)
    write(root / f'coco/stuffthingmaps/{part}2017/{number:012d}.png', things)
    return root / f'coco/{part}2017/{image["file_name"]}', {'image': image, 'annotations': annotations}


def write_person_detections(path: Path, records: list[dict], seed: int) -> None:
    """Write boxes such as a detector might give: the persons', moved a little, and a false alarm an image."""
    rng = np.random.default_rng((seed, zlib.crc32(path.name.encode())))
    detections = []
    for record in records:
        image = record['image']
        boxes = [a['bbox'] for a in record['annotations'] if 'keypoints' in a and not a['iscrowd']]
        found = [(box, rng.uniform(0.6, 1)) for box in boxes]
        found.append(((0, 0, image['width'] / 4, image['height'] / 2), rng.uniform(0.01, 0.1)))
        for (x, y, width, height), score in found:
            dx, dy, wider, higher = rng.normal(0, 0.04, 4)
            bbox = (x + dx * width, y + dy * height, width * (1 + wider), height * (1 + higher))
            bbox, score = [round(float(v), 2) for v in bbox], round(float(score), 4)
            detections.append({'image_id': image['id'], 'category_id': 1, 'bbox': bbox, 'score': score})
    write(path, detections)


def write_coco_annotations(folder: Path, records: dict[str, list[dict]]) -> None:
    info = {'description': 'Demo data of res2net_mm in the layout of COCO 2017', 'version': '1.0', 'url': ''}
    info |= {'year': 2017, 'contributor': 'res2net_mm', 'date_created': '2017/09/01'}
    licenses = [{'id': 1, 'name': 'Apache License 2.0', 'url': 'http://www.apache.org/licenses/LICENSE-2.0'}]
    person = dict(COCO_CATEGORIES[0], keypoints=list(KEYPOINTS), skeleton=SKELETON)
    numbers = count(1)
    for split in ('train', 'val'):
        members = records[f'coco/{split}']
        every = [dict(a, id=next(numbers)) for member in members for a in member['annotations']]
        people = [annotation for annotation in every if 'keypoints' in annotation]
        instances = [{k: v for k, v in a.items() if k not in ('keypoints', 'num_keypoints')} for a in every]
        for kind, categories, annotations in (
            ('instances', COCO_CATEGORIES, instances),
            ('person_keypoints', [person], people),
        ):
            content = {'info': info, 'licenses': licenses, 'images': [member['image'] for member in members]}
            content |= {'annotations': annotations, 'categories': categories}
            write(folder / f'{kind}_{split}2017.json', content)


# ---- VOC ---------------------------------------------------------------------------------------


def voc_palette() -> list[int]:
    """VOC's 256 colors, [r, g, b, r, g, b, ...]: the bits of the index, dealt to the channels."""
    index, palette = np.arange(256), np.zeros((256, 3), int)
    for bit in range(8):
        palette[:, bit % 3] |= (index >> bit & 1) << (7 - bit // 3)
    return palette.ravel().tolist()


def write_voc_image(
    root: Path, year: str, part: str, number: int, instances: list[Instance], shape: tuple[int, ...]
) -> tuple[Path, dict]:
    """Write a picture's XML and PNG files; return the picture's path, and its name and classes."""
    folder = root / 'VOCdevkit' / year
    name = f'{number:06d}' if year == 'VOC2007' else f'2012_{number:06d}'
    classes, objects = np.zeros((2, *shape[:2]), np.uint8)
    void = np.zeros(shape[:2], np.uint8)
    found, present = [], {}
    for order, instance in enumerate(instances, 1):
        label, mask = VOC_NAMES.get(instance.category, instance.category), instance.mask.astype(np.uint8)
        classes[instance.mask] = VOC_CLASSES.index(label)
        objects[instance.mask] = order
        void |= cv2.morphologyEx(mask, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
        difficult = int(np.count_nonzero(mask) < VOC_DIFFICULT_AREA)
        present[label] = present.get(label, False) or not difficult
        x, y, w, h = cv2.boundingRect(mask)
        box = {'xmin': x + 1, 'ymin': y + 1, 'xmax': x + w, 'ymax': y + h}  # the first pixel is 1
        thing = {'name': label, 'pose': 'Unspecified', 'truncated': int(instance.truncated)}
        found.append(thing | {'difficult': difficult, 'bndbox': box})
    content = {
        'folder': year,
        'filename': f'{name}.jpg',
        'source': {'database': 'res2net_mm demo data', 'annotation': year},
        'size': {'width': shape[1], 'height': shape[0], 'depth': shape[2]},
        'segmented': int(part != 'aug'),
        'object': found,
    }
    tree = xml('annotation', content)
    ElementTree.indent(tree, '\t')
    write(folder / f'Annotations/{name}.xml', ElementTree.tostring(tree, encoding='unicode') + '\n')
    if year == 'VOC2012':
        # SBD's masks, as mmseg's voc_aug.py converts them, have neither void nor palette.
        write(folder / f'SegmentationClassAug/{name}.png', classes)
    if part != 'aug':
        for kind, labels in (('SegmentationClass', classes), ('SegmentationObject', objects)):
            write(folder / kind / f'{name}.png', np.where(void, np.uint8(VOC_VOID), labels), voc_palette())
    return folder / f'JPEGImages/{name}.jpg', {'name': name, 'present': present}


def xml(tag: str, content) -> ElementTree.Element:
    """Dicts are elements in an element, a list is one of its name for each of its items."""
    node = ElementTree.Element(tag)
    if not isinstance(content, dict):
        node.text = str(content)
        return node
    for key, value in content.items():
        node.extend(xml(key, item) for item in (value if isinstance(value, list) else [value]))
    return node


def write_voc_lists(folder: Path, year: str, records: dict[str, list[dict]]) -> None:
    """Write ImageSets: who is in which split, and for detection also with which classes."""
    parts = {split.split('/')[1]: members for split, members in records.items() if split.startswith(year)}
    segmentation, main = dict(parts), dict(parts)
    if 'aug' in parts:
        trainaug = parts['train'] + parts['aug']
        segmentation['trainaug'] = trainaug
        main = {'train': trainaug, 'val': parts['val']}
    for kind, lists in (('Segmentation', segmentation), ('Main', main)):
        lists['trainval'] = lists['train'] + lists['val']
        for split, members in lists.items():
            write(folder / kind / f'{split}.txt', ''.join(f'{member["name"]}\n' for member in members))
    for label in VOC_CLASSES[1:]:
        for split, members in main.items():
            # 1: present, 0: only difficult ones, -1: absent
            lines = [f'{member["name"]} {int(member["present"].get(label, -1)):2d}\n' for member in members]
            write(folder / f'Main/{label}_{split}.txt', ''.join(lines))


# ---- digits ------------------------------------------------------------------------------------


def write_digits(root: Path, train: int, test: int) -> None:
    """Write scikit-learn's handwritten digits, 8 x 8 pixels of 0 ... 16, enlarged, in a folder a class.

    The first of each class are for training, equally many of each, the others for the test. They aren't
    shuffled: the file seems to go from writer to writer, so the test is of hands not seen in training.
    """
    from sklearn.datasets import load_digits

    digits = load_digits()
    seen, numbers = Counter(), {'train': [], 'test': []}
    for number, label in enumerate(digits.target):
        seen[label] += 1
        quota = train // 10 + (label < train % 10)
        numbers['train' if seen[label] <= quota else 'test'].append(number)
    del numbers['test'][test:]
    for split in numbers:
        for label in digits.target_names:
            (root / split / str(label)).mkdir(parents=True)
        for number in numbers[split]:
            image = digits.images[number] * (255 / 16)
            image = cv2.resize(image, (DIGIT_SIZE, DIGIT_SIZE), interpolation=cv2.INTER_LINEAR)
            path = root / split / str(digits.target[number]) / f'{number:04d}.png'
            write(path, image.round().astype(np.uint8))


# ---- the tool ----------------------------------------------------------------------------------


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('root', nargs='?', default='data/demo', help='default: %(default)s')
    args = parser.parse_args()
    # Ended by a signal, it should clean up as it does on Ctrl-C.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    start = time.perf_counter()
    manifest, written = make_demo_data(args.root)
    print('\n'.join(f'{images:>6,}  {split}' for split, images in manifest['counts'].items()))
    seconds = time.perf_counter() - start
    print(f'written to {args.root} in {seconds:.0f} s' if written else f'{args.root} is complete, left alone')


if __name__ == '__main__':
    run_tool(main, ', nothing was written')
