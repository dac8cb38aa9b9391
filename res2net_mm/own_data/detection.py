"""What the configs of detectors and key points state, and the annotations that they read."""

import json
import re
from pathlib import Path

from .configs import PIPELINES, by_epochs, classes, learning_rate, loaders, sides
from .data import Data
from .folder import Picture

COCO_POINTS = """nose left_eye right_eye left_ear right_ear left_shoulder right_shoulder left_elbow
    right_elbow left_wrist right_wrist left_hip right_hip left_knee right_knee left_ankle right_ankle"""
COCO_POINTS = COCO_POINTS.split()
OTHER = dict(left='right', Left='Right', LEFT='RIGHT', l='r', L='R')
OTHER |= {right: left for left, right in OTHER.items()}


def annotations(data: Data, folder: Path, files: Path, metainfo: bool) -> tuple[dict, str]:
    """Data sets and evaluators of each split's COCO JSON, which is written unless it can be read as it is."""
    datasets, evaluators, root = {}, '\n', data.folder.root
    for split, pictures in data.splits.items():
        source = pictures[0].source
        own = [picture for picture in data.pictures.values() if picture.source == source]
        prefix = data.prefix.get(source)
        if prefix is not None and own == pictures:
            file = root / source
        else:
            file, prefix = folder / f'{split}.json', ''
            (files / file.name).write_text(json.dumps(coco_json(data, pictures)), 'utf-8')
        annotated = f'ann_file={file.as_posix()!r}'
        images = f'data_prefix=dict(img={(root / prefix).as_posix() + "/"!r})'
        datasets[split] = ["data_root=''", *['metainfo=metainfo'] * metainfo, annotated, images]
        if split != 'train':
            evaluators += f'{split}_evaluator = dict({annotated})\n'
    return datasets, evaluators + ('' if 'test' in datasets else 'test_evaluator = val_evaluator\n')


def coco_json(data: Data, pictures: list[Picture]) -> dict:
    """Some pictures' objects as COCO has them."""
    numbers = {name: number for number, name in enumerate(data.classes, 1)}
    points = {key: data.points.get(key) or [] for key in ('keypoints', 'skeleton')} if data.points else {}
    images, items = [], []
    for i, picture in enumerate(pictures, 1):
        width, height = picture.size
        images.append(dict(id=i, file_name=picture.file.as_posix(), width=width, height=height))
        for name, item in zip(picture.classes, picture.objects):
            entry = dict(id=len(items) + 1, image_id=i, category_id=numbers[name])
            items.append(entry | dict(area=item['bbox'][2] * item['bbox'][3], iscrowd=0) | item)
    categories = [dict(id=number, name=name, **points) for name, number in numbers.items()]
    return dict(images=images, annotations=items, categories=categories)


def detector(data: Data, method: str, backbone: str, folder: Path, files: Path) -> str:
    """Faster R-CNN and Mask R-CNN."""
    datasets, evaluators = annotations(data, folder, files, True)
    short, long = (2 * side for side in sides(data))
    resize = ''
    if long < 1333 and short < 800:
        for split, lines in datasets.items():
            lines.append(f'pipeline={"train" if split == "train" else "test"}_pipeline')
        resize = f"""
# Sides of at most twice those of the images, instead of 1333 and 800.
{PIPELINES}train_pipeline[2].scale = test_pipeline[1].scale = ({long}, {short})
"""
    if min(min(picture.size) for picture in data.splits['train']) < 32:
        datasets['train'].append('filter_cfg=dict(min_size=1)')  # the shipped ones leave out what is below 32
    number = f'dict(num_classes={len(data.classes)})'
    heads = f'bbox_head={number}' + f', mask_head={number}' * (method == 'mask_rcnn')
    labeled = sum(bool(picture.classes) for picture in data.splits['train'])
    return (
        classes(data) + resize + loaders(datasets, 2) + evaluators
        + '\n# As many outputs as classes, in every head.\n'
        + f'model = dict(roi_head=dict({heads}))\n'
        + by_epochs(labeled, 2, 4000, 12, 100) + learning_rate(0.02, 16, 2)
    )  # fmt: skip


POINTS = """
# swap: the point that a mirrored image shows there. sigmas: how far off a point may be, as a share of the
# object's size, in the metric; COCO has 0.025 (eyes) to 0.107 (hips).
metainfo = dict(
    dataset_name={name!r},
    keypoint_info={{
{points}    }},
    skeleton_info={{
{links}    }},
    joint_weights=[1.0] * {count},
    sigmas=[0.05] * {count},
)
model = dict(head=dict(out_channels={count}))
"""


def key_points(data: Data, method: str, backbone: str, folder: Path, files: Path) -> str:
    """SimpleBaseline; of points that aren't COCO's, the names, pairs and links, too."""
    names, text = data.points['keypoints'], ''
    if names != COCO_POINTS:
        known = {*range(1, len(names) + 1)}
        pairs = [(a, b) for a, b in data.points.get('skeleton') or [] if {a, b} <= known]
        points = [dict(name=name, swap=swap(name, names)) for name in names]
        links = [dict(link=(names[a - 1], names[b - 1])) for a, b in pairs]
        text = POINTS.format(
            name=folder.name, count=len(names),
            points=''.join(f'        {i}: {point},\n' for i, point in enumerate(points)),
            links=''.join(f'        {i}: {link},\n' for i, link in enumerate(links)),
        )  # fmt: skip
    datasets, evaluators = annotations(data, folder, files, bool(text))
    for split in {*datasets} - {'train'}:
        datasets[split].append('bbox_file=None')
    objects = sum(len(picture.objects) for picture in data.splits['train'])
    return (
        text + "\n# bbox_file=None: tested in the annotations' boxes, not in a detector's."
        + loaders(datasets, 32) + evaluators
        + by_epochs(objects, 32, 5000, 20, 140) + learning_rate(0.001, 128, 32)
    )  # fmt: skip


def swap(name: str, names: list[str]) -> str:
    """The key point of the other side, by its name; empty if there is none."""
    sides = r'left|right|(?<![a-z])[lr](?![a-z])'
    other = re.sub(sides, lambda match: OTHER.get(match[0], match[0]), name, flags=re.IGNORECASE)
    return other if other in names and other != name else ''
