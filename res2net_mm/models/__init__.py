"""The networks."""

from .big_little import BLRes2Net
from .bottle2neck import Bottle2neck
from .cifar import Res2NeXtCIFAR
from .dla import Res2NetDLA
from .dss_head import DSSHead
from .res2net import Res2Layer, Res2Net

__all__ = ['BLRes2Net', 'Bottle2neck', 'DSSHead', 'Res2Layer', 'Res2NeXtCIFAR', 'Res2Net', 'Res2NetDLA']
