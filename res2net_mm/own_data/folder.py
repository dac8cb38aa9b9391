"""A folder of one's own pictures: its files, whose label is whose, and the splits."""

import hashlib
import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from PIL import Image

from ..errors import UserError
from ..files import walk

IMAGES = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp', '.ppm', '.pgm')
SPLITS = ('train', 'val', 'test')
SPLIT = re.compile(r'(?<![a-z])(train|val|test)(?:ing|id|idation)?(?![a-z])')
MASK = re.compile(
    r'(?<![a-z])(masks?|labels?|annotations?|ann|gts?|ground.?truth|segmentation\w*|seg|pixelwise\w*)(?![a-z])'
)
SUFFIX = re.compile(r'[_-](masks?|gt|seg|labels?|label(train)?ids)$', re.IGNORECASE)
ORIENTATION = 0x0112  # EXIF's
UNREADABLE = "images that can't be read, left out"


@dataclass
class Picture:
    """An image and its labels.

    Attributes:
        file (Path): The image, seen from the folder.
        size (tuple[int, int]): Width and height, as shown: EXIF's orientation is applied, as in training.
        split (str | None): 'train', 'val', 'test', or None where nothing says it.
        classes (list[str]): The class of each object, of the image, or those in the mask.
        objects (list[dict]): Of each object the box, and whatever else COCO's annotations have of it.
        source (Path | None): The label's file, seen from the folder: JSON, XML, text, or the mask.
    """

    file: Path
    size: tuple[int, int]
    split: str | None = None
    classes: list[str] = field(default_factory=list)
    objects: list[dict] = field(default_factory=list)
    source: Path | None = None


class Folder:
    """A folder's files, seen from it, without hidden ones, runs and what this tool wrote.

    Args:
        root (str | Path): The folder.

    Attributes:
        files (list[Path]): The files.
        folders (list[Path]): The folders in it.
        problems (dict[str, list]): What was found wrong, and of which files.
        unreadable (set[Path]): The images that were opened and can't be read.

    Raises:
        UserError: If it isn't a folder.
    """

    def __init__(self, root: str | Path):
        self.root = Path(root)
        if not self.root.is_dir():
            raise UserError(f'{root} is not a folder' if self.root.exists() else f'there is no folder {root}')
        self.problems = defaultdict(list)
        walked = [*_walk(self.root)]
        self.files = sorted(path / name for path, _, names in walked for name in names)
        self.folders = sorted(path / name for path, names, _ in walked for name in names)
        self.pictures = self.ending(*IMAGES)  # all that are images, masks included
        self.masks = _masks(self.pictures)
        self.images = sorted({*self.pictures} - {*self.masks}) or self.pictures
        self.unreadable = set()
        self._by_stem = defaultdict(list)
        for file in self.images:
            self._by_stem[file.stem.lower()].append(file)

    def ending(self, *endings: str) -> list[Path]:
        """The files with one of these endings, in whatever case."""
        return [file for file in self.files if file.suffix.lower() in endings]

    def endings(self) -> str:
        """How many files there are of which endings."""
        counts = Counter(file.suffix.lower() or 'no ending' for file in self.files)
        return ', '.join(f'{n:,} {ending}' for ending, n in counts.most_common(8)) or 'no files'

    def has(self, name: str) -> bool:
        """Whether there is an image of that name, with whatever ending."""
        return stem(name).lower() in self._by_stem

    def all_masks(self) -> list[Path]:
        """The masks by their names or, where there are none, each .png beside a .jpg of its name."""
        photographs = {file.with_suffix('') for file in self.ending('.jpg', '.jpeg')}
        return self.masks or [file for file in self.ending('.png') if file.with_suffix('') in photographs]

    def find(self, name: str, label: Path) -> Path | None:
        """The image of that name or path that lies nearest to its label, by their folders' names."""
        path = Path(os.path.normpath(label.parent / str(name).replace('\\', '/')))
        found = self._by_stem.get(stem(path.name).lower(), [])
        found = [file for file in found if file.name.lower() == path.name.lower()] or found
        words = _words(path) | _words(label)
        ranks = {
            file: (file.parent == path.parent, len(words & _words(file)), -len(file.parts)) for file in found
        }
        best = [file for file in found if ranks[file] == max(ranks.values())]
        if len(best) > 1:
            self.problems['labels that may be of several images, left out'].append(label)
        elif not best:
            self.problems['labels without an image, left out'].append(
                name if label.suffix == '.json' else label
            )
        return best[0] if len(best) == 1 else None

    def open(self, file: Path, split: str | None = None) -> Picture | None:
        """An image without labels yet; None if it can't be read."""
        try:
            with Image.open(self.root / file) as image:
                turned = image.getexif().get(ORIENTATION, 1) >= 5
                size = image.size[::-1] if turned else image.size
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            if file not in self.unreadable:  # it may have more than one label
                from ..datasets.images import fault  # here only: it takes PyTorch

                self.unreadable.add(file)
                why = getattr(error, 'strerror', None) or fault((self.root / file).read_bytes())
                self.problems[UNREADABLE].append(f'{file} ({why})')
            return None
        return Picture(file, size, split or split_of(file))

    def listed(self) -> str:
        """What is wrong, a line each, with how often and the first files."""
        lines = ''
        for text, items in self.problems.items():
            files = [*dict.fromkeys(map(str, items))]
            first = f': {", ".join(files[:3])}{" ..." if len(files) > 3 else ""}'
            lines += f'\n  {len(items):,} {text}{first}' if items else f'\n  {text}'
        return lines

    def text(self, file: Path) -> list[str]:
        """The lines of a text file."""
        return (self.root / file).read_text('utf-8', errors='replace').lstrip('\ufeff').splitlines()


