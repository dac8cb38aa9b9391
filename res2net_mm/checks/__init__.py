"""The data that a config names, looked through before a run: one message says all that is wrong."""

from .contents import check, look

__all__ = ['check', 'look']
