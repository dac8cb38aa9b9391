"""What was read of a folder, whatever its format."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from .folder import Folder, Picture


@dataclass
class Data:
    """What a folder holds.

    Attributes:
        kind (str): The format.
        folder (Folder): The folder, with what is wrong in it.
        pictures (dict[Path, Picture]): By their files.
        classes (list[str]): The classes, in the order of their numbers.
        splits (dict[str, list[Picture]]): The pictures of 'train', 'val' and, perhaps, 'test'.
        origin (str): Where the splits are from.
        prefix (dict[Path, str]): Of a JSON file that the toolboxes can read as it is, the images' folder.
        points (dict | None): COCO's category with key points' names and skeleton.
        values (dict[int, int]): Of masks, the class of each value, or of each color as 0xRRGGBB.
        colored (bool): Whether the values are colors.
        as_they_are (bool): Whether the masks' values are the classes' numbers.
        dark (bool): Whether no mask has a gray value above 128.
    """

    kind: str
    folder: Folder
    pictures: dict[Path, Picture] = field(default_factory=dict)
    classes: list[str] = field(default_factory=list)
    splits: dict[str, list[Picture]] = field(default_factory=dict)
    origin: str = ''
    prefix: dict[Path, str] = field(default_factory=dict)
    points: dict | None = None
    values: dict[int, int] = field(default_factory=dict)
    colored: bool = False
    as_they_are: bool = False
    dark: bool = True

    def add(self, file: Path | None, source: Path, split: str | None = None) -> Picture | None:
        """A new picture whose labels are in ``source``; None if it can't be, which is noted."""
        if file in self.pictures:
            self.folder.problems['labels of images that have others already, left out'].append(source)
            return None
        picture = file and self.folder.open(file, split)
        if picture:
            picture.source = source
            self.pictures[file] = picture
        return picture

    def has_size(self, picture: Picture, size: tuple) -> bool:
        """Whether labels say the image's own size; another one is noted, none (nothing, or 0) is not."""
        if all(size) and size != picture.size:
            text = 'images of another size than their labels say'
            if size == picture.size[::-1]:
                text += ', width and height swapped: labeled without the turn that their EXIF says?'
            self.folder.problems[text].append(picture.file)
        return size == picture.size

    def used(self) -> Counter:
        """How often each class occurs."""
        return Counter(name for picture in self.pictures.values() for name in picture.classes)

    def describe(self) -> str:
        """What was found, for a reader: images, splits, classes with counts, problems."""
        # By their files: of too few images all are in two splits.
        pictures = {picture.file: picture for split in self.splits.values() for picture in split}.values()
        sizes = sorted({picture.size for picture in pictures}, key=lambda size: size[0] * size[1])
        size = ' to '.join(f'{w} x {h}' for w, h in dict.fromkeys([sizes[0], sizes[-1]]))
        counts = {
            name: Counter(each for picture in split for each in picture.classes)
            for name, split in self.splits.items()
        }
        problems = self.folder.problems
        if empty := [p.file for p in self.splits['train'] if not p.classes]:
            problems['training images without an object'] = empty
        for split, word in dict(train='training', val='validation').items():
            if missing := [name for name in self.classes if not counts[split][name]]:
                problems[f'classes without a {word} example'] = missing
        # Further checks of the data belong here: what they find is listed like these.
        unit = {'masks': 'images with it', 'class folders': 'images'}.get(self.kind, 'objects')
        width = max(map(len, [*self.classes, unit]))
        count = f'{len(self.classes)} class{"es" * (len(self.classes) > 1)}'
        lines = [
            f'{self.folder.root}: {self.kind}, {len(pictures):,} images of {size}, {count}',
            f'Splits: {", ".join(f"{n} {len(split):,}" for n, split in self.splits.items())} ({self.origin})',
            f'  {unit:{width}}' + ''.join(f'{name:>9}' for name in counts),
            *(f'  {c:{width}}' + ''.join(f'{n[c]:>9,}' for n in counts.values()) for c in self.classes),
        ]
        return '\n'.join(lines) + (f'\nProblems:{self.folder.listed()}' if problems else '')
