"""Checkpoints: read without executing code, renamed to the authors' names, loaded whole or not at all."""

from .download import RELEASED, SCHEME, CheckpointError, address_name, fetch, local_rank
from .integrity import check_file, write_sha256
from .loading import load_pretrained
from .naming import adapt_state_dict, describe, find_state_dict
from .reading import publish, read_checkpoint, read_meta, safe_loading

__all__ = [
    'RELEASED',
    'SCHEME',
    'CheckpointError',
    'adapt_state_dict',
    'check_file',
    'address_name',
    'describe',
    'fetch',
    'find_state_dict',
    'load_pretrained',
    'local_rank',
    'publish',
    'read_checkpoint',
    'read_meta',
    'safe_loading',
    'write_sha256',
]
