"""Metrics that no toolbox has."""

from .saliency import SaliencyMetric

__all__ = ['SaliencyMetric']
