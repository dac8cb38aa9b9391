"""Checkpoints: read without executing code, renamed to the authors' names, loaded whole or not at all."""

from .download import LOCAL_RANKS, RELEASED, SCHEME, address_name, fetch, last_checkpoint, local_rank
from .integrity import CheckpointError, check_file, check_weights, sha256, write_sha256
from .loading import load_pretrained
from .naming import describe
from .reading import publish, read_checkpoint, read_training, safe_loading
from .whole import loading_whole

__all__ = [
    'LOCAL_RANKS',
    'RELEASED',
    'SCHEME',
    'CheckpointError',
    'address_name',
    'check_file',
    'check_weights',
    'describe',
    'fetch',
    'last_checkpoint',
    'load_pretrained',
    'loading_whole',
    'local_rank',
    'publish',
    'read_checkpoint',
    'read_training',
    'safe_loading',
    'sha256',
    'write_sha256',
]
