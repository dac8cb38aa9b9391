"""ImageNet (ILSVRC 2012): folders of images, whose names no published list has.

The development kit says which class each image of val is of. It is needed to sort them into folders, not to
check images that are sorted already.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from .prepare import Archive, Layout, Problem, State, is_whole, loadmat, some

SUFFIX = '.JPEG'
KIT = 'ILSVRC2012_devkit_t12/data'
META, TRUTH = f'{KIT}/meta.mat', f'{KIT}/ILSVRC2012_validation_ground_truth.txt'
SITE = 'the ImageNet web site, https://image-net.org/download-images'
DEVKIT = Archive(
    'ILSVRC2012_devkit_t12.tar.gz', SITE, (f'{KIT}/',), optional="knowing the classes of val's images"
)
TRAIN = Archive('ILSVRC2012_img_train.tar', SITE, folder='train/', nested=True)
VAL = Archive('ILSVRC2012_img_val.tar', SITE, folder='val/')


@dataclass(frozen=True)
class ImageNet(Layout):
    """A data set of ImageNet's kind: so many classes, images in train, and images in val."""

    classes: int = 1_000
    train: int = 1_281_167
    val: int = 50_000

    @property
    def archives(self) -> list[Archive]:
        return [DEVKIT, TRAIN, VAL]

    def read_kit(self, root: Path) -> tuple[dict[str, int], dict[str, str]]:
        """The number of training images of each class, and where each image of val belongs, below the root.

        Raises:
            FileNotFoundError: If the development kit isn't there.
            ValueError: If it is broken; the message begins with the file's name.
        """
        try:
            synsets = [s for s in loadmat(root / META, squeeze_me=True)['synsets'] if not s['num_children']]
            names = {int(s['ILSVRC2012_ID']): str(s['WNID']) for s in synsets}
            counts = {str(s['WNID']): int(s['num_train_images']) for s in synsets}
        except (ValueError, KeyError) as error:
            raise ValueError(f'{META}: damaged: {error}') from None
        try:
            truth = [names[int(line)] for line in (root / TRUTH).read_text('utf-8').split()]
        except (ValueError, KeyError) as error:
            raise ValueError(f'{TRUTH}: damaged: no class {error}') from None
        if len(counts) != self.classes:
            raise ValueError(f'{META}: it has {len(counts):,} classes, {self.classes:,} were published')
        if len(truth) != self.val:
            raise ValueError(f'{TRUTH}: it has {len(truth):,} lines, {self.val:,} were published')
        return counts, {image: f'val/{name}/{image}' for image, name in zip(self.val_images, truth)}

    @property
    def val_images(self) -> list[str]:
        """The names of val's images."""
        return [f'ILSVRC2012_val_{number:08d}{SUFFIX}' for number in range(1, self.val + 1)]

    def check(self, root: Path, map: Callable) -> State:
        """Count the images, and look at each of them."""
        state = State()
        folders = [p for part in ('train', 'val') for p in (root / part).glob('[!.]*') if p.is_dir()]
        found, damaged = {'train': {}, 'val': {}}, {'train': [], 'val': []}
        for folder, (images, broken) in zip(folders, map(look, folders, 'checking files')):
            found[folder.parent.name][folder.name] = images
            damaged[folder.parent.name] += broken
        there = {part: sum(len(images) for images in found[part].values()) for part in found}
        counts, places = {}, {}
        try:
            counts, places = self.read_kit(root)
        except FileNotFoundError:
            text = f"{KIT}: not there, which says the classes of val's images"
            state.add(text, DEVKIT, optional=there['val'] >= self.val)
        except ValueError as error:
            state.add(str(error), DEVKIT, damaged=True)
        if not counts:
            state.again |= {root / META, root / TRUTH}
        self.check_train(state, found['train'], there['train'], counts)
        self.check_val(state, found, images_in(root / 'val'), places)
        for part, archive in zip(found, (TRAIN, VAL)):
            state.counts[f'{part}/*/*{SUFFIX}'] = there[part]
            state.add_damaged(f'{part}/*/*{SUFFIX}', archive, damaged[part])
        return state

    def check_train(self, state: State, found: dict[str, list[str]], there: int, counts: dict) -> None:
        numbers = {name: (len(found.get(name, ())), counts.get(name, 0)) for name in {*found, *counts}}
        # The kit's readme says nothing of its numbers, so they only serve if they make the published one.
        known = sum(counts.values()) == self.train
        others = {name: pair for name, pair in numbers.items() if known and pair[0] != pair[1]}
        if others or there != self.train:
            text = f'train/*/*{SUFFIX}: {there:,} there, {self.train:,} published'
            if others and found:
                text += ': ' + some(f'{name} has {n:,}, not {all_:,}' for name, (n, all_) in others.items())
            lacking = there < self.train or any(n < all_ for n, all_ in others.values())
            state.add(text, TRAIN if lacking else None)
        if found and len(found) != self.classes:
            text = f'train: {len(found):,} folders, {self.classes:,} classes were published'
            state.add(text, TRAIN if len(found) < self.classes else None)
        paths = ((folder, name) for folder, names in found.items() for name in names)
        add_extra(state, 'train', [f'train/{f}/{name}' for f, name in paths if not name.startswith(f'{f}_')])

    def check_val(self, state: State, found: dict, loose: list[str], places: dict[str, str]) -> None:
        there = {f'val/{folder}/{name}': name for folder, names in found['val'].items() for name in names}
        published = set(self.val_images)
        if missing := published - {*there.values(), *loose}:
            text = f'val/*/*{SUFFIX}: {len(missing):,} of {self.val:,} missing: {some(missing)}'
            state.add(text, VAL)
        if places:
            extra = there.keys() - places.values()
        else:
            copies = Counter(there.values())
            extra = [path for path, name in there.items() if copies[name] > 1 or name not in published]
            uneven = [name for name, names in found['val'].items() if len(names) * self.classes != self.val]
            if uneven and not missing and not extra:
                state.add(f'val: other than {self.val // self.classes:,} images in {some(uneven)}', DEVKIT)
            if found['train'] and there and (differ := found['train'].keys() ^ found['val'].keys()):
                state.add(f'val: not the same folders as in train: {some(differ)}')
        add_extra(state, 'val', extra)
        if loose:
            text = f'val: {len(loose):,} images are in no folder of a class: {some(loose)}'
            state.add(text, None if places else DEVKIT)


