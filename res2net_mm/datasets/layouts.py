"""The data sets that the configs use: published archives and figures, and what is made from them."""

import functools
import hashlib
import importlib.util
import json
import os
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from ..errors import UserError
from ..files import replacing
from .imagenet import IMAGENET
from .prepare import Archive, Layout, Problem, Split, is_whole, some
from .workers import Workers

# ---- lists -------------------------------------------------------------------------------------


def lines(path: Path) -> set[str]:
    """The first words of a text file's lines."""
    return {line.split()[0] for line in path.read_text().splitlines() if line.strip()}


def coco_images(path: Path) -> set[str]:
    """The images of a COCO annotation file, without suffix."""
    content = json.loads(path.read_bytes())
    if not isinstance(content, dict) or not {'images', 'annotations', 'categories'} <= set(content):
        raise ValueError('no COCO annotation file')
    return {Path(image['file_name']).stem for image in content['images']}


def coco_person_boxes(path: Path) -> set[str]:
    """The images of a list of detections of persons (MMPose skips others), without suffix."""
    boxes = json.loads(path.read_bytes())
    if not isinstance(boxes, list) or not (boxes := [box for box in boxes if box['category_id'] == 1]):
        raise ValueError('no list of detections')
    for box in boxes:
        if len(box['bbox']) != 4 or not isinstance(box['score'], float | int):
            raise ValueError(f'no person with box and score: {box}')
    return {f'{box["image_id"]:012d}' for box in boxes}


# ---- COCO 2017 ---------------------------------------------------------------------------------

COCO_SITE = 'the COCO web site, https://cocodataset.org/#download'
COCO_ANNOTATIONS = Archive('annotations_trainval2017.zip', COCO_SITE, ('annotations/',))
COCO_STUFF = Archive(
    'stuffthingmaps_trainval2017.zip',
    'the COCO-Stuff release, https://github.com/nightrome/cocostuff',
    ('train2017/', 'val2017/'),
    folder='stuffthingmaps/',
    optional='HTC',
)
COCO_PERSONS = Archive(
    'COCO_val2017_detections_AP_H_56_person.json',
    'the release of SimpleBaseline or HRNet, https://github.com/leoxiaobin/deep-high-resolution-net.pytorch',
    folder='person_detection_results/',
)


def _coco(part: str, count: int) -> tuple[Split, ...]:
    images = Archive(f'{part}.zip', COCO_SITE, (f'{part}/',))
    files = {f'{part}/{{}}.jpg': images, f'stuffthingmaps/{part}/{{}}.png': COCO_STUFF}
    return (
        Split(f'annotations/instances_{part}.json', coco_images, COCO_ANNOTATIONS, count, files),
        Split(f'annotations/person_keypoints_{part}.json', coco_images, COCO_ANNOTATIONS, count),
    )


COCO = Layout(
    'coco',
    'data/coco',
    (
        *_coco('train2017', 118_287),
        *_coco('val2017', 5_000),
        Split(
            COCO_PERSONS.folder + COCO_PERSONS.name,
            coco_person_boxes,
            COCO_PERSONS,
            within='annotations/instances_val2017.json',
        ),
    ),
    exact=('train2017/{}.jpg', 'val2017/{}.jpg'),
)

# ---- PASCAL VOC --------------------------------------------------------------------------------

VOC_SITE = 'the PASCAL VOC web site, http://host.robots.ox.ac.uk/pascal/VOC/'
VOC12 = Archive('VOCtrainval_11-May-2012.tar', VOC_SITE, ('VOCdevkit/VOC2012/',), 'VOCdevkit/')
SBD_FOLDER = 'benchmark_RELEASE/dataset'
SBD = Archive(
    'benchmark.tgz',
    "SBD (Hariharan et al., 'Semantic contours from inverse detectors')",
    tuple(f'{SBD_FOLDER}/{member}' for member in ('cls/', 'train.txt', 'val.txt')),
)


def _voc07(part: str, count: int, segmented: int) -> tuple[Split, ...]:
    archive = Archive(f'VOC{part}_06-Nov-2007.tar', VOC_SITE, ('VOCdevkit/VOC2007/',), 'VOCdevkit/')
    files = {'VOC2007/JPEGImages/{}.jpg': archive, 'VOC2007/Annotations/{}.xml': archive}
    masks = {'VOC2007/SegmentationClass/{}.png': archive}
    return (
        Split(f'VOC2007/ImageSets/Main/{part}.txt', lines, archive, count, files),
        Split(f'VOC2007/ImageSets/Segmentation/{part}.txt', lines, archive, segmented, masks),
    )


def _voc12(part: str, archive: Archive, count: int) -> Split:
    files = {'VOC2012/JPEGImages/{}.jpg': VOC12, 'VOC2012/SegmentationClassAug/{}.png': archive}
    if archive is VOC12:
        files['VOC2012/SegmentationClass/{}.png'] = VOC12
    return Split(f'VOC2012/ImageSets/Segmentation/{part}.txt', lines, archive, count, files)


