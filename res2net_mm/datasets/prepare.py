"""Brings a published data set into the layout that the configs expect, and says what is missing.

What a data set consists of is data, a ``Layout``; those of the configs are in ``layouts.py`` and
``imagenet.py``. Nothing is downloaded. A file gets its name when it is whole, so a run that was interrupted
is simply repeated.
"""

import contextlib
import functools
import os
import shutil
import signal
import sys
import tarfile
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from xml.etree import ElementTree

import rich.progress
from PIL import Image

from ..config import CONFIGS
from ..errors import UserError
from ..files import replacing
from .workers import Workers, bar, stop

# ---- what a data set consists of ---------------------------------------------------------------


@dataclass(frozen=True)
class Archive:
    """A published file: a zip or tar, or a plain file that is copied.

    Attributes:
        name (str): Its published name.
        source (str): Where it is published.
        wanted (tuple[str, ...]): What the names of the members start with that are unpacked.
        strip (str): What is cut off their start.
        folder (str): What is put before them instead, with a slash at its end.
        optional (str): What needs it, if not everything does.
        nested (bool): Whether its members are tars, each of whose files go to a folder of the tar's name.
        places (Callable, optional): Takes the data set's root, and says where below it each member goes, if
            another file than the archive knows that.
    """

    name: str
    source: str
    wanted: tuple[str, ...] = ('',)
    strip: str = ''
    folder: str = ''
    optional: str = ''
    nested: bool = False
    places: Callable[[Path], dict[str, str]] | None = None

    def target(self, member: str) -> str | None:
        """Where a member goes, below the data set's root; None if it isn't wanted."""
        parts = PurePosixPath(member).parts
        if member.startswith('/') or '..' in parts:
            raise UserError(f'{self.name} is not the published one: its {member} would go outside the folder')
        name = '/'.join(parts)
        return self.folder + name.removeprefix(self.strip) if name.startswith(self.wanted) else None


@dataclass(frozen=True)
class Split:
    """Names that a file lists, and the files that each of them needs.

    Attributes:
        list (str): The file, like all paths here below the data set's root.
        read (Callable): Returns its names; raises ValueError, KeyError or TypeError if it is broken.
        archive (Archive): What holds it, or what it is made from.
        count (int, optional): How many names it was published with.
        files (dict[str, Archive]): Paths with ``{}`` for the name, and what holds them.
        within (str): Another list, which has all the names of this one.
    """

    list: str
    read: Callable[[Path], set[str]]
    archive: Archive
    count: int | None = None
    files: dict[str, Archive] = field(default_factory=dict)
    within: str = ''


@dataclass(frozen=True)
class Layout:
    """A data set.

    Attributes:
        name (str): What the tool and the configs' file names call it.
        root (str): Where the configs expect it.
        splits (tuple[Split, ...]): What it must hold.
        exact (tuple[str, ...]): Those of the splits' paths that have no others beside them.
        convert (Callable, optional): Makes what no archive holds: takes the layout, the root, files to make
            again though they are there, and workers; returns problems.
        configs (str): Which configs the tool names when all is there, ``{}`` for the name.
    """

    name: str
    root: str
    splits: tuple[Split, ...] = ()
    exact: tuple[str, ...] = ()
    convert: Callable[['Layout', Path, set[Path], Workers], list['Problem']] | None = None
    configs: str = '*_r2n50_{}.py'

    def check(self, root: Path, workers: Workers) -> 'State':
        """Look for all that it must hold."""
        return check_lists(self, root, workers)

    @property
    def archives(self) -> list[Archive]:
        """All archives, in the order of the splits."""
        return list(dict.fromkeys(a for split in self.splits for a in (split.archive, *split.files.values())))


@dataclass(frozen=True)
class Problem:
    """What isn't as it should be, and the archive that mends it."""

    text: str
    archive: Archive | None = None
    damaged: bool = False
    optional: bool = False


