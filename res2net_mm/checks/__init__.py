"""The data that a config names, looked through before a run: one message says all that is wrong."""

from .coco import check_coco
from .contents import check, look
from .pixels import check_folders, check_labels, check_saliency, check_segmentation
from .problems import Problems, Sample
from .voc import check_voc

__all__ = [
    'Problems',
    'Sample',
    'check',
    'check_coco',
    'check_folders',
    'check_labels',
    'check_saliency',
    'check_segmentation',
    'check_voc',
    'look',
]
