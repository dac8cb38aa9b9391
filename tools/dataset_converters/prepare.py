"""Brings a published data set into the layout that the configs expect, and says what is missing.

What a data set consists of is data, a ``Layout``; those of the configs are in ``layouts.py``. Nothing is
downloaded. A file gets its name when it is whole, so a run that was interrupted is simply repeated.
"""

import contextlib
import os
import shlex
import shutil
import signal
import sys
import tarfile
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.pool import ThreadPool
from pathlib import Path, PurePosixPath
from typing import BinaryIO
from xml.etree import ElementTree

import rich.progress
from PIL import Image
from rich.console import Console

from res2net_mm.errors import UserError, command
from res2net_mm.files import replacing

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'

# ---- what a data set consists of ---------------------------------------------------------------


@dataclass(frozen=True)
class Archive:
    """A published file: a zip or tar, or a plain file that is copied."""

    name: str  # its published one
    source: str  # where it is published
    # What the names of the members start with that are unpacked; nothing: it has to be done by hand.
    wanted: tuple[str, ...] = ('',)
    strip: str = ''  # what is cut off their start
    folder: str = ''  # what is put before them instead, with a slash at its end
    optional: str = ''  # what needs it, if not everything does
    nested: bool = False  # its members are tars, each of whose files go to a folder of the tar's name

    def target(self, root: Path, member: str) -> Path | None:
        """Where a member goes; None if it isn't wanted."""
        parts = PurePosixPath(member).parts
        if member.startswith('/') or '..' in parts:
            raise UserError(f'{self.name} is not the published one: its {member} would go outside the folder')
        name = '/'.join(parts)
        wanted = name.startswith(self.wanted)
        return root / (self.folder + name.removeprefix(self.strip)) if wanted else None


@dataclass(frozen=True)
class Split:
    """Names that a file or folder lists, and what each needs; paths are below the data set's root."""

    list: str  # the file or folder
    read: Callable[[Path], set[str]]  # its names; raises ValueError, KeyError or TypeError if it is broken
    archive: Archive  # what holds it, or what it is made from
    count: int | None = None  # how many names it was published with
    files: dict[str, Archive] = field(default_factory=dict)  # paths with {} for the name, what holds them
    within: str = ''  # another list, which has all the names of this one


@dataclass(frozen=True)
class Problem:
    """What isn't as it should be, and the archive that mends it."""

    text: str
    archive: Archive | None = None
    damaged: bool = False
    optional: bool = False


@dataclass
class State:
    """What was found in a folder."""

    counts: dict[str, int] = field(default_factory=dict)  # names of each list, and how many have each file
    problems: list[Problem] = field(default_factory=list)  # what is missing, damaged or too much
    again: set[Path] = field(default_factory=set)  # files that are there, but have to be replaced

    @property
    def code(self) -> int:
        """The tool's exit code: 0 if the data are ready, 1 if some are missing, 2 if some are damaged."""
        return max((1 + problem.damaged for problem in self.problems if not problem.optional), default=0)

    def add(self, text: str, archive: Archive | None = None, damaged=False, optional=False) -> None:
        self.problems.append(Problem(text, archive, damaged, optional))

    def add_damaged(self, shown: str, archive: Archive, paths: list[Path]) -> None:
        if paths:
            self.add(f'{shown}: {len(paths):,} damaged: {some(path.stem for path in paths)}', archive, True)
            self.again |= set(paths)


