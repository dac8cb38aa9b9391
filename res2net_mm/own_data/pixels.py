"""What the configs of segmentation, saliency and classification state, and what they read."""

from collections import defaultdict
from pathlib import Path

import numpy as np
from PIL import Image

from .configs import PIPELINES, Name, by_epochs, by_iterations, learning_rate, loaders, metainfo, sides
from .data import Data
from .folder import Picture
from .masks import IGNORED, load_mask

RESIZE = "dict(type='Resize', scale=({0}, {0}), keep_ratio=True)"
# For classifiers: their shipped configs train from scratch.
WEIGHTS = dict(
    r50='torchvision://resnet50',
    r101='torchvision://resnet101',
    r2n50='res2net://res2net50_26w_4s',
    r2n50_48w2s='res2net://res2net50_48w_2s',
    r2n50_14w8s='res2net://res2net50_14w_8s',
    r2n50_26w6s='res2net://res2net50_26w_6s',
    r2n50_26w8s='res2net://res2net50_26w_8s',
    r2n101='res2net://res2net101_26w_4s',
    r2n50v1b='res2net://res2net50_v1b_26w_4s',
    r2n101v1b='res2net://res2net101_v1b_26w_4s',
    r2nx50='res2net://res2next50_4s',
    r2ndla60='res2net://res2net_dla60_4s',
    r2nxdla60='res2net://res2next_dla60_4s',
)


def layout(picture: Picture) -> tuple:
    """Folders and endings of an image and of its mask; no ending where the mask's name isn't the image's."""
    name, mask = picture.file.with_suffix('').name, picture.source
    ending = mask.name[len(name) :] if mask.name.startswith(name) else None
    return picture.file.parent, mask.parent, picture.file.suffix, ending


def common(pictures: list[Picture]) -> tuple | None:
    """The one layout of images in several folders that their masks' folders repeat; None if none is."""
    layouts = set()
    for images, masks, *endings in map(layout, pictures):
        while images.name and images.name == masks.name:
            images, masks = images.parent, masks.parent
        layouts.add((images, masks, *endings))
    found = layouts.pop()
    return None if layouts or found[3] is None else found


