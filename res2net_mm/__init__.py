"""Res2Net for OpenMMLab's toolboxes."""

from importlib.util import find_spec

__version__ = '0.1.0'

_missing = [name for name in ('mmengine', 'mmcv') if find_spec(name) is None]
if _missing:
    raise ImportError(
        f"res2net_mm needs {', '.join(_missing)}: install OneDL's mmengine and mmcv "
        "(pip install onedl-mmengine onedl-mmcv), or OpenMMLab's (pip install mmengine mmcv)."
    )

from .config import resolve_names  # noqa: E402
from .toolboxes import provide_ops  # noqa: E402

provide_ops()
resolve_names()
