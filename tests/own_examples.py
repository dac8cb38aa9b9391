"""The folders of docs/own_data.md's examples, by method."""

from pathlib import Path

import own_folders as folders

SIZE = 640, 480


def names(count, ending='.jpg'):
    return [f'{i:03}{ending}' for i in range(count)]


def pets(root: Path) -> None:
    for i, name in enumerate(names(60)):
        folders.picture(root / name, SIZE)
        folders.voc(root / name.replace('.jpg', '.xml'), ('cat', 'dog')[i % 2], name)


def cells(root: Path) -> None:
    for name in names(40, '.png'):
        folders.picture(root / 'images' / name, (512, 512))
    folders.coco(
        root / 'annotations/instances_default.json',
        names(40, '.png'),
        ('cell', 'nucleus'),
        True,
        size=(512, 512),
    )


def cats(root: Path) -> None:
    points = ['nose', 'left_ear', 'right_ear', 'left_paw', 'right_paw', 'tail']
    for split, count in dict(train=40, valid=10, test=5).items():
        for name in names(count):
            folders.picture(root / split / name, SIZE)
        folders.coco(
            root / split / '_annotations.coco.json', names(count), ('cat',), points=points, size=SIZE
        )


def roads(root: Path) -> None:
    for split, count in dict(train=30, val=10).items():
        for i, name in enumerate(names(count)):
            folders.picture(root / 'images' / split / name, SIZE)
            mask = root / 'masks' / split / name.replace('.jpg', '.png')
            folders.mask(mask, [0, 1, 2, 255] if i % 3 else [0, 1], SIZE)
    folders.write(root / 'classes.txt', 'background\nroad\ncar\n')


def leaves(root: Path) -> None:
    for name in names(50):
        folders.picture(root / name, (400, 300))
        folders.mask(root / name.replace('.jpg', '.png'), [0, 255], (400, 300))


def flowers(root: Path) -> None:
    for split, count in dict(train=20, test=5).items():
        for name in ('daisy', 'rose', 'tulip'):
            for i in range(count):
                folders.picture(root / split / name / f'{i}.jpg', (320, 240))
    folders.write(root / 'train/rose/broken.jpg', '')


EXAMPLES = dict(
    faster_rcnn=pets, mask_rcnn=cells, simplebaseline=cats, deeplabv3plus=roads, dss=leaves, classify=flowers
)
