"""Reading checkpoints without executing code that they may hold."""

import argparse
import codecs
import collections
import contextlib
import functools
import hashlib
import io
import json
import os
import pathlib
import pickle
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import mmengine.runner.checkpoint
import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner.checkpoint import CheckpointLoader

from ..arguments import policy
from ..errors import UserError
from ..files import replacing
from .download import SCHEME, fetch
from .integrity import CheckpointError, check_file, check_weights, damaged

PUBLISHED = ('cfg', 'dataset_meta', 'epoch', 'iter', 'mmengine_version', 'record')  # of mmengine's meta
ABSOLUTE = re.compile(r"""(?<=['"])(?:/|~/|[A-Za-z]:\\)(?:[^'"\n]*[/\\])?([^/\\'"\n]+[/\\]*)(?=\\?['"])""")


def read_checkpoint(source: str | os.PathLike, map_location='cpu'):
    """Read a checkpoint without executing code that it may hold.

    Args:
        source (str | PathLike): A file (PyTorch's format or ``.safetensors``), an http(s) address, or
            ``res2net://NAME`` for one of the authors' released files (:data:`RELEASED`), which are
            downloaded once to torch.hub's folder. A file is checked before it is read, see
            :func:`~res2net_mm.checkpoints.check_file`.
        map_location (str | torch.device): Where the tensors go. Default: 'cpu'.

    Returns:
        The file's content, a dict in all known layouts.

    Raises:
        CheckpointError: If there is no such file, it can't be downloaded, or it is empty, cut off, not a
            checkpoint, or needs code to be executed.
    """
    source = os.fspath(source)
    if '://' in source and not source.startswith((SCHEME, 'http://', 'https://')):
        if not any(prefix and re.match(prefix, source) for prefix in CheckpointLoader._schemes):
            raise CheckpointError(f'{source}: no such kind of address')
        with safe_loading():  # torchvision://, open-mmlab:// and the like
            return CheckpointLoader.load_checkpoint(source, map_location)
    path = fetch(source)
    if path.stat().st_size == 0:
        raise CheckpointError(f'{path} is empty (0 bytes); delete it, and copy or download it again')
    if path.suffix == '.safetensors':
        check_file(path, policy.require_hash)
        return _read_safetensors(path, map_location)
    return _load_file(path, map_location)


def read_training(path: Path) -> dict:
    """A training's checkpoint, whose tensors are read from the file when they are used.

    Raises:
        CheckpointError: If it can't be read or no training can go on from it; what its tensors hold is not
            checked.
    """
    content = _load_file(path, 'cpu', mmap=zipfile.is_zipfile(path))
    try:
        whole = content['optimizer'] and all(
            isinstance(content['meta'][key], int) for key in ('epoch', 'iter')
        )
    except (TypeError, KeyError, IndexError):
        whole = False
    if not whole:
        raise CheckpointError(
            f'{path} is no checkpoint that a training goes on from; load_from takes its weights'
        )
    return content


def _load_file(file, map_location=None, weights_only=True, mmap=None):
    """Load what :func:`torch.load` takes without executing code; ``weights_only`` has no other value here."""
    if mmap:
        pass  # the caller checks the file that it chooses
    elif isinstance(file, (str, os.PathLike)):
        check_file(file, policy.require_hash)
    elif policy.require_hash:
        raise CheckpointError('--require-hash: copy the file here, that its SHA-256 can be checked')
    try:
        with _harmless():
            return torch.load(file, map_location, weights_only=True, mmap=mmap)
    except pickle.UnpicklingError as error:
        if found := re.search(r'GLOBAL ([\w.]+)', str(error)):
            raise CheckpointError(
                f'{file} holds more than weights: it asks to run {found[1]}, and code in a checkpoint '
                'is not executed. If you trust the file, load it with torch.load(..., '
                "weights_only=False) and save its 'state_dict' alone."
            ) from None
        raise CheckpointError(
            f'{file} is no PyTorch checkpoint; was a web page or an archive saved in its place? If so, '
            'delete it'
        ) from None
    except Exception as error:  # what a torn file raises depends on where it is torn
        raise damaged(file, error) from None