@dataclass
class State:
    """What was found in a folder.

    Attributes:
        counts (dict[str, int]): How many names each list has, and how many of them have each of their files.
        problems (list[Problem]): What is missing, damaged or too much.
        again (set[Path]): Files that are there, but have to be replaced.
    """

    counts: dict[str, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    again: set[Path] = field(default_factory=set)

    @property
    def code(self) -> int:
        """The tool's exit code: 0 if the data are ready, 1 if some are missing, 2 if some are damaged."""
        return max((1 + problem.damaged for problem in self.problems if not problem.optional), default=0)


# ---- checking ----------------------------------------------------------------------------------

# How an image file starts, what comes before its last pixels, and how it ends.
FORMATS = {
    'JPEG': (b'\xff\xd8', b'\xff\xda', b'\xff\xd9'),
    'PNG': (b'\x89PNG\r\n\x1a\n', b'IDAT', b'IEND\xaeB`\x82'),
}


def is_whole(path: Path) -> bool:
    """Whether an image has a start and an end, or an XML file can be parsed."""
    with open(path, 'rb') as file:
        if path.suffix == '.xml':
            with contextlib.suppress(ElementTree.ParseError):
                ElementTree.parse(file)
                return True
            return False
        head = file.read(8)
        file.seek(max(file.seek(0, os.SEEK_END) - 12, 0))
        tail = file.read()
    if any(head.startswith(start) and tail.endswith(end) for start, _, end in FORMATS.values()):
        return True
    # Some sound images have something behind their end, or another format than their name says.
    with contextlib.suppress(OSError, SyntaxError, ValueError), Image.open(path, formats=[*FORMATS]) as image:
        image.load()
        # Pillow itself is content with zeros in the place of a JPEG's last lines.
        data, (_, pixels, end) = path.read_bytes(), FORMATS[image.format]
        return data.rfind(end) > data.rfind(pixels)
    return False


def check_lists(layout: Layout, root: Path, workers: Workers) -> State:
    """Look for the lists of a data set, and for the files that they name."""
    state = State()
    there = [(split, root) for split in layout.splits if (root / split.list).is_file()]
    lists = dict(workers.run(_read, there, 'reading lists'))
    for split in layout.splits:
        _check_list(state, root, split, lists)

    needed, unknown = defaultdict(set), {}
    for split in layout.splits:
        for files, archive in split.files.items():
            if isinstance(lists.get(split.list), set):
                needed[files, archive] |= lists[split.list]
            else:
                unknown[files, archive] = split.count or 1
    owners = {}
    for files in dict.fromkeys(files for files, _ in (*needed, *unknown)):
        present, every = _present(root, files), set()
        shown = files.format('*')
        for archive in layout.archives:
            names, count = needed.get((files, archive), set()), unknown.get((files, archive), 0)
            every |= names
            owners |= {root / files.format(name): (shown, archive) for name in names & present}
            optional = bool(archive.optional) and not names & present
            if missing := names - present:
                text = f'{shown}: {len(missing):,} of {len(names):,} missing: {some(missing)}'
                state.problems.append(Problem(text, archive, optional=optional))
            elif len(present) < count:
                text = f'{shown}: {len(present):,} there, {count:,} published'
                state.problems.append(Problem(text, archive, optional=optional))
        state.counts[shown] = len(present & every)
        extra = present - every
        if extra and files in layout.exact and not any(files == f for f, _ in unknown):
            text = f"{shown}: {len(extra):,} that don't belong there, to be removed: {some(extra)}"
            state.problems.append(Problem(text))

    damaged = defaultdict(list)
    for path in workers.run(_find_damaged, sorted(owners), 'checking files'):
        damaged[owners[path]].append(path)
    for (shown, archive), paths in damaged.items():
        text = f'{shown}: {len(paths):,} damaged: {some(path.stem for path in paths)}'
        state.problems.append(Problem(text, archive, damaged=True))
        state.again |= set(paths)
    return state


def _check_list(state: State, root: Path, split: Split, lists: dict[str, set[str] | str]) -> None:
    names, other = lists.get(split.list), lists.get(split.within)
    damaged = isinstance(names, str)
    state.counts[split.list] = 0 if damaged or names is None else len(names)
    if names is None:
        text = 'missing'
    elif damaged:
        text = f'damaged: {names}'
    elif split.count not in (None, len(names)):
        text = f'it has {len(names):,} names, {split.count:,} were published'
    elif isinstance(other, set) and names - other:
        text = f'{len(names - other):,} of its names are not in {split.within}: {some(names - other)}'
    else:
        return
    state.problems.append(Problem(f'{split.list}: {text}', split.archive, damaged))
    state.again.add(root / split.list)


def _read(jobs: list[tuple[Split, Path]]) -> list[tuple[str, set[str] | str]]:
    """The names of lists, or why they can't be read."""
    found = []
    for split, root in jobs:
        try:
            names = split.read(root / split.list)
        except KeyError as error:
            names = f'it lacks {error}'
        except (ValueError, TypeError) as error:
            names = str(error)
        found.append((split.list, names))
    return found


def _find_damaged(paths: list[Path]) -> list[Path]:
    return [path for path in paths if not is_whole(path)]


def _present(root: Path, files: str) -> set[str]:
    """The names that have a file, such as 'folder/{}.jpg'."""
    folder, suffix = files.split('{}')
    try:
        names = os.listdir(root / folder)
    except (FileNotFoundError, NotADirectoryError):
        return set()
    return {name.removesuffix(suffix) for name in names if name.endswith(suffix)}


def some(names: Iterable[str]) -> str:
    """The first five names."""
    names = sorted(names)
    return ', '.join(names[:5]) + (', ...' if len(names) > 5 else '')


# ---- unpacking ---------------------------------------------------------------------------------


def unpack(archive: Archive, path: Path, root: Path, again: set[Path], workers: Workers) -> None:
    """Unpack those files of an archive that aren't there in their size.

    Args:
        archive (Archive): What it is.
        path (Path): Where it is.
        root (Path): The data set's root.
        again (set[Path]): Files to write in any case.
        workers (Workers): Who unpacks a zip or a tar of tars; another tar is read from its start to its end.

    Raises:
        UserError: If the archive is damaged.
    """
    places = archive.places(root) if archive.places else None
    target = functools.partial(_target, archive, root, again, places)
    with _damage(archive, path):
        if path.suffix == '.zip':
            with zipfile.ZipFile(path) as file:
                members = [(i.filename, i.file_size) for i in file.infolist() if not i.is_dir()]
            jobs = [(member, to) for member, size in members if (to := target(member, size))]
            workers.run(functools.partial(_unzip, archive, path), jobs, archive.name)
        elif archive.nested:
            with tarfile.open(path) as file:
                jobs = [(tar.name, tar.offset_data, tar.size) for tar in _files(file)]
            workers.run(functools.partial(_untar, archive, path, target), jobs, archive.name)
        elif path.suffix in ('.tar', '.tgz', '.gz'):
            with (
                rich.progress.open(path, 'rb', description=archive.name, **bar()) as raw,
                tarfile.open(fileobj=raw) as file,
            ):
                for member in _files(file):
                    if to := target(member.name, member.size):
                        _copy(file.extractfile(member), to)
        elif to := target(archive.name, path.stat().st_size):
            with open(path, 'rb') as file:
                _copy(file, to)


def _target(
    archive: Archive, root: Path, again: set[Path], places: dict[str, str] | None, member: str, size: int
) -> Path | None:
    below = archive.target(member)
    if places is not None:
        below = places.get(below)
    to = below and root / below
    return to if to and (to in again or not to.is_file() or to.stat().st_size != size) else None


def _files(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    for member in tar:
        if member.isfile():
            yield member
    # The loop ends at anything that is no header, be it the end or not.
    tar.fileobj.seek(tar.offset)
    if tar.fileobj.read(tarfile.BLOCKSIZE).strip(b'\0'):
        raise tarfile.ReadError('something else where a header should be')


def _untar(archive: Archive, path: Path, target: Callable, jobs: list[tuple[str, int, int]]) -> list:
    with _damage(archive, path), tarfile.open(path) as outer:
        for name, start, size in jobs:
            member = tarfile.TarInfo(name)
            member.offset_data, member.size = start, size
            with tarfile.open(fileobj=outer.extractfile(member)) as inner:
                for file in _files(inner):
                    if to := target(f'{PurePosixPath(name).stem}/{file.name}', file.size):
                        _copy(inner.extractfile(file), to)
    return []


def _unzip(archive: Archive, path: Path, jobs: list[tuple[str, Path]]) -> list:
    with _damage(archive, path), zipfile.ZipFile(path) as file:
        for member, to in jobs:
            with file.open(member) as source:
                _copy(source, to)
    return []


def _copy(source, to: Path) -> None:
    with replacing(to) as part, open(part, 'wb') as file:
        shutil.copyfileobj(source, file, 1 << 20)


@contextlib.contextmanager
def _damage(archive: Archive, path: Path) -> Iterator[None]:
    """Turn what zipfile, tarfile and gzip raise at damage into advice."""
    try:
        yield
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, OSError) as error:
        if isinstance(error, OSError) and error.errno:
            raise
        reason = str(error).partition('\n')[0] or 'no archive of its kind'
        raise UserError(
            f'{path} is damaged or incomplete ({reason}): download it again, from {archive.source}'
        ) from None


# ---- the tool ----------------------------------------------------------------------------------


def prepare(layout: Layout, root: Path, archives: Path | None = None, workers: int | None = None) -> State:
    """Check a data set; unpack and convert what it lacks, and check it again.

    Args:
        layout (Layout): The data set.
        root (Path): Where it is or shall be.
        archives (Path, optional): A folder with its archives, under their published names.
        workers (int, optional): How many processes work. Default: the number of CPUs.

    Raises:
        UserError: If an argument is wrong, an archive is damaged, or something can't be read or written.
    """
    workers = os.cpu_count() if workers is None else workers
    if workers < 1:
        raise UserError(f'--workers {workers}: at least one has to work')
    if root.exists() and not root.is_dir():
        raise UserError(f'--root {root}: that is a file, not a folder')
    if archives and not archives.is_dir():
        raise UserError(f'--archives {archives}: there is no such folder')
    try:
        with Workers(workers) as crew:
            state = layout.check(root, crew)
            needed = {problem.archive for problem in state.problems}
            found = [a for a in layout.archives if a in needed and archives and (archives / a.name).is_file()]
            for archive in found:
                unpack(archive, archives / archive.name, root, state.again, crew)
            made = layout.convert(layout, root, state.again, crew) if state.code and layout.convert else []
            if found or (state.code and layout.convert):
                state = layout.check(root, crew)
            state.problems += made
            return state
    except OSError as error:
        raise UserError(f'{error.filename or root}: {error.strerror or error}') from None


def report(layout: Layout, root: Path, archives: Path | None, state: State) -> tuple[list[str], list[str]]:
    """Lines that say what is there, and lines that say what is wrong and what to do."""
    there = [str(root), *(f'{count:>11,}  {what}' for what, count in state.counts.items())]
    wrong = [problem for problem in state.problems if not problem.optional]
    for archive in dict.fromkeys(problem.archive for problem in state.problems if problem.optional):
        there.append(f'not there, and only for {archive.optional}: {_get(archive)}')
    if not wrong:
        configs = sorted(CONFIGS.resolve().glob(layout.configs.format(layout.name)))
        there += [f'ready: python tools/train.py {os.path.relpath(config)}' for config in configs] or [
            'ready'
        ]
        if root.resolve() != Path(layout.root).resolve():
            there.append(f'which looks for it in {layout.root}: ln -s {root.resolve()} {layout.root}')
        return there, []
    needed = [archive for archive in layout.archives if any(archive == p.archive for p in wrong)]
    trouble = [f'{root} is not ready:']
    trouble += [f'  {p.text}' + (f' [{p.archive.name}]' if p.archive else '') for p in wrong]
    if needed:
        trouble += ['What is needed:', *(f'  {_get(archive, archives)}' for archive in needed)]
        folder = archives or 'FOLDER_WITH_THEM'
        trouble.append(
            f'and then: python tools/prepare_data.py {layout.name} --root {root} --archives {folder}'
        )
    return there, trouble


def _get(archive: Archive, archives: Path | None = None) -> str:
    where = f', which is not in {archives}' if archives else ''
    if archives and (archives / archive.name).is_file():
        where = f' (the one in {archives} lacks it)'
    return f'{archive.name}{where}, from {archive.source}'


def main(layout: Layout, root: str | None, archives: str | None, workers: int | None) -> int:
    """Do what ``tools/prepare_data.py`` was asked to, and return its exit code."""
    tool = Path(sys.argv[0]).name
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    root, archives = Path(root or layout.root), Path(archives) if archives else None
    try:
        state = prepare(layout, root, archives, workers)
    except UserError as error:
        print(f'{tool}: error: {error}', file=sys.stderr)
        return 2
    except SystemExit:
        print(f'{tool}: interrupted; run it again to go on', file=sys.stderr)
        raise
    there, trouble = report(layout, root, archives, state)
    print('\n'.join(there))
    if trouble:
        print(f'{tool}: error: ' + '\n'.join(trouble), file=sys.stderr)
    return state.code
