"""Res2Net for OpenMMLab's toolboxes."""

from importlib.util import find_spec

__version__ = '0.1.0'

_missing = [name for name in ('torch', 'mmengine', 'mmcv') if find_spec(name) is None]
if _missing:
    raise ImportError(
        f'res2net_mm needs {", ".join(_missing)}: install PyTorch, then mmengine and mmcv, either '
        "OpenMMLab's (mmengine, mmcv) or OneDL's (onedl-mmengine, onedl-mmcv)."
    )

from .config import allow_shipped_bases  # noqa: E402

allow_shipped_bases()