@contextlib.contextmanager
def safe_loading():
    """Have mmengine read checkpoints without executing code, too.

    Its own loaders fall back to unpickling anything. The tools resume, test and initialize models inside
    of this.
    """
    loader = mmengine.runner.checkpoint

    def read(filename, map_location=None, *args, **kwargs):
        content = read_checkpoint(filename, map_location)
        if not isinstance(content, dict):
            raise CheckpointError(f'{filename} holds no state dict, but a {type(content).__name__}')
        check_weights(content.get('state_dict', content), filename)
        if isinstance(content.get('meta'), dict):
            content['meta'].pop('config', None)  # Runner.resume would execute it
        return content

    replaced = dict(load_from_local=read, load_from_http=read, _safe_torch_load=_load_file)
    originals = {name: getattr(loader, name) for name in replaced if hasattr(loader, name)}
    schemes = CheckpointLoader._schemes
    CheckpointLoader._schemes = {prefix: _guarded(load) for prefix, load in schemes.items()}
    for name in originals:
        setattr(loader, name, replaced[name])
    CheckpointLoader.register_scheme(prefixes=('', 'http://', 'https://'), loader=read, force=True)
    try:
        yield
    finally:
        for name, original in originals.items():
            setattr(loader, name, original)
        CheckpointLoader._schemes = schemes


def _guarded(load):
    """Have one of mmengine's loaders raise nothing but errors that say what can't be loaded."""

    @functools.wraps(load)  # mmengine logs its name
    def guarded(filename, *args, **kwargs):
        try:
            return load(filename, *args, **kwargs)
        except UserError:
            raise
        except KeyError as error:
            raise CheckpointError(f'{filename}: there is no {error}') from None
        except Exception as error:  # of storage services' clients, most of which aren't installed
            raise CheckpointError(f'{filename} could not be loaded: {error}') from None

    return guarded


@CheckpointLoader.register_scheme(prefixes=SCHEME)
def _load_released(filename: str, map_location=None, logger=None):
    return read_checkpoint(filename, map_location)


@contextlib.contextmanager
def _harmless() -> Iterator[None]:
    """Admit the classes in training checkpoints that only store: mmengine's logs, timm's arguments."""
    admitted = torch.serialization.get_safe_globals().copy()
    modules = [x[1] if isinstance(x, tuple) else x.__module__ for x in admitted]
    torch.serialization.clear_safe_globals()
    torch.serialization.add_safe_globals(
        [
            # NumPy's own would be found before their stand-ins.
            *(x for x, module in zip(admitted, modules) if not module.startswith('numpy')),
            HistoryBuffer,
            _called('builtins.getattr', _history_method),
            _Array,
            _DType,
            _called('numpy.ndarray', _Array),
            _called('numpy.dtype', _DType),
            codecs.encode,  # how arrays' bytes are written; PyTorch 2.4 doesn't know it
            *(
                _called(f'numpy.{core}.multiarray.{name}', function)
                for core in ('core', '_core')  # NumPy 1's and 2's
                for name, function in dict(_reconstruct=_Array, scalar=_scalar).items()
            ),
            argparse.Namespace,
            *(_called(f'{m}.PosixPath', pathlib.PosixPath) for m in ('pathlib', 'pathlib._local')),  # 3.13's
            collections.defaultdict,
        ]
    )
    try:
        yield
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(list(admitted))


class _DType:
    """In place of np.dtype, whose state can have bytes taken for objects: numbers and strings alone."""

    def __init__(self, code: str, *_):
        self.dtype = np.dtype(code)
        if self.dtype.kind not in 'biufcSU':
            raise pickle.UnpicklingError(f'GLOBAL numpy.dtype({code!r})')

    def __setstate__(self, state: tuple):
        self.dtype = self.dtype.newbyteorder(state[1])


