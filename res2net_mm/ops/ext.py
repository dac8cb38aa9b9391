"""The module ``mmcv._ext`` where mmcv was installed without it.

Importing :mod:`res2net_mm` is enough for mmcv to find it. Where mmcv is to have it from the start, as in the
environment that ``make env`` makes, a copy of this file is mmcv's ``_ext.py``. A compiled one comes first.
"""

from res2net_mm.ops import *  # noqa: F403
from res2net_mm.ops.missing import get_compiler_version, get_compiling_cuda_version, missing  # noqa: F401


def __getattr__(name):
    if name.startswith('__'):
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return missing(name)
