"""What mmengine's training and testing lack: hooks, the record of a run, what ``tools/`` do."""

from .graphs import CudaGraphHook
from .guard import GuardHook
from .hooks import ChannelsLastHook, CompileHook, CPUAmpOptimWrapper, CurvesHook, FuseHook
from .record import RecordHook

__all__ = [
    'CPUAmpOptimWrapper',
    'ChannelsLastHook',
    'CompileHook',
    'CudaGraphHook',
    'CurvesHook',
    'FuseHook',
    'GuardHook',
    'RecordHook',
]
