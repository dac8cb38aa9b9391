"""ImageNet (ILSVRC 2012): folders of images, whose names no published list has.

The development kit says which class each image of val is of. It is needed to sort them into folders, not to
check images that are sorted already.
"""

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import UserError
from .prepare import Archive, Layout, Problem, State, is_whole, some
from .workers import Workers

SUFFIX = '.JPEG'
KIT = 'ILSVRC2012_devkit_t12/data'
META, TRUTH = f'{KIT}/meta.mat', f'{KIT}/ILSVRC2012_validation_ground_truth.txt'


@dataclass(frozen=True)
class Kit:
    """What the development kit says.

    Attributes:
        counts (dict[str, int]): The number of training images of each class.
        places (dict[str, str]): Where each image of val belongs, below the data set's root.
    """

    counts: dict[str, int]
    places: dict[str, str]


SITE = 'the ImageNet web site, https://image-net.org/download-images'
DEVKIT = Archive(
    'ILSVRC2012_devkit_t12.tar.gz', SITE, (f'{KIT}/',), optional="knowing the classes of val's images"
)
TRAIN = Archive('ILSVRC2012_img_train.tar', SITE, folder='train/', nested=True)
VAL = Archive('ILSVRC2012_img_val.tar', SITE)


@dataclass(frozen=True)
class ImageNet(Layout):
    """A data set of ImageNet's kind.

    Attributes:
        classes (int): How many there are, each with a folder in train and in val.
        train (int): Number of images in train.
        val (int): Number of images in val, as many of each class.
    """

    classes: int = 1_000
    train: int = 1_281_167
    val: int = 50_000

    @property
    def archives(self) -> list[Archive]:
        """All archives; the one that says where another's members go comes before it."""
        return [DEVKIT, TRAIN, replace(VAL, places=self.places)]

    def read_kit(self, root: Path) -> Kit:
        """Read the development kit.

        Raises:
            FileNotFoundError: If it isn't there.
            ValueError: If it is broken; the message begins with the file's name.
            UserError: If scipy is missing, which reads MATLAB's files.
        """
        try:
            from scipy.io import loadmat
        except ImportError:
            raise UserError(f'{META} is a file of MATLAB, which scipy reads: pip install scipy') from None
        with open(root / META, 'rb') as file:
            try:
                synsets = loadmat(file, squeeze_me=True)['synsets']
                synsets = [s for s in synsets if not s['num_children']]
                names = {int(s['ILSVRC2012_ID']): str(s['WNID']) for s in synsets}
                counts = {str(s['WNID']): int(s['num_train_images']) for s in synsets}
            except Exception as error:  # of a broken file scipy's reader raises all kinds
                raise ValueError(f'{META}: damaged: {error}') from None
        try:
            truth = [names[int(line)] for line in (root / TRUTH).read_text().split()]
        except (ValueError, KeyError) as error:
            raise ValueError(f'{TRUTH}: damaged: no class {error}') from None
        if len(counts) != self.classes:
            raise ValueError(f'{META}: it has {len(counts):,} classes, {self.classes:,} were published')
        if len(truth) != self.val:
            raise ValueError(f'{TRUTH}: it has {len(truth):,} lines, {self.val:,} were published')
        return Kit(counts, {image: f'val/{name}/{image}' for image, name in zip(self.val_images, truth)})

    @property
    def val_images(self) -> list[str]:
        """The names of val's images."""
        return [f'ILSVRC2012_val_{number:08d}{SUFFIX}' for number in range(1, self.val + 1)]

    def places(self, root: Path) -> dict[str, str]:
        """Where each image of val belongs; nothing without the development kit, which the check reports."""
        try:
            return self.read_kit(root).places
        except (FileNotFoundError, ValueError):
            return {}

    def check(self, root: Path, workers: Workers) -> State:
        """Count the images, and look at each of them."""
        state = State()
        folders = [root / part / name for part in ('train', 'val') for name in subfolders(root / part)]
        found = {'train': {}, 'val': {}}
        damaged = {'train': [], 'val': []}
        for folder, images, bad in workers.run(_look, folders, 'checking files'):
            found[folder.parent.name][folder.name] = images
            damaged[folder.parent.name] += [folder / name for name in bad]
        kit = self._check_kit(state, root, found['val'])
        self._check_train(state, found['train'], kit)
        self._check_val(state, root, found, kit)
        for part, archive in zip(found, self.archives[1:]):
            state.counts[f'{part}/*/*{SUFFIX}'] = sum(map(len, found[part].values()))
            if paths := damaged[part]:
                text = f'{part}/*/*{SUFFIX}: {len(paths):,} damaged: {some(path.stem for path in paths)}'
                state.problems.append(Problem(text, archive, damaged=True))
                state.again |= set(paths)
        return state

    def _check_kit(self, state: State, root: Path, val: dict[str, list[str]]) -> Kit | None:
        try:
            return self.read_kit(root)
        except FileNotFoundError:
            text, damaged = f"{KIT}: not there, which says the classes of val's images", False
        except ValueError as error:
            text, damaged = str(error), True
        state.again |= {root / META, root / TRUTH}
        needed = damaged or sum(map(len, val.values())) < self.val
        state.problems.append(Problem(text, DEVKIT, damaged, optional=not needed))
        return None

    def _check_train(self, state: State, found: dict[str, list[str]], kit: Kit | None) -> None:
        count = sum(map(len, found.values()))
        others = {}
        # The kit's readme says nothing of these numbers, so they only serve if they make the published one.
        if kit and sum(kit.counts.values()) == self.train:
            numbers = {
                name: (len(found.get(name, ())), kit.counts.get(name, 0)) for name in {*found, *kit.counts}
            }
            others = {name: pair for name, pair in numbers.items() if pair[0] != pair[1]}
        if others or count != self.train:
            text = f'train/*/*{SUFFIX}: {count:,} there, {self.train:,} published'
            if others and found:
                text += ': ' + some(f'{name} has {n:,}, not {all_:,}' for name, (n, all_) in others.items())
            lacking = count < self.train or any(n < all_ for n, all_ in others.values())
            state.problems.append(Problem(text, TRAIN if lacking else None))
        if found and len(found) != self.classes:
            text = f'train: {len(found):,} folders, {self.classes:,} classes were published'
            state.problems.append(Problem(text, TRAIN if len(found) < self.classes else None))
        strange = [
            f'train/{folder}/{name}'
            for folder, names in found.items()
            for name in names
            if not name.startswith(f'{folder}_')
        ]
        _report_extra(state, 'train', strange)

    def _check_val(self, state: State, root: Path, found: dict, kit: Kit | None) -> None:
        there = {f'val/{folder}/{name}' for folder, names in found['val'].items() for name in names}
        published = set(self.val_images)
        loose = images_in(root / 'val')
        missing = published - {os.path.basename(path) for path in there} - set(loose)
        if missing:
            text = f'val/*/*{SUFFIX}: {len(missing):,} of {self.val:,} missing: {some(missing)}'
            state.problems.append(Problem(text, self.archives[2]))
        if kit:
            extra = there - set(kit.places.values())
        else:
            copies = Counter(map(os.path.basename, there))
            extra = {
                p for p in there if copies[os.path.basename(p)] > 1 or os.path.basename(p) not in published
            }
            uneven = [name for name, names in found['val'].items() if len(names) * self.classes != self.val]
            if uneven and not missing and not extra:
                text = f'val: other than {self.val // self.classes:,} images in {some(uneven)}'
                state.problems.append(Problem(text, DEVKIT))
            if found['train'] and there and (differ := set(found['train']) ^ set(found['val'])):
                state.problems.append(Problem(f'val: not the same folders as in train: {some(differ)}'))
        _report_extra(state, 'val', extra)
        if loose:
            text = f'val: {len(loose):,} images are in no folder of a class: {some(loose)}'
            state.problems.append(Problem(text, None if kit else DEVKIT))


