"""What the configs of segmentation, saliency and classification state, and what they read."""

from collections import defaultdict
from pathlib import Path

import numpy as np
from PIL import Image

from .configs import PIPELINES, by_epochs, by_iterations, classes, learning_rate, loaders, sides
from .data import Data
from .folder import Picture
from .masks import IGNORED, load_mask

RESIZE = """
# The images are large: they are resized first.
resize = dict(type='Resize', scale=({0}, {0}), keep_ratio=True)
train_pipeline.insert(2, resize)
test_pipeline.insert(1, resize)
"""
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
    name, mask = picture.file.stem, picture.source
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


def pipeline(split: str) -> str:
    """What a split's data set states of it."""
    return f'pipeline={"train" if split == "train" else "test"}_pipeline'


def write_list(files: Path, name: str, lines: list[str], folder: Path) -> str:
    """Write a list; the path that the config will name it by."""
    (files / name).write_text('\n'.join(lines) + '\n', 'utf-8')
    return (folder / name).as_posix()


def segmenter(data: Data, method: str, backbone: str, folder: Path, files: Path) -> str:
    """DeepLabv3+."""
    root, datasets = data.folder.root, {}
    found = {split: common(pictures) for split, pictures in data.splits.items()}
    as_they_are = data.as_they_are and all(found.values())
    for split, pictures in data.splits.items():
        images, masks, suffix, ending = found[split] if as_they_are else (Path(), None, '', '.png')
        names = [picture.file.relative_to(images).as_posix().removesuffix(suffix) for picture in pictures]
        for picture in [] if as_they_are else pictures:
            relabel(data, picture, files / 'masks' / f'{picture.file.as_posix()}.png')
        masks = root / masks if as_they_are else folder / 'masks'
        datasets[split] = [
            "type='BaseSegDataset'",
            'metainfo=metainfo',
            "data_root=''",
            f'ann_file={write_list(files, f"{split}.txt", names, folder)!r}',
            f'data_prefix=dict(img_path={(root / images).as_posix()!r}, seg_map_path={masks.as_posix()!r})',
            f'img_suffix={suffix!r}',
            f'seg_map_suffix={ending!r}',
            pipeline(split),
        ]
    colors = [[value >> 16, value >> 8 & 255, value & 255] for value in data.values]
    palette = f'\n    palette={colors},' if data.colored else ''
    short, long = sides(data)
    crop = min(513, max(65, (int(short * min(1, 1024 / long)) - 1) // 16 * 16 + 1))
    resize = RESIZE + 'tta_pipeline = _base_.tta_pipeline\ntta_pipeline.insert(1, resize)\n'
    schedule, count = by_iterations(len(data.splits['train']), 100, 4, 2000, 30000)
    return f"""{classes(data, palette)}
# Crops no larger than the images, of 16 n + 1 pixels: the features are at a sixteenth of that.
{PIPELINES}crop_size = train_pipeline[3].crop_size = ({crop}, {crop})
{resize.format(1024) if long > 1024 else ''}{loaders(datasets, 4)}
# Pixels of 255 are ignored: in the masks, and where a crop is larger than an image.
model = dict(
    data_preprocessor=dict(size=crop_size, seg_pad_val={IGNORED}),
    decode_head=dict(num_classes={len(data.classes)}, ignore_index={IGNORED}),
)
{schedule}param_scheduler = [dict(type='PolyLR', power=0.9, by_epoch=False, end={count})]
{learning_rate(0.007, 16, 4)}"""


def relabel(data: Data, picture: Picture, file: Path) -> None:
    """Write a mask whose values are the classes' numbers."""
    values = load_mask(data.folder.root / picture.source, data.colored)
    known, where = np.unique(values, return_inverse=True)
    numbers = np.array([data.values.get(value, IGNORED) for value in known.tolist()], np.uint8)
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(numbers[where].reshape(values.shape)).save(file)


def saliency(data: Data, method: str, backbone: str, folder: Path, files: Path) -> str:
    """DSS."""
    root, datasets = data.folder.root, {}
    for split, pictures in data.splits.items():
        groups, sets = defaultdict(list), ''
        for picture in pictures:
            groups[layout(picture)].append(picture.file.stem)
        for number, ((images, masks, suffix, ending), names) in enumerate(groups.items()):
            file = write_list(files, f'{split}_{number}.txt', names, folder)
            sets += f"""
            dict(
                name={split!r},
                img_path={(root / images).as_posix()!r},
                seg_map_path={(root / masks).as_posix()!r},
                list_file={file!r},
                img_suffix={suffix!r},
                seg_map_suffix={ending!r},
            ),"""
        datasets[split] = ["data_root=''", f'sets=[{sets}\n        ]', pipeline(split)]
    short, long = sides(data)
    pixels = short * long if long <= 640 else 400 * 400 * short // long
    dark = """
# Masks are dark: every value above 0 is salient, not only above 128.
train_pipeline[1].threshold = test_pipeline[1].threshold = 0
"""
    dark, resize = dark if data.dark else '', RESIZE.format(400) if long > 640 else ''
    schedule, count = by_iterations(len(data.splits['train']), 40, 1, 5000, 120000)
    return f"""
{PIPELINES}{dark}{resize}{loaders(datasets, 1)}{schedule}\
param_scheduler = [dict(type='MultiStepLR', milestones=[{count * 5 // 8}], gamma=0.1, by_epoch=False)]

# The loss is a sum over pixels: 1e-8 is for MSRA-B's 120,000 an image, here are {pixels:,}.
optim_wrapper = dict(optimizer=dict(lr={1e-8 * 120000 / pixels:.3g}))
"""


def classifier(data: Data, method: str, backbone: str, folder: Path, files: Path) -> str:
    """An image classifier."""
    numbers, datasets = {name: number for number, name in enumerate(data.classes)}, {}
    for split, pictures in data.splits.items():
        lines = [f'{picture.file.as_posix()} {numbers[picture.classes[0]]}' for picture in pictures]
        datasets[split] = [
            '_delete_=True',
            "type='CustomDataset'",
            'metainfo=metainfo',
            f'ann_file={write_list(files, f"{split}.txt", lines, folder)!r}',
            f'data_prefix={data.folder.root.as_posix()!r}',
            pipeline(split),
        ]
    images, small = len(data.splits['train']), sides(data)[0] < 112
    batch, topk = 32 if images >= 320 else 8, ', topk=(1,)' if len(data.classes) < 5 else ''
    enlarge = """
# The images are small: they are enlarged to 128 pixels, not to 224.
train_pipeline[1].scale = test_pipeline[2].crop_size = 128
test_pipeline[1].scale = 146
"""
    of_few = """
# Of fewer than five classes there are no five best.
val_evaluator = dict(topk=(1,))
test_evaluator = val_evaluator
"""
    evaluators = of_few if topk else ''
    return f"""{classes(data)}
{PIPELINES}{enlarge if small else ''}
# _delete_: nothing of the data set of ImageNet is inherited.{loaders(datasets, batch)}{evaluators}
# The backbone starts from the weights released for ImageNet, the head from none.
model = dict(
    backbone=dict(init_cfg=dict(type='Pretrained', checkpoint={WEIGHTS[backbone]!r})),
    head=dict(num_classes={len(data.classes)}{topk}),
)
{by_epochs(images, batch, 2000, 10, 100)}{learning_rate(0.01, 64, batch)}"""
