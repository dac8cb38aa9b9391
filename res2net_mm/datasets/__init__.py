"""What no toolbox has: a data set of salient objects, and a loader that names images which it can't read."""

from .images import LoadImageFromFile
from .saliency import LoadSaliencyMask, SaliencyDataset

__all__ = ['LoadImageFromFile', 'LoadSaliencyMask', 'SaliencyDataset']
