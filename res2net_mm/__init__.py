"""Res2Net for OpenMMLab's toolboxes."""

import os
import sys
from importlib.util import find_spec

__version__ = '0.1.0'

# OpenMP's threads spin for milliseconds while they wait, which takes CPUs from data workers and other work;
# this is about as long as waking up takes. It is read when PyTorch is imported.
if 'OMP_WAIT_POLICY' not in os.environ:
    os.environ.setdefault('GOMP_SPINCOUNT', '10000')

_missing = [name for name in ('mmengine', 'mmcv') if find_spec(name) is None]
if _missing:
    raise ImportError(
        f"res2net_mm needs {', '.join(_missing)}: install OneDL's mmengine and mmcv "
        '(pip install onedl-mmengine onedl-mmcv), and the toolbox that is wanted (onedl-mmdetection, '
        "onedl-mmsegmentation, onedl-mmpretrain), or OpenMMLab's (pip install mmengine mmcv mmdet ...)."
    )

from .config import resolve_names  # noqa: E402
from .toolboxes import OpsFinder  # noqa: E402

sys.meta_path.append(OpsFinder())
resolve_names()
