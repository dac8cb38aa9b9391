"""The data sets that the configs use: published archives and figures, and what is made from them."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from res2net_mm.files import replacing, write_text

from .imagenet import IMAGENET
from .prepare import Archive, Layout, Problem, Split, find, is_whole, loadmat, some

# ---- lists -------------------------------------------------------------------------------------


def lines(path: Path) -> set[str]:
    """The first words of a text file's lines."""
    return {line.split()[0] for line in path.read_text('utf-8').splitlines() if line.strip()}


def coco_images(path: Path) -> set[str]:
    """The images of a COCO annotation file, without suffix."""
    content = json.loads(path.read_bytes())
    if not isinstance(content, dict) or not {'images', 'annotations', 'categories'} <= set(content):
        raise ValueError('no COCO annotation file')
    return {Path(image['file_name']).stem for image in content['images']}


def person_boxes(path: Path) -> set[str]:
    """The images of a list of detections of persons (MMPose skips others), without suffix."""
    boxes = json.loads(path.read_bytes())
    if not isinstance(boxes, list) or not (boxes := [box for box in boxes if box['category_id'] == 1]):
        raise ValueError('no list of detections')
    for box in boxes:
        if len(box['bbox']) != 4 or not isinstance(box['score'], float | int):
            raise ValueError(f'no person with box and score: {box}')
    return {f'{box["image_id"]:012d}' for box in boxes}


def listed_images(path: Path) -> set[str]:
    """The names of a text file, which may have them with the suffix of an image or a mask."""
    return {name.removesuffix('.jpg').removesuffix('.png') for name in lines(path)}


def names_in(folders: tuple[str, str], path: Path) -> set[str]:
    """The names of images and masks in folders of a data set, such as 'images/{}.jpg'."""
    if not path.is_dir():
        raise FileNotFoundError(path)
    return set().union(*(find(path, files) for files in folders))


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
PERSONS = Archive(
    'COCO_val2017_detections_AP_H_56_person.json',
    'the release of SimpleBaseline or HRNet, https://github.com/leoxiaobin/deep-high-resolution-net.pytorch',
    folder='person_detection_results/',
)