def add_extra(state: State, part: str, paths: Iterable[str]) -> None:
    if paths:
        state.add(f"{part}: {len(paths):,} images that don't belong where they are: {some(paths)}")


def images_in(folder: Path) -> list[str]:
    """The names of a folder's images; none if it isn't there."""
    return sorted(path.name for path in folder.glob(f'[!.]*{SUFFIX}'))


def look(folder: Path) -> tuple[list[str], list[Path]]:
    """The names of a folder's images, and those of them that are damaged."""
    images = images_in(folder)
    return images, [folder / name for name in images if not is_whole(folder / name)]


def sort_val(layout: ImageNet, root: Path, again: set[Path], map: Callable) -> list[Problem]:
    """Move images that are in ``val`` itself into their classes' folders."""
    try:
        places = layout.read_kit(root)[1]
    except (FileNotFoundError, ValueError):
        return []  # which the check reports
    for name in places.keys() & set(images_in(root / 'val')):
        path, to = root / 'val' / name, root / places[name]
        if to in again or not to.is_file() or to.stat().st_size == path.stat().st_size:
            to.parent.mkdir(exist_ok=True)
            os.replace(path, to)
    return []


IMAGENET = ImageNet('imagenet', 'data/imagenet', convert=sort_val, configs='imagenet/r2n50_{}.py')