class _Array(np.ndarray):
    """In place of np.ndarray, which takes any bytes for objects; it is pickled as one."""

    def __new__(cls, *_):
        return super().__new__(cls, 0)

    def __setstate__(self, state: tuple):
        if self.size:  # a tensor may be of the memory that it has
            raise pickle.UnpicklingError('an array that is filled twice')
        version, shape, kind, *rest = state
        super().__setstate__((version, shape, kind.dtype, *rest))

    def __reduce__(self):
        return self.view(np.ndarray).__reduce__()


def _scalar(kind: _DType, content: bytes) -> np.generic:
    return np.frombuffer(content, kind.dtype)[0]


def _called(name: str, function: Callable) -> Callable:
    """A function under the name that checkpoints have for it; PyTorch before 2.6 takes no other way."""

    def called(*args):
        return function(*args)

    called.__module__, _, called.__name__ = name.rpartition('.')
    called.__qualname__ = called.__name__
    return called


def _history_method(owner, name: str):
    """In place of getattr, for which a pickled HistoryBuffer asks to name its own methods."""
    if owner is not HistoryBuffer or name.startswith('_'):
        raise pickle.UnpicklingError(f'GLOBAL builtins.getattr({owner}, {name!r})')
    return getattr(owner, name)


def _read_safetensors(path: Path, map_location):
    try:
        from safetensors.torch import load_file
    except ImportError:
        raise CheckpointError(f'{path} needs the package safetensors (pip install safetensors)') from None
    try:
        return load_file(path, device=str(map_location or 'cpu'))
    except Exception as error:  # the package's own error type has moved between releases
        raise CheckpointError(f'{path} is cut off or no safetensors file: {error}') from None


def publish(source: str | os.PathLike, target: str | os.PathLike) -> Path:
    """Write what others need of a training's checkpoint: the weights, and what they were trained with.

    The optimizer, the schedulers and the logs stay behind, and of absolute paths all but the last part; of an
    EMA the weights are the averaged ones, as mmengine saved them.

    Args:
        source (str | PathLike): mmengine's checkpoint, see :func:`read_checkpoint`.
        target (str | PathLike): The file to write, to whose stem the start of its SHA-256 is added.

    Returns:
        Path: The file, such as ``r2n50_imagenet-1a2b3c4d.pth``.

    Raises:
        CheckpointError: If the source can't be read or isn't mmengine's, or the target isn't called .pth or
            can't be written.
    """
    target = Path(target)
    if target.suffix != '.pth':
        raise CheckpointError(f'{target}: the name must end in .pth')
    content = read_checkpoint(source)
    if not isinstance(content, dict) or not isinstance(content.get('state_dict'), Mapping):
        raise CheckpointError(f"{source} is no checkpoint of a training: it has no 'state_dict'")
    check_weights(content['state_dict'], source)
    meta = content.get('meta') or {}
    kept = {key: meta[key] for key in PUBLISHED if key in meta}
    for key in ('cfg', 'record'):  # the name is enough of where something was on this machine
        if kept.get(key):
            kept[key] = json.loads(ABSOLUTE.sub(r'\1', json.dumps(kept[key], default=str)))
    buffer = io.BytesIO()
    try:
        torch.save(dict(meta=kept, state_dict=dict(content['state_dict'])), buffer)
    except RecursionError:
        raise CheckpointError(f"{source} nests too deep in its 'meta'") from None
    data = buffer.getvalue()
    digest = hashlib.sha256(data).hexdigest()
    stamp = digest if digest[:8].isdigit() else digest[:8]  # eight digits may be a date
    path = target.with_name(f'{target.stem}-{stamp}.pth')
    try:
        with replacing(path) as part:
            part.write_bytes(data)
    except OSError as error:
        raise CheckpointError(f'could not write {path}: {error.strerror}') from None
    return path
