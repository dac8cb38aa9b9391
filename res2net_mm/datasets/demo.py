"""Writes the demo data set: drawn scenes in the layouts of COCO 2017, VOC 2007 and VOC 2012, and real digits.

The real dataset classes of mmdet, mmseg and mmpose read it with nothing but ``data_root`` changed.
What an annotation is of is the visible part of an object. The digits are scikit-learn's, a folder a class,
as in mmpretrain's ``CustomDataset``. Equal arguments write equal bytes.
"""

import json
import multiprocessing
import os
import shutil
import signal
import tempfile
import zlib
from collections import Counter
from collections.abc import Sequence
from importlib.util import find_spec
from multiprocessing.connection import Connection
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
from PIL import Image

from .demo_figures import KEYPOINTS
from .demo_scenes import Instance, draw_scene

VERSION = 3  # to be raised with every change of what is drawn or written
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

# COCO's categories as 'supercategory: id name, ...'.
_COCO = """
person: 1 person
vehicle: 2 bicycle, 3 car, 4 motorcycle, 5 airplane, 6 bus, 7 train, 8 truck, 9 boat
outdoor: 10 traffic light, 11 fire hydrant, 13 stop sign, 14 parking meter, 15 bench
animal: 16 bird, 17 cat, 18 dog, 19 horse, 20 sheep, 21 cow, 22 elephant, 23 bear, 24 zebra, \
25 giraffe
accessory: 27 backpack, 28 umbrella, 31 handbag, 32 tie, 33 suitcase
sports: 34 frisbee, 35 skis, 36 snowboard, 37 sports ball, 38 kite, 39 baseball bat, \
40 baseball glove, 41 skateboard, 42 surfboard, 43 tennis racket
kitchen: 44 bottle, 46 wine glass, 47 cup, 48 fork, 49 knife, 50 spoon, 51 bowl
food: 52 banana, 53 apple, 54 sandwich, 55 orange, 56 broccoli, 57 carrot, 58 hot dog, 59 pizza, \
60 donut, 61 cake
furniture: 62 chair, 63 couch, 64 potted plant, 65 bed, 67 dining table, 70 toilet
electronic: 72 tv, 73 laptop, 74 mouse, 75 remote, 76 keyboard, 77 cell phone
appliance: 78 microwave, 79 oven, 80 toaster, 81 sink, 82 refrigerator
indoor: 84 book, 85 clock, 86 vase, 87 scissors, 88 teddy bear, 89 hair drier, 90 toothbrush
"""
COCO_CATEGORIES = [
    {'supercategory': supercategory, 'id': int(number), 'name': name}
    for supercategory, members in (line.split(': ') for line in _COCO.strip().splitlines())
    for number, name in (member.split(' ', 1) for member in members.split(', '))
]
COCO_IDS = {category['name']: category['id'] for category in COCO_CATEGORIES}
# The bones between key points, counted from 1 as COCO does.
SKELETON = [
    [16, 14],
    [14, 12],
    [17, 15],
    [15, 13],
    [12, 13],
    [6, 12],
    [7, 13],
    [6, 7],
    [6, 8],
    [7, 9],
    [8, 10],
    [9, 11],
    [2, 3],
    [1, 2],
    [1, 3],
    [2, 4],
    [3, 5],
    [4, 6],
    [5, 7],
]

VOC_CLASSES = (
    'aeroplane',
    'bicycle',
    'bird',
    'boat',
    'bottle',
    'bus',
    'car',
    'cat',
    'chair',
    'cow',
    'diningtable',
    'dog',
    'horse',
    'motorbike',
    'person',
    'pottedplant',
    'sheep',
    'sofa',
    'train',
    'tvmonitor',
)
VOC_NAMES = {'airplane': 'aeroplane', 'potted plant': 'pottedplant', 'tv': 'tvmonitor'}
VOC_VOID = 255
VOC_DIFFICULT_AREA = 22**2  # an object below is marked difficult


class DemoDataError(Exception):
    """Why the demo data could not be written, for the user to read."""


