"""Data sets that no toolbox reads."""

from .saliency import LoadSaliencyMask, SaliencyDataset

__all__ = ['LoadSaliencyMask', 'SaliencyDataset']