@dataclass(frozen=True)
class Layout:
    """A data set."""

    name: str  # what the tool and the configs' file names call it
    root: str  # where the configs expect it
    splits: tuple[Split, ...] = ()  # what it must hold
    exact: tuple[str, ...] = ()  # those of the splits' paths that have no others beside them
    # Makes what no archive holds, of the layout, the root, files to make again though they are there, and the
    # workers' map; returns problems.
    convert: Callable[['Layout', Path, set[Path], Callable], list[Problem]] | None = None
    configs: str = '*_r2n50_{}.py'  # which the tool names when all is there, {} for the name

    @property
    def archives(self) -> list[Archive]:
        """All archives, in the order of the splits."""
        return list(dict.fromkeys(a for split in self.splits for a in (split.archive, *split.files.values())))

    def check(self, root: Path, map: Callable) -> State:
        """Look for the lists of the data set, and for the files that they name."""
        state, wanted, owners = State(), defaultdict(set), {}
        present = {files: find(root, files) for split in self.splits for files in split.files}
        lists = dict(map(partial(read_list, root), self.splits, 'reading lists'))
        for split in self.splits:
            check_list(state, root, split, lists)
        for split in self.splits:
            names = lists[split.list]
            for files, archive in split.files.items():
                there, shown, text = present[files], files.format('*'), ''
                state.counts.setdefault(shown, 0)
                if isinstance(names, set):
                    state.counts[shown] += len((names & there) - wanted[files])
                    wanted[files] |= names
                    owners |= {root / files.format(name): (shown, archive) for name in names & there}
                    if missing := names - there:
                        text = f'{len(missing):,} of {len(names):,} missing: {some(missing)}'
                elif len(there) < (split.count or 1):
                    text = f'{len(there):,} there, {split.count or 1:,} published'
                if text:
                    needless = archive.optional and not (isinstance(names, set) and names & there)
                    state.add(f'{shown}: {text}', archive, optional=bool(needless))
        for files in self.exact:
            extra = present[files] - wanted[files]
            if extra and all(isinstance(lists[s.list], set) for s in self.splits if files in s.files):
                text = f"{len(extra):,} that don't belong there, to be removed: {some(extra)}"
                state.add(f'{files.format("*")}: {text}')

        damaged, paths = defaultdict(list), sorted(owners)
        for path, whole in zip(paths, map(is_whole, paths, 'checking files')):
            if not whole:
                damaged[owners[path]].append(path)
        for (shown, archive), paths in damaged.items():
            state.add_damaged(shown, archive, paths)
        return state


def read_list(root: Path, split: Split) -> tuple[str, set[str] | str | None]:
    """A list and its names; or why they can't be read, None if it isn't there."""
    try:
        return split.list, split.read(root / split.list)
    except (FileNotFoundError, NotADirectoryError):
        return split.list, None
    except KeyError as error:
        return split.list, f'it lacks {error}'
    except (ValueError, TypeError) as error:
        return split.list, str(error)


def check_list(state: State, root: Path, split: Split, lists: dict[str, set[str] | str | None]) -> None:
    names, other = lists[split.list], lists.get(split.within)
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
    state.add(f'{split.list}: {text}', split.archive, damaged, names is None and bool(split.archive.optional))
    state.again.add(root / split.list)


def find(root: Path, files: str) -> set[str]:
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


# How an image file starts, what comes before its last pixels, and how it ends.
FORMATS = {
    'JPEG': (b'\xff\xd8', b'\xff\xda', b'\xff\xd9'),
    'PNG': (b'\x89PNG\r\n\x1a\n', b'IDAT', b'IEND\xaeB`\x82'),
}


def is_whole(path: Path) -> bool:
    """Whether an image has a start and an end, or an XML file can be parsed."""
    if not path.is_file():  # a dead link
        return False
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


def loadmat(path: Path, **options) -> dict:
    """Read a file of MATLAB.

    Raises:
        ValueError: If it is damaged.
        UserError: If scipy is missing.
    """
    try:
        import scipy.io
    except ImportError:
        raise UserError(f'{path} is a file of MATLAB, which scipy reads: pip install scipy') from None
    with open(path, 'rb') as file:
        try:
            return scipy.io.loadmat(file, **options)
        except Exception as error:  # of a broken file scipy's reader raises all kinds
            raise ValueError(f'damaged: {error}') from None


# ---- unpacking ---------------------------------------------------------------------------------


def unpack(archive: Archive, path: Path, root: Path, again: set[Path]) -> None:
    """Unpack those files of an archive that aren't there in their size, or have to be written ``again``.

    Raises:
        UserError: If the archive is damaged.
    """
    try:
        with rich.progress.open(path, 'rb', description=archive.name, **bar()) as file:
            for name, size, start in members(archive, path, file):
                to = archive.target(root, name)
                if to and (to in again or not to.is_file() or to.stat().st_size != size):
                    with start() as source, replacing(to) as part, open(part, 'wb') as target:
                        shutil.copyfileobj(source, target, 1 << 20)
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, OSError) as error:
        if isinstance(error, OSError) and error.errno:
            raise
        reason = str(error).partition('\n')[0] or 'no archive of its kind'
        raise UserError(
            f'{path} is damaged or incomplete ({reason}): download it again, from {archive.source}'
        ) from None


def members(archive: Archive, path: Path, file: BinaryIO) -> Iterator[tuple[str, int, Callable]]:
    """Name and size of each file in an archive, and what opens it."""
    if path.suffix == '.zip':
        with zipfile.ZipFile(file) as contents:
            for member in contents.infolist():
                if not member.is_dir():
                    yield member.filename, member.file_size, partial(contents.open, member)
    elif path.suffix in ('.tar', '.tgz', '.gz'):
        for tar, member in tar_members(file):
            if archive.nested:
                for inner, image in tar_members(tar.extractfile(member)):
                    name = f'{PurePosixPath(member.name).stem}/{image.name}'
                    yield name, image.size, partial(inner.extractfile, image)
            else:
                yield member.name, member.size, partial(tar.extractfile, member)
    else:
        yield archive.name, path.stat().st_size, partial(contextlib.nullcontext, file)


