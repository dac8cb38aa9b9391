"""The networks."""

from .bottle2neck import Bottle2neck
from .res2net import Res2Layer, Res2Net

__all__ = ['Bottle2neck', 'Res2Layer', 'Res2Net']