def make_demo_data(
    root: str | Path, counts: dict[str, int] | None = None, seed: int = 0, workers: int | None = None
) -> tuple[dict, bool]:
    """Write the demo data set, or leave it alone where it is complete.

    It is written next to ``root`` and renamed at the end: what is at ``root`` is always whole.

    Args:
        root (str | Path): The folder to make.
        counts (dict, optional): Pictures per split, all splits of ``COUNTS``, which is the default.
        seed (int): Another seed, other scenes. Defaults to 0.
        workers (int, optional): Processes that draw; 1 draws in this one. Defaults to the CPUs.

    Returns:
        tuple[dict, bool]: What the data set holds, and whether it was written just now.

    Raises:
        DemoDataError: If something else is at ``root``, or it can't be written, or scikit-learn is missing.
    """
    root = Path(root).expanduser().resolve()
    wanted = {'made_by': 'res2net_mm', 'version': VERSION, 'seed': seed, 'counts': dict(counts or COUNTS)}
    found = _read_manifest(root, wanted)
    if found:
        return found, False
    if find_spec('sklearn') is None:  # said before the drawing
        raise DemoDataError('the digits of the demo data come with scikit-learn: pip install scikit-learn')
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f'.{root.name}-', suffix='.part', dir=root.parent))
    except OSError as error:
        raise DemoDataError(f"can't write next to {root}: {error.strerror}") from error
    try:
        manifest = dict(wanted, **_write(part, wanted['counts'], seed, workers or os.cpu_count()))
        _write_json(part / MANIFEST, manifest)
        part.chmod(0o755)  # mkdtemp's folders are private
        part.rename(root)
    except OSError as error:
        raise DemoDataError(f"can't write {root}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return manifest, True


def _read_manifest(root: Path, wanted: dict) -> dict | None:
    """The manifest of the complete data set at ``root``, None if nothing is there."""
    try:
        if not root.exists() or (root.is_dir() and not any(root.iterdir())):
            return None
        manifest = json.loads((root / MANIFEST).read_text())
        files = _count_files(root)
    except (OSError, ValueError):
        manifest = None
    advice = 'Delete it or name another folder.'
    if not isinstance(manifest, dict) or manifest.get('made_by') != wanted['made_by']:
        raise DemoDataError(f'{root} exists and is no demo data set of this tool. {advice}')
    if any(manifest.get(key) != value for key, value in wanted.items()):
        raise DemoDataError(f'{root} holds another version of the demo data. {advice}')
    if files < manifest.get('files', 0):
        raise DemoDataError(f'{root} lacks some of its {manifest["files"]} files. {advice}')
    return manifest


def describe(manifest: dict) -> list[str]:
    """What a data set holds, as lines to print."""
    counts, objects = manifest['counts'], manifest['objects']
    lines = []
    for name in ('coco', 'VOC2007', 'VOC2012'):
        splits = ', '.join(
            f'{n} {split.split("/")[1]}' for split, n in counts.items() if split.startswith(f'{name}/')
        )
        held = objects[name]
        lines.append(
            f'{name}: {splits} images; {sum(held["sizes"].values())} objects: '
            + ', '.join(f'{n} {k}' for k, n in held['sizes'].items())
            + '; '
            + ', '.join(f'{n} {k}' for k, n in held['categories'].items())
        )
    train, test = (counts[f'digits/{split}'] for split in ('train', 'test'))
    return [*lines, f'digits: {train} train, {test} test images of handwritten digits']


# ---- all the splits ----------------------------------------------------------------------------


def _write(root: Path, counts: dict[str, int], seed: int, workers: int) -> dict:
    """Write all the splits under ``root``, return what goes into the manifest."""
    numbers = Counter()
    jobs = []
    for split, count in counts.items():
        name = split.split('/')[0]
        for index in range(count if name != 'digits' else 0):  # which aren't drawn
            numbers[name] += 1
            jobs.append((split, index, numbers[name]))
    for folder in (
        'train2017',
        'val2017',
        'annotations',
        'person_detection_results',
        'stuffthingmaps/train2017',
        'stuffthingmaps/val2017',
    ):
        (root / 'coco' / folder).mkdir(parents=True)
    for name in ('VOC2007', 'VOC2012'):
        for folder in (
            'Annotations',
            'ImageSets/Main',
            'ImageSets/Segmentation',
            'JPEGImages',
            'SegmentationClass',
            'SegmentationObject',
        ):
            (root / 'VOCdevkit' / name / folder).mkdir(parents=True)
    (root / 'VOCdevkit/VOC2012/SegmentationClassAug').mkdir()

    records = _draw_all(root, seed, jobs, workers)
    by_split = {split: [] for split in counts}
    for (split, _, _), record in zip(jobs, records, strict=True):
        by_split[split].append(record)

    # before the annotations, which split persons' key points from them
    _write_person_detections(root / 'coco' / PERSON_DETECTIONS, by_split['coco/val'], seed)
    _write_coco_annotations(root / 'coco/annotations', by_split)
    for name in ('VOC2007', 'VOC2012'):
        _write_voc_lists(root / 'VOCdevkit' / name / 'ImageSets', name, by_split)
    objects = {}
    for name in ('coco', 'VOC2007', 'VOC2012'):
        held = [
            held
            for split in counts
            if split.startswith(f'{name}/')
            for record in by_split[split]
            for held in record['objects']
        ]
        sizes = Counter('crowd' if crowd else _size(area) for _, area, crowd in held)
        categories = Counter(category for category, _, crowd in held if not crowd)
        objects[name] = {
            'sizes': {k: sizes[k] for k in ('small', 'medium', 'large', 'crowd') if sizes[k]},
            'categories': dict(sorted(categories.items(), key=lambda item: (-item[1], item[0]))),
        }
    _write_digits(root / 'digits', counts['digits/train'], counts['digits/test'])
    return {'files': _count_files(root) + 1, 'objects': objects}


def _draw_all(root: Path, seed: int, jobs: list[tuple], workers: int) -> list[dict]:
    """Do the jobs in this process or in several."""
    if workers == 1:
        return [_draw(root, seed, job) for job in jobs]
    # Not forked: a child hangs where its parent had used OpenCV's threads.
    spawn = multiprocessing.get_context('spawn')
    running, records = [], [None] * len(jobs)
    try:
        for first in range(workers):
            here, there = spawn.Pipe(duplex=False)
            args = there, root, seed, jobs[first::workers]
            process = spawn.Process(target=_work, args=args, daemon=True)
            process.start()
            there.close()
            running.append((process, here))
        for first, (_, here) in enumerate(running):
            try:
                answer = here.recv()
            except EOFError:
                raise DemoDataError('a drawing process died: is there too little memory?') from None
            if isinstance(answer, OSError):
                raise answer
            records[first::workers] = answer
    finally:
        for process, _ in running:
            process.terminate()
            process.join()
    return records


def _work(there: Connection, root: Path, seed: int, jobs: list[tuple]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    cv2.setNumThreads(1)
    try:
        there.send([_draw(root, seed, job) for job in jobs])
    except OSError as error:
        there.send(error)


def _draw(root: Path, seed: int, job: tuple[str, int, int]) -> dict:
    """Draw one scene of a split and write its files."""
    split, index, number = job
    coco = split.startswith('coco/')
    # As in COCO, a few pictures have no object, and some have a crowd.
    scene = draw_scene(
        (seed, zlib.crc32(split.encode()), index),
        empty=coco and index % 160 == 40,
        crowd=coco and index % 12 == 5,
    )
    if coco:
        record = _coco_record(scene.instances, number, *scene.image.shape[:2])
        path = root / f'{split}2017' / record['image']['file_name']
        stuff = root / 'coco/stuffthingmaps' / f'{split.split("/")[1]}2017' / f'{path.stem}.png'
        Image.fromarray(_thing_map(scene.instances, scene.image.shape[:2])).save(stuff)
    else:
        name, part = split.split('/')
        record = _write_voc_image(root / 'VOCdevkit' / name, part, number, scene.instances, scene.image.shape)
        path = root / 'VOCdevkit' / name / 'JPEGImages' / f'{record["name"]}.jpg'
    path.write_bytes(cv2.imencode('.jpg', scene.image[..., ::-1])[1])
    record['objects'] = [(o.category, int(np.count_nonzero(o.mask)), o.crowd) for o in scene.instances]
    return record


def _size(area: float) -> str:
    return 'small' if area < 32**2 else 'medium' if area < 96**2 else 'large'


def _count_files(root: Path) -> int:
    return sum(len(files) for _, _, files in os.walk(root))


def _write_json(path: Path, content: dict | list) -> None:
    path.write_text(json.dumps(content, separators=(',', ':')) + '\n')


# ---- COCO --------------------------------------------------------------------------------------


def polygons(mask: np.ndarray) -> list[list[float]]:
    """The outlines of a mask's pieces as COCO has them: [x, y, x, y, ...], holes filled."""
    fine = 4  # the outline follows the pixels' edges, not their centres
    enlarged = cv2.resize(mask.astype(np.uint8), None, fx=fine, fy=fine, interpolation=cv2.INTER_NEAREST)
    contours, _ = cv2.findContours(enlarged, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    outlines = (cv2.approxPolyDP(contour, 0.5 * fine, True)[:, 0] for contour in contours)
    return [((outline + 0.5) / fine).ravel().round(2).tolist() for outline in outlines if len(outline) >= 3]


def rle(mask: np.ndarray) -> dict:
    """A mask's uncompressed run lengths: counts of 0s and 1s in turn, column by column."""
    flat = np.concatenate([[False], mask.ravel(order='F')])
    changes = np.flatnonzero(flat[1:] != flat[:-1])
    counts = np.diff(np.concatenate([[0], changes, [mask.size]]))
    return {'counts': counts.tolist(), 'size': list(mask.shape)}


def _coco_record(instances: Sequence[Instance], number: int, height: int, width: int) -> dict:
    image = {
        'license': 1,
        'file_name': f'{number:012d}.jpg',
        'height': height,
        'width': width,
        'date_captured': '2017-09-01 00:00:00',
        'id': number,
    }
    annotations = []
    for instance in instances:
        if instance.crowd:
            segmentation, area = rle(instance.mask), int(np.count_nonzero(instance.mask))
            y, x = np.nonzero(instance.mask)
            low, high = (x.min(), y.min()), (x.max() + 1, y.max() + 1)
        else:
            segmentation = polygons(instance.mask)
            outlines = [np.reshape(outline, (-1, 2)) for outline in segmentation]
            area = round(sum(cv2.contourArea(o.astype(np.float32)) for o in outlines), 4)
            low, high = np.concatenate(outlines).min(0), np.concatenate(outlines).max(0)
        bbox = [round(float(v), 2) for v in (*low, *np.subtract(high, low))]
        annotation = {
            'segmentation': segmentation,
            'area': area,
            'iscrowd': int(instance.crowd),
            'image_id': number,
            'bbox': bbox,
            'category_id': COCO_IDS[instance.category],
        }
        if instance.category == 'person':
            keypoints = instance.keypoints
            if keypoints is None:
                keypoints = np.zeros((len(KEYPOINTS), 3), int)
            annotation['keypoints'] = keypoints.ravel().tolist()
            annotation['num_keypoints'] = int(np.count_nonzero(keypoints[:, 2]))
        annotations.append(annotation)
    return {'image': image, 'annotations': annotations}


def _thing_map(instances: Sequence[Instance], shape: tuple[int, int]) -> np.ndarray:
    """COCO-Stuff's map of a picture: an object's category less 1, and nothing (255) elsewhere."""
    labels = np.full(shape, 255, np.uint8)
    for instance in instances:
        labels[instance.mask] = COCO_IDS[instance.category] - 1
    return labels


def _write_person_detections(path: Path, records: list[dict], seed: int) -> None:
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
            detections.append(
                {
                    'image_id': image['id'],
                    'category_id': 1,
                    'bbox': [round(float(v), 2) for v in bbox],
                    'score': round(float(score), 4),
                }
            )
    _write_json(path, detections)


def _write_coco_annotations(folder: Path, by_split: dict[str, list[dict]]) -> None:
    info = {
        'description': 'Demo data of res2net_mm in the layout of COCO 2017',
        'version': '1.0',
        'url': '',
        'year': 2017,
        'contributor': 'res2net_mm',
        'date_created': '2017/09/01',
    }
    licenses = [{'id': 1, 'name': 'Apache License 2.0', 'url': 'http://www.apache.org/licenses/LICENSE-2.0'}]
    person = dict(COCO_CATEGORIES[0], keypoints=list(KEYPOINTS), skeleton=SKELETON)
    identity = 0
    for split in ('train', 'val'):
        images = [record['image'] for record in by_split[f'coco/{split}']]
        instances, people = [], []
        for record in by_split[f'coco/{split}']:
            for annotation in record['annotations']:
                identity += 1
                annotation['id'] = identity
                if 'keypoints' in annotation:
                    people.append(dict(annotation))
                    del annotation['keypoints'], annotation['num_keypoints']
                instances.append(annotation)
        for kind, categories, annotations in (
            ('instances', COCO_CATEGORIES, instances),
            ('person_keypoints', [person], people),
        ):
            _write_json(
                folder / f'{kind}_{split}2017.json',
                {
                    'info': info,
                    'licenses': licenses,
                    'images': images,
                    'annotations': annotations,
                    'categories': categories,
                },
            )


# ---- VOC ---------------------------------------------------------------------------------------


def voc_palette() -> list[int]:
    """VOC's 256 colours, [r, g, b, r, g, b, ...]: the bits of the index, dealt to the channels."""
    index, palette = np.arange(256), np.zeros((256, 3), int)
    for bit in range(8):
        palette[:, bit % 3] |= (index >> bit & 1) << (7 - bit // 3)
    return palette.ravel().tolist()


def _write_voc_image(
    root: Path, part: str, number: int, instances: Sequence[Instance], shape: tuple[int, int, int]
) -> dict:
    """Write a picture's XML and PNG files, return its name and its classes."""
    year = root.name
    name = f'{number:06d}' if year == 'VOC2007' else f'2012_{number:06d}'
    height, width, depth = shape
    classes, objects = np.zeros((height, width), np.uint8), np.zeros((height, width), np.uint8)
    void = np.zeros((height, width), bool)
    tree = ElementTree.Element('annotation')
    _xml(
        tree,
        {
            'folder': year,
            'filename': f'{name}.jpg',
            'source': {'database': 'res2net_mm demo data', 'annotation': year},
            'size': {'width': width, 'height': height, 'depth': depth},
            'segmented': int(part != 'aug'),
        },
    )
    present = {}
    for order, instance in enumerate(instances, 1):
        label = VOC_NAMES.get(instance.category, instance.category)
        classes[instance.mask] = VOC_CLASSES.index(label) + 1
        objects[instance.mask] = order
        border = cv2.morphologyEx(
            instance.mask.astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)
        )
        void |= border > 0
        difficult = int(np.count_nonzero(instance.mask) < VOC_DIFFICULT_AREA)
        present[label] = present.get(label, False) or not difficult
        y, x = np.nonzero(instance.mask)
        bndbox = {
            'xmin': x.min() + 1,
            'ymin': y.min() + 1,  # the first pixel is 1
            'xmax': x.max() + 1,
            'ymax': y.max() + 1,
        }
        _xml(
            tree,
            {
                'object': {
                    'name': label,
                    'pose': 'Unspecified',
                    'truncated': int(instance.truncated),
                    'difficult': difficult,
                    'bndbox': bndbox,
                }
            },
        )
    ElementTree.indent(tree, '\t')
    (root / 'Annotations' / f'{name}.xml').write_text(ElementTree.tostring(tree, encoding='unicode') + '\n')
    if year == 'VOC2012':
        # SBD's masks, as mmseg's voc_aug.py converts them, have neither void nor palette.
        Image.fromarray(classes).save(root / 'SegmentationClassAug' / f'{name}.png')
    if part != 'aug':
        for folder, labels in (('SegmentationClass', classes), ('SegmentationObject', objects)):
            labels[void] = VOC_VOID
            image = Image.fromarray(labels)
            image.putpalette(voc_palette())
            image.save(root / folder / f'{name}.png')
    return {'name': name, 'present': present}


def _xml(parent: ElementTree.Element, content: dict) -> None:
    """Append the content, nested as it is."""
    for tag, value in content.items():
        child = ElementTree.SubElement(parent, tag)
        if isinstance(value, dict):
            _xml(child, value)
        else:
            child.text = str(value)


def _write_voc_lists(folder: Path, year: str, by_split: dict[str, list[dict]]) -> None:
    """Write ImageSets: who is in which split, and for detection also with which classes."""
    records = {split.split('/')[1]: r for split, r in by_split.items() if split.startswith(year)}
    seg = dict(records)
    if 'aug' in records:
        seg['trainaug'] = records['train'] + records['aug']
        main = {'train': seg['trainaug'], 'val': records['val']}
    else:
        main = dict(records)
    for lists in (seg, main):
        lists['trainval'] = lists['train'] + lists['val']
    for split, members in seg.items():
        (folder / 'Segmentation' / f'{split}.txt').write_text(
            ''.join(f'{record["name"]}\n' for record in members)
        )
    for split, members in main.items():
        (folder / 'Main' / f'{split}.txt').write_text(''.join(f'{record["name"]}\n' for record in members))
        for label in VOC_CLASSES:
            # 1: present, 0: only difficult ones, -1: absent
            (folder / 'Main' / f'{label}_{split}.txt').write_text(
                ''.join(f'{record["name"]} {_presence(record, label):2d}\n' for record in members)
            )


def _presence(record: dict, label: str) -> int:
    return int(record['present'][label]) if label in record['present'] else -1


# ---- digits ------------------------------------------------------------------------------------


def _write_digits(root: Path, train: int, test: int) -> None:
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
            Image.fromarray(image.round().astype(np.uint8)).save(path)