def tar_members(file: BinaryIO) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
    with tarfile.open(fileobj=file) as tar:
        for member in tar:
            if member.isfile():
                yield tar, member
        # The loop ends at anything that is no header, be it the end or not.
        tar.fileobj.seek(tar.offset)
        if tar.fileobj.read(tarfile.BLOCKSIZE).strip(b'\0'):
            raise tarfile.ReadError('something else where a header should be')


# ---- the tool ----------------------------------------------------------------------------------


def bar() -> dict:
    """How rich's progress bars are shown: to people, while they wait."""
    return dict(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty())


def map_in(pool: ThreadPool, function: Callable, jobs: list, what: str) -> Iterable:
    results = pool.imap(function, jobs, chunksize=len(jobs) // 1000 or 1)
    return rich.progress.track(results, what, len(jobs), **bar())


def stop(number: int, _=None) -> None:
    """Handle a signal: leave with the shell's exit code for it, undisturbed while cleaning up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(128 + number)


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
        # Threads: the work is waiting for files.
        with ThreadPool(workers) as pool:
            map = partial(map_in, pool)
            state = layout.check(root, map)
            needed = {problem.archive for problem in state.problems}
            found = [a for a in layout.archives if a in needed and archives and (archives / a.name).is_file()]
            for archive in found:
                unpack(archive, archives / archive.name, root, state.again)
            made = layout.convert(layout, root, state.again, map) if state.code and layout.convert else []
            if found or (state.code and layout.convert):
                state = layout.check(root, map)
            state.problems += made
            return state
    except OSError as error:
        raise UserError(f'{error.filename or root}: {error.strerror or error}') from None


def report(layout: Layout, root: Path, archives: Path | None, state: State) -> tuple[list[str], list[str]]:
    """Lines that say what is there, and lines that say what is wrong and what to do."""
    there = [str(root), *(f'{count:>11,}  {what}' for what, count in state.counts.items())]
    wrong = [problem for problem in state.problems if not problem.optional]
    for archive in dict.fromkeys(problem.archive for problem in state.problems if problem.optional):
        there.append(f'not there, and only for {archive.optional}: {where_from(archive)}')
    if not wrong:
        configs = sorted(CONFIGS.glob(layout.configs.format(layout.name)))
        there += [f'ready: {command("train")} {os.path.relpath(c)}' for c in configs] or ['ready']
        if root.resolve() != Path(layout.root).resolve():
            there.append(f'which looks for it in {layout.root}: ln -s {root.resolve()} {layout.root}')
        return there, []
    trouble = [f'{root} is not ready:']
    trouble += [f'  {p.text}' + (f' [{p.archive.name}]' if p.archive else '') for p in wrong]
    if needed := [archive for archive in layout.archives if any(archive == p.archive for p in wrong)]:
        trouble += ['What is needed:', *(f'  {where_from(archive, archives)}' for archive in needed)]
        arguments = [layout.name, '--root', str(root), '--archives', str(archives or 'FOLDER_WITH_THEM')]
        again = f'{command("prepare_data")} {shlex.join(arguments)}'
        trouble.append(f'and then: {again}')
    return there, trouble


def where_from(archive: Archive, archives: Path | None = None) -> str:
    where = f', which is not in {archives}' if archives else ''
    if not archive.wanted:
        where = ', to be unpacked into the folder by hand'
    elif archives and (archives / archive.name).is_file():
        where = f' (the one in {archives} lacks it)'
    return f'{archive.name}{where}, from {archive.source}'


def main(layout: Layout, root: str | None, archives: str | None, workers: int | None) -> int:
    """Do what ``tools/prepare_data.py`` was asked to, and return its exit code."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    root, archives = Path(root or layout.root), Path(archives) if archives else None
    try:
        state = prepare(layout, root, archives, workers)
    except SystemExit:
        print(f'{Path(sys.argv[0]).name}: interrupted; run it again to go on', file=sys.stderr)
        raise
    there, trouble = report(layout, root, archives, state)
    print('\n'.join(there))
    if trouble:
        print(f'{Path(sys.argv[0]).name}: error: ' + '\n'.join(trouble), file=sys.stderr)
    return state.code