def _report_extra(state: State, part: str, names: Iterable[str]) -> None:
    if names:
        text = f"{part}: {len(names):,} images that don't belong where they are: {some(names)}"
        state.problems.append(Problem(text))


def subfolders(folder: Path) -> list[str]:
    """The names of a folder's folders, but for hidden ones; none if it isn't there."""
    try:
        with os.scandir(folder) as entries:
            return sorted(e.name for e in entries if e.is_dir() and not e.name.startswith('.'))
    except (FileNotFoundError, NotADirectoryError):
        return []


def images_in(folder: Path) -> list[str]:
    """The names of a folder's images; none if it isn't there."""
    try:
        return sorted(name for name in os.listdir(folder) if name.endswith(SUFFIX))
    except (FileNotFoundError, NotADirectoryError):
        return []


def _look(folders: list[Path]) -> list[tuple[Path, list[str], list[str]]]:
    """The images of folders, and those of them that are damaged."""
    found = []
    for folder in folders:
        images = images_in(folder)
        found.append((folder, images, [name for name in images if not is_whole(folder / name)]))
    return found


def sort_val(layout: ImageNet, root: Path, again: set[Path], workers: Workers) -> list[Problem]:
    """Move images that were unpacked into ``val`` itself into their classes' folders."""
    places = layout.places(root)
    for name in images_in(root / 'val'):
        path, to = root / 'val' / name, root / places.get(name, f'val/{name}')
        if not to.is_file() or to.stat().st_size == path.stat().st_size:
            to.parent.mkdir(exist_ok=True)
            os.replace(path, to)
    return []


IMAGENET = ImageNet('imagenet', 'data/imagenet', convert=sort_val, configs='imagenet/r2n50_{}.py')