def _walk(root: Path) -> Iterator[tuple[Path, list[str], list[str]]]:
    for path, folders, names in walk(root):
        folders[:] = [
            name
            for name in folders
            if not name.startswith(('.', '__')) and name not in ('work_dirs', 'predictions')
            and f'{name}.py' not in names  # what this tool wrote, beside its config
        ]  # fmt: skip
        yield path.relative_to(root), folders, [name for name in names if not name.startswith('.')]


def _masks(files: list[Path]) -> list[Path]:
    """The masks, by names of their folders that not all have, or by their own beside an image's."""
    shared = os.path.commonpath([file.parent for file in files]) if files else ''
    stems = {file.with_suffix('').as_posix() for file in files}

    def is_mask(file):
        folders = file.parent.relative_to(shared).parts
        name = file.with_suffix('').as_posix()
        beside = SUFFIX.search(name) and SUFFIX.sub('', name) in stems
        return beside or any(MASK.search(part.lower()) for part in folders)

    return [file for file in files if is_mask(file)]


def stem(name: str) -> str:
    """A file's name without an image's ending; other dots stay."""
    return name[: -len(Path(name).suffix)] if name.lower().endswith(IMAGES) else name


def split_of(path: Path) -> str | None:
    """The split that a path's folders name, such as 'train2017', 'images/valid' or 'obj_train_data'."""
    found = (SPLIT.search(part.lower()) for part in reversed(path.parent.parts))
    return next((match[1] for match in found if match), None)


def _words(file: Path) -> set[str]:
    named = split_of(file.with_suffix('') / '_')  # in 'instances_train2017.json', too
    return {part.lower() for part in file.parent.parts} | ({f'split {named}'} if named else set())


def listed_names(folder: Folder) -> list[str]:
    """The lines of a list of classes."""
    for file in folder.files:
        if file.name.lower() in ('classes.txt', 'labels.txt', '_darknet.labels') or file.suffix == '.names':
            return [line.strip() for line in folder.text(file) if line.strip()]
    return []


def by_lists(folder: Folder, pictures: list[Picture], task: str) -> None:
    """Take the splits from ``train.txt``, ``val.txt`` and ``test.txt``, where there are such lists.

    VOC has more than one set of them, of which ``task`` names the folder: 'Main' or 'Segmentation'. A picture
    that is in no list is in no split.
    """
    lists = [f for f in folder.ending('.txt') if SPLIT.fullmatch(f.stem.lower())]
    names = {}
    for file in [f for f in lists if f.parent.name == task] or lists:
        for line in filter(None, map(str.strip, folder.text(file))):
            names[stem(PurePosixPath(line.replace('\\', '/')).name)] = SPLIT.match(file.stem.lower())[1]
    if any(picture.file.stem in names for picture in pictures):
        for picture in pictures:
            picture.split = names.get(picture.file.stem)


def divide(folder: Folder, pictures: list[Picture], per_class: bool) -> tuple[dict[str, list[Picture]], str]:
    """The pictures of each split, a validation set among them, and where the splits come from.

    Where nothing names a validation set, each training picture is in it by a chance of a fifth, by a hash of
    its path: the same ones each time, also when there are more pictures later.

    With ``per_class`` each class is divided by itself.
    """
    splits = {name: [picture for picture in pictures if picture.split == name] for name in (*SPLITS, None)}
    rest = splits.pop(None)
    if not splits['train']:
        splits['train'], rest = rest, []
    if not splits['train']:
        folder.problems['no training images: all are divided anew'] = []
        splits = dict(train=pictures, val=[], test=[])
    for name in ('val', 'test'):
        if splits[name] and not any(picture.classes for picture in splits[name]):
            folder.problems[f'{name} images, none of them labeled, left out'] = [p.file for p in splits[name]]
            splits[name] = []
    if rest:
        folder.problems['images in no split, left out'] += [picture.file for picture in rest]
    origin = 'as the folder has them'
    if not splits['val']:
        splits['val'] = _fifth(splits['train'], per_class)
        chosen = {picture.file for picture in splits['val']}
        splits['train'] = [picture for picture in splits['train'] if picture.file not in chosen]
        origin = 'each image is in val by a chance of a fifth, by a hash of its name'
        if not splits['val']:
            splits['val'], origin = splits['train'], 'the same images in both'
            folder.problems['too few images to divide: all are for training and for validation'] = []
    return {name: found for name, found in splits.items() if found}, origin


def _fifth(pictures: Iterable[Picture], per_class: bool) -> list[Picture]:
    groups, chosen = defaultdict(list), []
    for picture in pictures:
        groups[picture.classes[0] if per_class else None].append((_hash(picture.file), picture))
    for group in groups.values():
        group.sort(key=lambda item: item[0])
        count = sum(number < 0.2 for number, _ in group)
        chosen += [picture for _, picture in group[: min(max(count, 1), len(group) - 1)]]
    return chosen


def _hash(file: Path) -> float:
    return int(hashlib.sha256(file.as_posix().encode()).hexdigest()[:8], 16) / 16**8
