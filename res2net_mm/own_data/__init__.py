"""One's own data: what a folder of pictures holds, and the config that trains on it."""

from .formats import read
from .write import METHODS, check, write

__all__ = ['METHODS', 'check', 'read', 'write']
