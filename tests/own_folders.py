"""Small folders of labeled pictures, in every format and layout that own_data.py knows."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

BOX = 10, 6, 20, 16  # x, y, width, height
SIZE = 64, 48
POINTS = ['left_ear', 'right_ear', 'tail']


def picture(path: Path, size=SIZE, seed=0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
    Image.fromarray(pixels).save(path, **({'format': 'JPEG'} if path.suffix.lower() == '.jpg' else {}))
    return path


def mask(path: Path, values, size=SIZE, mode='L', palette=None) -> Path:
    """A mask of vertical stripes of these values."""
    path.parent.mkdir(parents=True, exist_ok=True)
    stripes = np.array(values)[np.arange(size[0]) * len(values) // size[0]]
    image = Image.fromarray(
        np.repeat(stripes[None], size[1], 0).astype(np.uint8), mode if mode != 'P' else 'L'
    )
    if palette:
        image = image.convert('P')
        image.putdata([int(v) for v in np.repeat(stripes[None], size[1], 0).ravel()])
        image.putpalette(palette + [0] * (768 - len(palette)))
    image.save(path)
    return path


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding='utf-8')
    return path


def coco(
    file: Path, names, classes=('cat', 'dog'), outlines=False, points=None, first=3, drop=(), size=SIZE
) -> Path:
    """COCO's JSON with an object of each class, in turn, in the images of these names."""
    x, y, width, height = BOX
    categories = [dict(id=first + i, name=name) for i, name in enumerate(classes)]
    if points:
        categories[0].update(keypoints=points, skeleton=[[1, 2], [2, 3], [3, 9]])  # the last of no point
    annotations = []
    for i, _ in enumerate(names):
        item = dict(
            id=i + 1, image_id=i + 1, category_id=first + i % len(classes), bbox=[*BOX], area=320, iscrowd=0
        )
        if outlines:
            item['segmentation'] = [[x, y, x + width, y, x + width, y + height, x, y + height]]
        if points:
            item |= dict(
                keypoints=[15, 10, 2, 20, 12, 2, 25, 16, 1] * (len(points) // 3), num_keypoints=len(points)
            )
        annotations.append({key: value for key, value in item.items() if key not in drop})
    images = [dict(id=i + 1, file_name=name, width=size[0], height=size[1]) for i, name in enumerate(names)]
    return write(file, json.dumps(dict(images=images, annotations=annotations, categories=categories)))


def voc(file: Path, name='cat', filename='', box=BOX, difficult=0) -> Path:
    x, y, width, height = box
    corners = f'<xmin>{x}</xmin><ymin>{y}</ymin><xmax>{x + width}</xmax><ymax>{y + height}</ymax>'
    return write(
        file,
        f'<annotation><filename>{filename}</filename><object><name>{name}</name><difficult>{difficult}</difficult>'
        f'<bndbox>{corners}</bndbox></object></annotation>',
    )


def yolo(file: Path, number=0, outline=False) -> Path:
    x, y, width, height = BOX
    w, h = SIZE
    if outline:
        corners = x, y, x + width, y, x + width, y + height, x, y + height
        shares = [value / SIZE[i % 2] for i, value in enumerate(corners)]
    else:
        shares = [(x + width / 2) / w, (y + height / 2) / h, width / w, height / h]
    return write(file, ' '.join(map(str, [number, *shares])) + '\n')


# ---- whole folders: each returns how many pictures there are of train, val, test -------------------


def coco_layout(root, **more):
    for split, count in dict(train2017=3, val2017=2).items():
        for i in range(count):
            picture(root / split / f'{i}.jpg')  # the same names in both
        coco(root / f'annotations/instances_{split}.json', [f'{i}.jpg' for i in range(count)], **more)
    return 3, 2, 0


def coco_outlines(root):
    return coco_layout(root, outlines=True)


def coco_with_points(root):
    coco_outlines(root)
    for split in ('train2017', 'val2017'):
        coco(
            root / f'annotations/person_keypoints_{split}.json', ['0.jpg', '1.jpg'], ('person',), True, POINTS
        )
    return 3, 2, 0


def roboflow_coco(root, **more):
    for split, count in dict(train=3, valid=2, test=1).items():
        names = [f'{i}_jpg.rf.0a1b.jpg' for i in range(count)]
        for name in names:
            picture(root / split / name)
        coco(root / split / '_annotations.coco.json', names, **more)
    return 3, 2, 1


def cvat_coco(root, **more):
    names = [f'day {i % 2}/{i}.png' for i in range(10)]
    for name in names:
        picture(root / 'images' / name)
    coco(root / 'annotations/instances_default.json', names, **more)
    return None


def cvat_outlines(root):
    return cvat_coco(root, outlines=True)


def voc_layout(root):
    for i in range(6):
        picture(root / f'JPEGImages/{i}.jpg')
        voc(root / f'Annotations/{i}.xml', ('dog', 'cat')[i % 2], f'{i}.jpg')
        mask(root / f'SegmentationClass/{i}.png', [0, 1, 255], palette=[0, 0, 0, 128, 0, 0])
        mask(root / f'SegmentationObject/{i}.png', [0, 1, 255], palette=[0, 0, 0, 128, 0, 0])
    for task in ('Main', 'Segmentation'):
        for split, names in dict(
            train='0\n1\n2\n', val='3\n4\n', trainval='0\n1\n2\n3\n4\n', test='5\n'
        ).items():
            write(root / f'ImageSets/{task}/{split}.txt', names)
    return 3, 2, 1


def labelimg(root):
    for i in range(10):
        picture(root / f'a {i}.JPG')
        voc(root / f'a {i}.xml', ('dog', 'cat')[i % 2], f'C:\\elsewhere\\a {i}.JPG')
    return None


def yolo_layout(root, outline=False):
    for split, count in dict(train=3, val=2).items():
        for i in range(count):
            picture(root / f'images/{split}/{i}.jpg')
            yolo(root / f'labels/{split}/{i}.txt', i % 2, outline)
    write(root / 'data.yaml', 'train: images/train\nval: images/val\nnames:\n  0: cat\n  1: dog\n')
    return 3, 2, 0


def yolo_outlines(root):
    return yolo_layout(root, True)


def roboflow_yolo(root):
    for split, count in dict(train=3, valid=2, test=1).items():
        for i in range(count):
            picture(root / split / f'images/{i}.jpg')
            yolo(root / split / f'labels/{i}.txt', i % 2)
    write(root / 'data.yaml', "nc: 2\nnames: ['cat', 'dog']\n")
    write(root / 'README.roboflow.txt', 'made in 2024\n')
    return 3, 2, 1


def cvat_yolo(root):
    for i in range(10):
        picture(root / f'obj_train_data/{i}.png')
        yolo(root / f'obj_train_data/{i}.txt', i % 2)
    write(root / 'obj.names', 'cat\ndog\n')
    write(root / 'obj.data', 'classes = 2\n')
    write(root / 'train.txt', ''.join(f'data/obj_train_data/{i}.png\n' for i in range(10)))
    return None


def labelimg_yolo(root):
    for i in range(10):
        picture(root / f'{i}.jpg')
        yolo(root / f'{i}.txt', i % 2)
    write(root / 'classes.txt', 'cat\ndog\n')
    return None


def masks_layout(root):
    for split, count in dict(train=3, val=2).items():
        for i in range(count):
            picture(root / f'images/{split}/{i}.jpg')
            mask(root / f'masks/{split}/{i}.png', [0, 1, 2, 255])
    return 3, 2, 0


def masks_in_splits(root):
    for split, count in dict(train=3, val=2, test=1).items():
        for i in range(count):
            picture(root / split / f'images/{i}.png')
            mask(root / split / f'masks/{i}.png', [0, 1, 2], palette=[0, 0, 0, 9, 9, 9, 200, 0, 0])
    return 3, 2, 1


def roboflow_masks(root):
    for split, count in dict(train=3, valid=2).items():
        for i in range(count):
            picture(root / split / f'{i}_jpg.rf.0a1b.jpg')
            mask(root / split / f'{i}_jpg.rf.0a1b_mask.png', [0, 1, 2])
        write(root / split / '_classes.csv', 'Pixel Value, Class\n0, background\n1, cat\n2, dog\n')
    return 3, 2, 0


def cvat_masks(root):
    for i in range(10):
        picture(root / f'JPEGImages/{i}.jpg')
        mask(root / f'SegmentationClass/{i}.png', [[0, 0, 0], [250, 50, 83], [51, 221, 255]], mode='RGB')
        mask(root / f'SegmentationObject/{i}.png', [[0, 0, 0], [9, 50, 83], [51, 221, 255]], mode='RGB')
    write(root / 'ImageSets/Segmentation/default.txt', ''.join(f'{i}\n' for i in range(10)))
    write(
        root / 'labelmap.txt',
        '# label:color_rgb:parts:actions\nbackground:0,0,0::\ncat:250,50,83::\ndog:51,221,255::\n',
    )
    return None


def mixed_masks(root):
    for i in range(10):
        picture(root / f'images/{i}{(".JPG", ".png")[i % 2]}')
        mask(root / f'masks/{i}.png', [0, 200, 255 if i % 3 else 0])
    return None


def binary_masks(root):
    for i in range(10):
        picture(root / f'images/{i}.jpg')
        mask(root / f'masks/{i}.png', [0, 255])
    return None


def msra(root):
    for i in range(10):
        picture(root / f'{i}.jpg')
        mask(root / f'{i}.png', [0, 1])
    return None


def class_folders(root):
    for name in ('cat', "dog's"):
        for i in range(5):
            picture(root / name / f'{i}.jpg', seed=i)
    return None


def class_splits(root):
    for split, count in dict(train=3, val=2).items():
        for name in ('with_mask', 'without_mask'):
            for i in range(count):
                picture(root / split / name / f'deep/{i}.JPG')
    return 6, 4, 0


def class_train_test(root):
    for split, count in dict(train=5, test=2).items():
        for name in 'abcde':
            for i in range(count):
                picture(root / split / name / f'{i}.png', (32, 32))
    return 18, 7, 10  # two images of a and of c, by their hash


def points(root):
    for split, count in dict(train=3, valid=2).items():
        for i in range(count):
            picture(root / split / f'{i}.jpg')
        names = [f'{i}.jpg' for i in range(count)]
        coco(root / split / '_annotations.coco.json', names, ('cat',), points=POINTS, drop=('num_keypoints',))
    return 3, 2, 0
