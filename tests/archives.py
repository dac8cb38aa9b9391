"""What the tests of tools/dataset_converters share: pictures, archives, and what is in a folder."""

import io
import tarfile
from pathlib import Path

import numpy as np
from dataset_converters import prepare
from PIL import Image


def encoded(kind: str, array: np.ndarray, palette: list[int] | None = None) -> bytes:
    image, file = Image.fromarray(array), io.BytesIO()
    if palette:
        image.putpalette(palette)
    image.save(file, kind)
    return file.getvalue()


def picture(seed: int) -> bytes:
    return encoded('JPEG', np.random.default_rng(seed).integers(0, 256, (16, 24, 3), np.uint8))


def tar(files: dict[str, str | bytes], mode: str = 'w') -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode=mode) as archive:
        for name, content in files.items():
            content = content if isinstance(content, bytes) else content.encode()
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return data.getvalue()


def run(layout: prepare.Layout, root: Path, archives: Path | None = None, workers: int = 1):
    """Prepare a data set; the tool's exit code, and what is wrong."""
    state = prepare.prepare(layout, root, archives, workers)
    return state.code, '\n'.join(problem.text for problem in state.problems if not problem.optional)


def messages(layout: prepare.Layout, root: Path, archives: Path | None = None) -> tuple[str, str]:
    """Prepare a data set; what the tool prints of what is there, and of what is wrong."""
    there, trouble = prepare.report(layout, root, archives, prepare.prepare(layout, root, archives, 1))
    return '\n'.join(there), '\n'.join(trouble)


def files(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob('*') if p.is_file()}


def times(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob('*')}