def make_trainaug(layout: Layout, root: Path, again: set[Path], workers: Workers) -> list[Problem]:
    """Make what ``SegmentationClassAug`` lacks, and the lists ``trainaug`` and ``aug``.

    A mask is VOC's own where there is one, else SBD's. None has a palette: cv2 would read its colours.
    """
    voc, sbd = root / 'VOC2012', root / SBD_FOLDER
    lists = voc / 'ImageSets' / 'Segmentation'
    try:
        train, val = lines(lists / 'train.txt'), lines(lists / 'val.txt')
        aug = (lines(sbd / 'train.txt') | lines(sbd / 'val.txt')) - train - val
    except (FileNotFoundError, ValueError):
        return []  # which the check reports
    trainaug = train | aug
    (count,) = (split.count for split in layout.splits if Path(split.list).stem == 'trainaug')
    if len(trainaug) != count:
        text = f"{SBD_FOLDER}/*.txt with VOC's train and val make {len(trainaug):,} names, not {count:,}"
        return [Problem(text, SBD, damaged=True)]
    sources = {name: voc / f'SegmentationClass/{name}.png' for name in train | val}
    sources |= {name: sbd / f'cls/{name}.mat' for name in aug}
    masks = {voc / f'SegmentationClassAug/{name}.png': source for name, source in sorted(sources.items())}
    jobs = [(source, to) for to, source in masks.items() if to in again or not to.is_file()]
    damaged = workers.run(_make_masks, [job for job in jobs if job[0].is_file()], 'SegmentationClassAug')
    for path, names in ((lists / 'trainaug.txt', trainaug), (lists / 'aug.txt', aug)):
        text = ''.join(f'{name}\n' for name in sorted(names)).encode()
        if not path.is_file() or path.read_bytes() != text:
            with replacing(path) as part:
                part.write_bytes(text)
    if not damaged:
        return []
    text = f'{SBD_FOLDER}/cls/*.mat: {len(damaged):,} damaged, to be deleted: {some(damaged)}'
    return [Problem(text, SBD, damaged=True)]


def _make_masks(jobs: list[tuple[Path, Path]]) -> list[str]:
    damaged, folder = [], jobs[0][1].parent
    folder.mkdir(exist_ok=True)
    # mmseg's converter writes in place: what it leaves when it is interrupted would look whole.
    with tempfile.TemporaryDirectory(prefix='.', suffix='.part', dir=folder) as part:
        for source, to in jobs:
            if source.suffix == '.mat':
                convert = _voc_aug().convert_mat
                try:
                    convert(source.name, str(source.parent), part)
                except Exception as error:  # of a broken file scipy's reader raises all kinds
                    if isinstance(error, OSError) and error.errno:
                        raise
                    damaged.append(source.stem)
                    continue
            elif is_whole(source):
                with Image.open(source) as image:
                    Image.fromarray(np.asarray(image)).save(Path(part, to.name))
            else:
                continue  # which the check reports
            os.replace(Path(part, to.name), to)
    return damaged


@functools.cache
def _voc_aug():
    """The converter of SBD's masks that mmseg's wheels hold beside the code."""
    package = importlib.util.find_spec('mmseg')
    path = Path(package.origin).with_name('.mim') / 'tools/dataset_converters/voc_aug.py' if package else None
    if path is None or not path.is_file():
        raise UserError(
            f"SBD's masks are converted by mmseg's own converter, which isn't there: {path or 'no mmseg'}. "
            'Install mmseg from a wheel (onedl-mmsegmentation), not from a source tree'
        )
    spec = importlib.util.spec_from_file_location('voc_aug', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


VOC07 = Layout(
    'voc07',
    'data/VOCdevkit',
    (*_voc07('trainval', 5_011, 422), *_voc07('test', 4_952, 210)),
    exact=('VOC2007/JPEGImages/{}.jpg', 'VOC2007/Annotations/{}.xml'),
)
VOC12AUG = Layout(
    'voc12aug',
    'data/VOCdevkit',
    (
        _voc12('train', VOC12, 1_464),
        _voc12('val', VOC12, 1_449),
        _voc12('trainval', VOC12, 2_913),
        _voc12('aug', SBD, 9_118),
        Split('VOC2012/ImageSets/Segmentation/trainaug.txt', lines, SBD, 10_582),
    ),
    convert=make_trainaug,
)

# ---- CIFAR-100 ---------------------------------------------------------------------------------

CIFAR_FOLDER = 'cifar-100-python'
CIFAR = Archive(
    f'{CIFAR_FOLDER}.tar.gz',
    'the CIFAR web site, https://www.cs.toronto.edu/~kriz/cifar.html',
    tuple(f'{CIFAR_FOLDER}/{member}' for member in ('train', 'test', 'meta')),
)


def published(md5: str, count: int, path: Path) -> set[str]:
    """The numbers of what a file holds, which is known from its being the published one.

    CIFAR's files are pickles. MMPretrain unpickles them after the same comparison; here nothing is unpickled.
    """
    digest = hashlib.md5(usedforsecurity=False)
    with open(path, 'rb') as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    if (found := digest.hexdigest()) != md5:
        raise ValueError(f"not the published file: its MD5 is {found}, the published one's {md5}")
    return set(map(str, range(count)))


def _cifar(part: str, count: int, md5: str) -> Split:
    return Split(f'{CIFAR_FOLDER}/{part}', functools.partial(published, md5, count), CIFAR, count)


CIFAR100 = Layout(
    'cifar100',
    'data/cifar100',
    (
        _cifar('train', 50_000, '16019d7e3df5f24257cddd939b257f8d'),
        _cifar('test', 10_000, 'f0ef6b0ae62326f3e7ffdfab6717acfc'),
        _cifar('meta', 100, '7973b15100ade9c7d40fb424638fde48'),
    ),
    configs='cifar100/r2nx29_6c24w4s_{}.py',
)
LAYOUTS = {layout.name: layout for layout in (COCO, VOC07, VOC12AUG, IMAGENET, CIFAR100)}
