"""What was found to be wrong with data, and the images that the data name."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

SAMPLE = 200  # images that are looked for before a run
MASKS = 'masks are faulty'


class Sample(NamedTuple):
    """An image that data name."""

    path: str
    size: tuple[int, int] | None = None  # width and height that the annotations claim
    mask: str | None = None


@dataclass
class Problems:
    """Errors, which stop a run, and warnings."""

    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    classes: list[str] | None = None  # what the labels 0, 1 ... mean in this file or folder
    mask_fault: Callable[[Sample], str | None] | None = None  # says what is wrong with a sample's mask

    def error(self, what: str, cases: Sequence | None = None) -> None:
        """Add an error; one with ``cases`` gives their number and a few; it is none if they are empty."""
        self._add(self.errors, what, cases)

    def warn(self, what: str, cases: Sequence | None = None) -> None:
        """Add a warning, likewise."""
        self._add(self.warnings, what, cases)

    @staticmethod
    def _add(lines: list[str], what: str, cases: Sequence | None) -> None:
        if cases is None:
            lines.append(what)
        elif len(cases):
            lines.append(f'{len(cases):,} {what}: {some(cases)}')

    def check_root(self, root: str) -> None:
        """Check that the images, and their masks, lie in the data's root."""
        if root:
            inside = os.path.join(os.path.abspath(root), '')
            paths = (path for sample in self.samples for path in (sample.path, sample.mask) if path)
            left = [path for path in paths if not os.path.abspath(path).startswith(inside)]
            self.error(f'paths lead out of the data root {root}', left)

    def check_files(self, asked: Sequence[Sample]) -> None:
        """Check that some images, and their masks, exist."""
        files = [path for sample in asked for path in (sample.path, sample.mask) if path]
        missing = [path for path in files if not os.path.isfile(path)]
        self.error(f'of {len(files):,} files looked for are missing', missing)


def spread(items: Sequence, most: int = SAMPLE) -> Sequence:
    """Subsample: at most ``most`` of some items, evenly spaced."""
    return items[:: -(-len(items) // most)] if len(items) > most else items


def some(items: Sequence, most: int = 3) -> str:
    """The first of some items, joined by commas."""
    return ', '.join(map(str, items[:most])) + (', ...' if len(items) > most else '')


def read_list(file: str, problems: Problems, strip: bool = True) -> list[str]:
    """Read a list of names, one a line; blank lines and names that the toolboxes would misread are errors.

    Args:
        file (str): The list.
        problems (Problems): Takes what is wrong.
        strip (bool): Whether the toolbox strips blanks from a line's ends. Default: True.
    """
    try:
        lines = Path(file).read_text('utf-8').splitlines()
    except (OSError, UnicodeDecodeError) as error:
        problems.error(f"the list can't be read: {error}")
        return []
    marked = [f'line {i}: {line!r}' for i, line in enumerate(lines, 1)]
    problems.error('lines are blank', [m for m, line in zip(marked, lines) if not line.strip()])
    if lines and lines[0].startswith('\ufeff'):
        problems.error('the list begins with a byte order mark; save it as UTF-8 without one')
    if not strip:
        around = [m for m, line in zip(marked, lines) if line.strip() and line != line.strip()]
        problems.error('lines have blanks around the name', around)
    names = [line.strip() for line in lines if line.strip()]
    if not lines:
        problems.error('the list is empty')
    return names