def segmenter(data: Data, method: str, backbone: str, folder: Path, files: Path) -> list:
    """DeepLabv3+."""
    root, datasets = data.folder.root, {}
    found = {split: common(pictures) for split, pictures in data.splits.items()}
    as_they_are = data.as_they_are and all(found.values())
    for split, pictures in data.splits.items():
        images, masks, suffix, ending = found[split] if as_they_are else (Path(), None, '', '.png')
        names = [picture.file.relative_to(images).as_posix().removesuffix(suffix) for picture in pictures]
        (files / f'{split}.txt').write_text('\n'.join(names) + '\n', 'utf-8')
        for picture in [] if as_they_are else pictures:
            relabel(data, picture, files / 'masks' / f'{picture.file.as_posix()}.png')
        folders = dict(img_path=root / images, seg_map_path=root / masks if as_they_are else folder / 'masks')
        datasets[split] = dict(
            type='BaseSegDataset',
            metainfo=Name('metainfo'),
            data_root='',
            ann_file=(folder / f'{split}.txt').as_posix(),
            data_prefix={key: path.as_posix() for key, path in folders.items()},
            img_suffix=suffix,
            seg_map_suffix=ending,
        )
    colors = [[value >> 16, value >> 8 & 255, value & 255] for value in data.values]
    short, long = sides(data)
    crop = min(513, max(65, (int(short * min(1, 1024 / long)) - 1) // 16 * 16 + 1))
    inserts = {
        f'{part}_pipeline.insert({i}, resize)': None for part, i in dict(train=2, test=1, tta=1).items()
    }
    resize = dict(resize=Name(RESIZE.format(1024)), tta_pipeline=Name('_base_.tta_pipeline')) | inserts
    return [
        metainfo(data, **(dict(palette=colors) if data.colored else {})),
        (
            'Crops no larger than the images, of 16 n + 1 pixels: the features are at a sixteenth of that.',
            PIPELINES | {'crop_size = train_pipeline[3].crop_size': (crop, crop)},
        ),
        *([('Images are large: they are resized first.', resize)] if long > 1024 else []),
        ('', loaders(datasets, 4)),
        (
            'Pixels of 255 are ignored: in the masks, and where a crop is larger than an image.',
            dict(
                model=dict(
                    data_preprocessor=dict(size=Name('crop_size'), seg_pad_val=IGNORED),
                    decode_head=dict(num_classes=len(data.classes), ignore_index=IGNORED),
                )
            ),
        ),
        by_iterations(
            len(data.splits['train']),
            100,
            4,
            2000,
            30000,
            lambda end: dict(type='PolyLR', power=0.9, end=end),
        ),
        learning_rate(0.007, 16, 4),
    ]


def relabel(data: Data, picture: Picture, file: Path) -> None:
    """Write a mask whose values are the classes' numbers."""
    values = load_mask(data.folder.root / picture.source, data.colored)
    known, where = np.unique(values, return_inverse=True)
    numbers = np.array([data.values.get(value, IGNORED) for value in known.tolist()], np.uint8)
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(numbers[where].reshape(values.shape)).save(file)


def saliency(data: Data, method: str, backbone: str, folder: Path, files: Path) -> list:
    """DSS."""
    root, datasets = data.folder.root, {}
    for split, pictures in data.splits.items():
        groups, sets = defaultdict(list), []
        for picture in pictures:
            groups[layout(picture)].append(picture.file.with_suffix('').name)
        for number, ((images, masks, suffix, ending), names) in enumerate(groups.items()):
            file = f'{split}_{number}.txt'
            (files / file).write_text('\n'.join(names) + '\n', 'utf-8')
            paths = dict(img_path=root / images, seg_map_path=root / masks, list_file=folder / file)
            paths = {key: path.as_posix() for key, path in paths.items()}
            sets.append(dict(name=split, **paths, img_suffix=suffix, seg_map_suffix=ending))
        datasets[split] = dict(data_root='', sets=sets)
    short, long = sides(data)
    resize = {'resize': Name(RESIZE.format(400))}
    resize |= {'train_pipeline.insert(2, resize)': None, 'test_pipeline.insert(1, resize)': None}
    pixels = short * long if long <= 640 else 400 * 400 * short // long
    threshold = {'train_pipeline[1].threshold = test_pipeline[1].threshold': 0}
    return [
        ('', PIPELINES),
        *(
            [('Masks are dark: each value above 0 is salient, not above 128.', threshold)]
            if data.dark
            else []
        ),
        *([('Images are large: they are resized first.', resize)] if long > 640 else []),
        ('', loaders(datasets, 1)),
        by_iterations(
            len(data.splits['train']),
            40,
            1,
            5000,
            120000,
            lambda end: dict(type='MultiStepLR', milestones=[end * 5 // 8], gamma=0.1),
        ),
        (
            f"The loss is a sum over pixels: 1e-8 is for MSRA-B's 120,000 an image, here are {pixels:,}.",
            dict(optim_wrapper=dict(optimizer=dict(lr=float(f'{1e-8 * 120000 / pixels:.3g}')))),
        ),
    ]


def classifier(data: Data, method: str, backbone: str, folder: Path, files: Path) -> list:
    """An image classifier."""
    numbers, datasets = {name: number for number, name in enumerate(data.classes)}, {}
    for split, pictures in data.splits.items():
        lines = [f'{picture.file.as_posix()} {numbers[picture.classes[0]]}\n' for picture in pictures]
        (files / f'{split}.txt').write_text(''.join(lines), 'utf-8')
        datasets[split] = dict(
            _delete_=True,
            type='CustomDataset',
            metainfo=Name('metainfo'),
            ann_file=(folder / f'{split}.txt').as_posix(),
            data_prefix=data.folder.root.as_posix(),
        )
    images, short = len(data.splits['train']), sides(data)[0]
    batch = 32 if images >= 320 else 8
    size = 224 if short >= 112 else 128
    crops = {
        'train_pipeline[1].scale': size,
        'test_pipeline[1].scale': size * 8 // 7,
        'test_pipeline[2].crop_size': size,
    }
    topk = {} if len(data.classes) > 4 else dict(topk=(1,))
    evaluators = dict(val_evaluator=topk, test_evaluator=Name('val_evaluator'))
    return [
        metainfo(data),
        ('', PIPELINES),
        *([('Images are small: they are enlarged to less than 224 pixels.', crops)] if short < 112 else []),
        ('_delete_: nothing of the data set of ImageNet is inherited.', loaders(datasets, batch)),
        *([('Of fewer than five classes there are no five best.', evaluators)] if topk else []),
        (
            'The backbone starts from the weights released for ImageNet, the head from none.',
            dict(
                model=dict(
                    backbone=dict(init_cfg=dict(type='Pretrained', checkpoint=WEIGHTS[backbone])),
                    head=dict(num_classes=len(data.classes), **topk),
                )
            ),
        ),
        by_epochs(images, batch, 2000, 10, 100),
        learning_rate(0.01, 64, batch),
    ]
