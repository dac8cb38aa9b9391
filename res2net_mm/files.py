"""Atomic writes of files, and walks through folders with links."""

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Write a file atomically: yields a temporary path, which is synced and renamed if no error is raised."""
    make_folder(path.parent)
    part = path.with_name(f'.{path.name}.{os.getpid()}.part')
    try:
        yield part
        _sync(part, os.O_RDWR)  # Windows syncs nothing that is open for reading
        os.replace(part, path)
        with contextlib.suppress(PermissionError):  # Windows opens no folders
            _sync(path.parent, os.O_RDONLY)
    finally:
        part.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    with replacing(path) as part:
        part.write_text(text, encoding='utf-8')


def make_folder(path: Path) -> None:
    """Make a folder, and those above it, unless it is there.

    Raises:
        OSError: If it can't be made, such as where a file is in the way.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), error.filename) from None


def walk(path: str | Path) -> Iterator[tuple[Path, list[str], list[str]]]:
    """Walk a folder as :func:`os.walk` does, in order, also behind links, each folder once."""
    seen = set()
    for folder, folders, files in os.walk(path, followlinks=True):
        folders.sort()
        if os.path.realpath(folder) in seen:  # a link in a circle
            folders.clear()
        else:
            yield Path(folder), folders, files
        seen.add(os.path.realpath(folder))


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
