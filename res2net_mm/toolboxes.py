"""The packages around this one, mmengine, mmcv and the toolboxes: what they lack, and whether they import."""

import importlib
import io
import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from functools import cache
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.metadata import Distribution
from importlib.util import find_spec, spec_from_file_location
from pathlib import Path

from mmengine.registry import Registry

from .errors import UserError

# OneDL's and OpenMMLab's distributions of the toolboxes, which import under the same names.
ONEDL = {
    'mmdet': 'onedl-mmdetection faster-coco-eval',
    'mmseg': 'onedl-mmsegmentation pysodmetrics',
    'mmpretrain': 'onedl-mmpretrain',
}
OPENMMLAB = {
    'mmdet': 'mmdet',
    'mmseg': 'mmsegmentation ftfy regex pysodmetrics',
    'mmpretrain': 'mmpretrain',
    'pkg_resources': "'setuptools<81'",  # mmengine's
}


def how_to_install(text: str) -> str:
    """What to do about the toolbox that a text names, on a line of its own, or nothing."""
    if re.search(r'\bmmpose\b', text):
        return '\nmake env, in a checkout, installs it without what no longer builds: see docs/environment.md'
    # OneDL's would bring their own mmengine, which overwrites OpenMMLab's.
    kind = OPENMMLAB if any(Distribution.discover(name='mmengine')) else ONEDL
    named = [name for name in kind if re.search(rf'\b{name}\b', text)]
    return f'\nTo install it: pip install {kind[named[0]]}' if named else ''


class OpsFinder(MetaPathFinder):
    """Finds ``mmcv._ext`` in :mod:`res2net_mm.ops` where nothing before it found a compiled one."""

    def find_spec(self, fullname: str, path=None, target=None) -> ModuleSpec | None:
        """The spec of that module, and of no other."""
        if fullname == 'mmcv._ext':
            return spec_from_file_location(fullname, Path(__file__).with_name('ops') / 'ext.py')
        return None


@contextmanager
def importing(toolbox: str) -> Iterator[None]:
    """A context in which an import that fails raises a `UserError`.

    Raises:
        UserError: With what went wrong, and where.
    """
    try:
        yield
    except Exception as error:  # whatever a package does when it is imported
        cause = ''.join(traceback.format_exception_only(error)).strip()
        where = traceback.extract_tb(error.__traceback__)[-1]
        raise UserError(
            f'{toolbox} is installed, but importing it fails:\n  {cause}\n'
            f'  in {where.filename}, line {where.lineno}'
        ) from error


@cache
def import_toolbox(name: str) -> list[Registry]:
    """Import all that a toolbox registers.

    Args:
        name (str): Its module, which is also its registries' scope, such as 'mmdet'.

    Returns:
        list[Registry]: Its registries; none if it isn't installed or has none.

    Raises:
        UserError: If it is installed, but importing it fails, with the cause.
    """
    if find_spec(name) is None:
        return []
    with importing(name):
        if find_spec(f'{name}.registry') is None:
            return []
        registry = importlib.import_module(f'{name}.registry')
        registries = [r for r in vars(registry).values() if isinstance(r, Registry)]
        said = io.StringIO()
        with redirect_stdout(said):  # what mmdet prints of a package that nobody misses is left out
            for each in registries:
                each.import_from_location()
        print(''.join(x for x in said.getvalue().splitlines(True) if 'import OneDL' not in x), end='')
        registries.sort(key=lambda each: each.scope != name)  # before mmengine's, which it imports
    return registries
