"""Adds to pyproject.toml the files that OpenMMLab's tools look for in a package's `.mim` folder."""

import shutil
from contextlib import suppress
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent


class BuildPyWithMim(build_py):
    """Makes `.mim`: copies in a wheel, links in the source tree for an editable install."""

    def run(self):
        super().run()
        mim = Path(ROOT if self.editable_mode else self.build_lib, 'res2net_mm', '.mim')
        shutil.rmtree(mim, ignore_errors=True)
        mim.mkdir(parents=True)
        for name in ('configs', 'tools', 'model-index.yml'):
            if self.editable_mode:
                with suppress(
                    OSError
                ):  # Windows may make no links; the package then finds the checkout's own
                    (mim / name).symlink_to(Path('..', '..', name))
            elif (ROOT / name).is_file():
                shutil.copy(ROOT / name, mim)
            else:
                shutil.copytree(ROOT / name, mim / name, ignore=shutil.ignore_patterns('__pycache__'))


setup(cmdclass={'build_py': BuildPyWithMim})
