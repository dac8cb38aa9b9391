"""What runs measured, as tables and plots."""

from .metrics import print_metrics

__all__ = ['print_metrics']