def coco_part(part: str, count: int) -> tuple[Split, ...]:
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
        *coco_part('train2017', 118_287),
        *coco_part('val2017', 5_000),
        Split(
            PERSONS.folder + PERSONS.name, person_boxes, PERSONS, within='annotations/instances_val2017.json'
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


def voc07_part(part: str, count: int, segmented: int) -> tuple[Split, ...]:
    archive = Archive(f'VOC{part}_06-Nov-2007.tar', VOC_SITE, ('VOCdevkit/VOC2007/',), 'VOCdevkit/')
    files = {'VOC2007/JPEGImages/{}.jpg': archive, 'VOC2007/Annotations/{}.xml': archive}
    masks = {'VOC2007/SegmentationClass/{}.png': archive}
    return (
        Split(f'VOC2007/ImageSets/Main/{part}.txt', lines, archive, count, files),
        Split(f'VOC2007/ImageSets/Segmentation/{part}.txt', lines, archive, segmented, masks),
    )


def voc12_part(part: str, archive: Archive, count: int) -> Split:
    files = {'VOC2012/JPEGImages/{}.jpg': VOC12, 'VOC2012/SegmentationClassAug/{}.png': archive}
    if archive is VOC12:
        files['VOC2012/SegmentationClass/{}.png'] = VOC12
    return Split(f'VOC2012/ImageSets/Segmentation/{part}.txt', lines, archive, count, files)


def make_trainaug(layout: Layout, root: Path, again: set[Path], map: Callable) -> list[Problem]:
    """Make what ``SegmentationClassAug`` lacks, and the lists ``trainaug`` and ``aug``.

    A mask is VOC's own where there is one, else SBD's. None has a palette: cv2 would read its colors.
    """
    voc, sbd = root / 'VOC2012', root / SBD_FOLDER
    folder = voc / 'ImageSets' / 'Segmentation'
    try:
        train, val = lines(folder / 'train.txt'), lines(folder / 'val.txt')
        aug = (lines(sbd / 'train.txt') | lines(sbd / 'val.txt')) - train - val
    except (FileNotFoundError, ValueError):
        return []  # which the check reports
    (count,) = (split.count for split in layout.splits if Path(split.list).stem == 'trainaug')
    if len(train | aug) != count:
        text = f"{SBD_FOLDER}/*.txt with VOC's train and val make {len(train | aug):,} names, not {count:,}"
        return [Problem(text, SBD, damaged=True)]
    sources = {name: voc / f'SegmentationClass/{name}.png' for name in train | val}
    sources |= {name: sbd / f'cls/{name}.mat' for name in aug}
    masks = [(source, voc / f'SegmentationClassAug/{name}.png') for name, source in sorted(sources.items())]
    jobs = [(source, to) for source, to in masks if source.is_file() and (to in again or not to.is_file())]
    damaged = [name for name in map(make_mask, jobs, 'SegmentationClassAug') if name]
    for name, names in (('trainaug', train | aug), ('aug', aug)):
        text = ''.join(f'{name}\n' for name in sorted(names))
        path = folder / f'{name}.txt'
        if not path.is_file() or path.read_text('utf-8') != text:
            write_text(path, text)
    text = f'{SBD_FOLDER}/cls/*.mat: {len(damaged):,} damaged, to be deleted: {some(damaged)}'
    return [Problem(text, SBD, damaged=True)] if damaged else []


def make_mask(job: tuple[Path, Path]) -> str | None:
    """Write a mask without its palette; return its name if SBD's file is damaged."""
    source, to = job
    if source.suffix == '.mat':
        try:
            mask = loadmat(source)['GTcls'][0]['Segmentation'][0].astype(np.uint8)
        except (ValueError, LookupError):
            return source.stem
    elif is_whole(source):
        with Image.open(source) as image:
            mask = np.asarray(image)
    else:
        return None  # which the check reports
    with replacing(to) as part:
        Image.fromarray(mask).save(part, 'PNG')


VOC07 = Layout(
    'voc07',
    'data/VOCdevkit',
    (*voc07_part('trainval', 5_011, 422), *voc07_part('test', 4_952, 210)),
    exact=('VOC2007/JPEGImages/{}.jpg', 'VOC2007/Annotations/{}.xml'),
)
VOC12AUG = Layout(
    'voc12aug',
    'data/VOCdevkit',
    (
        voc12_part('train', VOC12, 1_464),
        voc12_part('val', VOC12, 1_449),
        Split('VOC2012/ImageSets/Segmentation/trainval.txt', lines, VOC12, 2_913),
        voc12_part('aug', SBD, 9_118),
        Split('VOC2012/ImageSets/Segmentation/trainaug.txt', lines, SBD, 10_582),
    ),
    convert=make_trainaug,
)

# ---- CIFAR-100 ---------------------------------------------------------------------------------

CIFAR_SITE = 'the CIFAR web site, https://www.cs.toronto.edu/~kriz/cifar.html'
CIFAR_FILES = {
    'cifar-100-python/train': 50_000,
    'cifar-100-python/test': 10_000,
    'cifar-100-python/meta': 100,
}
CIFAR = Archive('cifar-100-python.tar.gz', CIFAR_SITE, tuple(CIFAR_FILES))


def published(count: int, path: Path) -> set[str]:
    """The numbers of what a file of CIFAR-100 holds, which is known from its being the published one.

    It is a pickle. MMPretrain unpickles it after the same comparison; here nothing is unpickled.
    """
    from torchvision.datasets import CIFAR100
    from torchvision.datasets.utils import calculate_md5

    found = calculate_md5(path)
    md5 = dict([*CIFAR100.train_list, *CIFAR100.test_list, ('meta', CIFAR100.meta['md5'])])[path.name]
    if found != md5:
        raise ValueError(f"not the published file: its MD5 is {found}, the published one's {md5}")
    return set(map(str, range(count)))


CIFAR100 = Layout(
    'cifar100',
    'data/cifar100',
    tuple(Split(name, partial(published, count), CIFAR, count) for name, count in CIFAR_FILES.items()),
    configs='cifar100/r2nx29_6c24w4s_{}.py',
)

# ---- salient objects ---------------------------------------------------------------------------

MSRA_B = Archive('MSRA-B.zip', "MSRA10K's web site, https://mmcheng.net/msra10k/", ('MSRA-B/',))


def msra_part(part: str, count: int, optional: str = '') -> Split:
    """A part of MSRA-B, by a list whose published name isn't certain."""
    name = f'MSRA-B/{part}.txt'
    source = f'DRFI (Jiang et al., CVPR 2013), where it may have another name: {count:,} images, one a line'
    files = {'MSRA-B/{}.jpg': MSRA_B, 'MSRA-B/{}.png': MSRA_B}
    return Split(name, listed_images, Archive(name, source, optional=optional), count, files)


def saliency_set(name: str, count: int, images: str, masks: str, *archives: Archive) -> Split:
    """A data set without a list: each image has a mask of its name."""
    files = {f'{name}/{images}': archives[0], f'{name}/{masks}': archives[-1]}
    return Split(name, partial(names_in, (images, masks)), archives[0], count, files)


ECSSD_SITE = "ECSSD's web site, https://www.cse.cuhk.edu.hk/leojia/projects/hsaliency/dataset.html"
OMRON_SITE = "DUT-OMRON's web site, http://saliencydetection.net/dut-omron/"
SALIENCY = Layout(
    'saliency',
    'data/saliency',
    (
        msra_part('train', 2_500),
        msra_part('val', 500),
        msra_part('test', 2_000, optional='testing on MSRA-B, which no config does'),
        saliency_set(
            'ECSSD',
            1_000,
            'images/{}.jpg',
            'ground_truth_mask/{}.png',
            Archive('images.zip', ECSSD_SITE, ('images/',), folder='ECSSD/'),
            Archive('ground_truth_mask.zip', ECSSD_SITE, ('ground_truth_mask/',), folder='ECSSD/'),
        ),
        saliency_set(
            'PASCAL-S',
            850,
            'datasets/imgs/pascal/{}.jpg',
            'datasets/masks/pascal/{}.png',
            Archive(
                'salObj.zip',
                "PASCAL-S's web site, http://cbs.ic.gatech.edu/salobj/",
                ('datasets/imgs/pascal/', 'datasets/masks/pascal/'),
                folder='PASCAL-S/',
            ),
        ),
        saliency_set(
            'HKU-IS',
            4_447,
            'imgs/{}.png',
            'gt/{}.png',
            Archive('HKU-IS.rar', "HKU-IS's web site, https://i.cs.hku.hk/~gbli/deep_saliency.html", ()),
        ),
        saliency_set(
            'DUT-OMRON',
            5_168,
            'DUT-OMRON-image/{}.jpg',
            'pixelwiseGT-new-PNG/{}.png',
            Archive('DUT-OMRON-image.zip', OMRON_SITE, ('DUT-OMRON-image/',), folder='DUT-OMRON/'),
            Archive(
                'DUT-OMRON-gt-pixelwise.zip.zip', OMRON_SITE, ('pixelwiseGT-new-PNG/',), folder='DUT-OMRON/'
            ),
        ),
    ),
    configs='dss_r2n50_msrab.py',
)
LAYOUTS = {layout.name: layout for layout in (COCO, VOC07, VOC12AUG, IMAGENET, CIFAR100, SALIENCY)}
