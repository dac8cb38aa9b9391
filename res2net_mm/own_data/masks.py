"""Masks, and folders of classes."""

import csv
from pathlib import Path

import numpy as np
from PIL import Image

from ..errors import UserError
from .data import Data
from .folder import SPLIT, SUFFIX, Folder, listed_names, stem

IGNORED = 255  # mmseg's ignore_index and seg_pad_val
VOID = 0xE0E0C0  # VOC's color of what is ignored
MOST = 100  # values or colors; masks of more hold blends: they were resized, or saved as JPEG


def read_masks(folder: Folder, method: str) -> Data | None:
    """Images with masks: indices of classes, colors, or, for salient objects, black and white."""
    masks = [file for file in folder.all_masks() if 'SegmentationObject' not in file.parts]
    if not masks or folder.images == folder.pictures == folder.masks:
        return None
    data, modes = Data('masks', folder), set()
    for mask in masks:
        name = SUFFIX.sub('', stem(mask.name))
        image = folder.find(name if folder.masks else f'{name}.jpg', mask)
        if image in data.pictures:
            other = data.pictures[image].source
            raise UserError(f'{folder.root}: {image} has two masks, {other} and {mask}: leave one of them')
        size, picture = folder.open(mask), image and data.add(image, mask)
        if size and picture and size.size != picture.size:
            folder.problems['masks of another size than their image, left out'].append(mask)
        if not (size and picture and size.size == picture.size):
            data.pictures.pop(image, None)
            continue
        with Image.open(folder.root / mask) as opened:
            modes.add(opened.mode)
    names = _named_values(folder)
    data.colored = bool(names.pop('colored', False) or modes & {'RGB', 'RGBA', 'LA', 'CMYK'})
    _salient(data) if method == 'dss' else _classes(data, names, modes)
    return data


def load_mask(file: Path, colored: bool) -> np.ndarray:
    """The values of a mask, (H, W) of int32: indices, gray values, or colors as 0xRRGGBB."""
    with Image.open(file) as image:
        if colored:
            return np.asarray(image.convert('RGB'), np.int32) @ np.array([0x10000, 0x100, 1], np.int32)
        return np.asarray(image.convert('L') if image.mode == '1' else image, np.int32)


def _salient(data: Data) -> None:
    for picture in list(data.pictures.values()):
        if not picture.source.name.startswith(picture.file.stem):  # as SaliencyDataset needs them
            data.folder.problems['masks named otherwise than their image, left out'].append(picture.source)
            del data.pictures[picture.file]
            continue
        with Image.open(data.folder.root / picture.source) as image:
            largest = image.convert('L').getextrema()[1]
            data.dark = data.dark and (image.mode == 'P' or largest <= 128)
        picture.classes = ['salient'] if largest else []
    data.classes = ['salient']


def _classes(data: Data, names: dict[int, str], modes: set[str]) -> None:
    """Give the values found, or named, the numbers 0, 1 ..."""
    held = {}
    ignored, white = (VOID, 0xFFFFFF) if data.colored else (IGNORED, IGNORED)
    for picture in data.pictures.values():
        held[picture.file] = np.unique(load_mask(data.folder.root / picture.source, data.colored)).tolist()
    found = sorted({value for values in held.values() for value in values})
    if len(found) > MOST:
        raise UserError(
            f'{data.folder.root}: the masks have {len(found):,} values, such as those of '
            f'{next(iter(data.pictures.values())).source}: blends of what were classes. '
            'Save them as PNG, not as JPEG; resize them by nearest neighbors if at all'
        )
    if {*found} == {0, white} and len(names) in (0, 2):
        names = dict(zip((0, white), names.values() or ('background', 'foreground')))
    new = [value for value in found if value not in names and value != ignored]
    if new and names:
        data.folder.problems['values of masks that have no name'] = [
            _name(value, data.colored) for value in new
        ]
    names |= {value: _name(value, data.colored) for value in new}
    data.values = {value: number for number, value in enumerate(names)}
    data.classes = list(names.values())
    for picture in data.pictures.values():
        picture.classes = [names[value] for value in held[picture.file] if value in names]
    data.as_they_are = modes <= {'P', 'L'} and all(a == b for a, b in data.values.items())


def _name(value: int, colored: bool) -> str:
    if value == 0:
        return 'background'
    gray = value % 0x10101 == 0 if colored else True
    return f'class_{value & 0xFF}' if gray else f'color_{value:06x}'


def _named_values(folder: Folder) -> dict:
    """Names of values or of colors, from CVAT's labelmap.txt, a .csv, or a list of classes."""
    for file in folder.files:
        if file.name == 'labelmap.txt':  # name:r,g,b:parts:actions
            lines = [line.split(':') for line in folder.text(file) if not line.startswith('#')]
            named = {line[0]: [int(part) for part in line[1].split(',')] for line in lines if len(line) > 1}
            return {'colored': True} | {r << 16 | g << 8 | b: name for name, (r, g, b) in named.items()}
        if file.suffix.lower() == '.csv':
            rows = list(csv.DictReader(folder.text(file), skipinitialspace=True))
            rows = [{str(key).strip().lower(): value for key, value in row.items()} for row in rows]
            if rows and {'pixel value', 'class'} <= rows[0].keys():
                return {int(row['pixel value']): row['class'].strip() for row in rows}
    return dict(enumerate(listed_names(folder)))


def read_classes(folder: Folder, method: str) -> Data | None:
    """A folder for each class, perhaps inside of one for each split."""
    data, files, depth = Data('class folders', folder), [f for f in folder.pictures if len(f.parts) > 1], 0
    if not files:
        return None

    def splits():
        return all(SPLIT.match(file.parts[depth].lower()) for file in files)

    while (
        not splits()
        and len({f.parts[depth] for f in files}) == 1
        and all(len(f.parts) > depth + 2 for f in files)
    ):
        depth += 1
    depth += (split := splits())
    labels = {file: file.parts[depth] for file in files if len(file.parts) > depth + 1}
    data.classes = sorted({*labels.values()})
    held, parents = {p for file in labels for p in file.parents}, {Path(*f.parts[:depth]) for f in labels}
    if empty := [path for path in folder.folders if path.parent in parents and path not in held]:
        folder.problems['folders without images, of no class'] = empty
    if len(data.classes) < 2:
        if data.classes:
            folder.problems['class only, and a classifier needs two or more'] = data.classes
        return None
    for file, name in labels.items():
        if picture := data.add(file, file):
            picture.split = SPLIT.match(file.parts[depth - 1].lower())[1] if split else None
            picture.classes = [name]
    return data
