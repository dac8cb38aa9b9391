"""What mmengine's training and testing lack: hooks, the record of a run, what ``tools/`` do."""

from .hooks import ChannelsLastHook, CPUAmpOptimWrapper, CurvesHook, FuseHook
from .record import RecordHook

__all__ = ['CPUAmpOptimWrapper', 'ChannelsLastHook', 'CurvesHook', 'FuseHook', 'RecordHook']
