"""Whether a checkpoint is what was written: hashes, checksums, finite weights, nothing that explodes."""

import contextlib
import hashlib
import os
import pickletools
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import torch
from torch import Tensor

from ..arguments import policy
from ..errors import UserError
from ..files import write_text

# Eight digits may be a date or a job's number; of the authors' released files one has such a hash.
HASH_IN_NAME = re.compile(r'-((?=\d*[a-f]|19041792)[0-9a-f]{8}|[0-9a-f]{64})\.\w+$')
FLOATS = ('weight', 'bias', 'running_mean', 'running_var')  # how the names of such parameters end
MAX_INFLATION = 4  # of a compressed file; PyTorch doesn't compress
MAX_REPEATED = 10_000_000  # values in tuples that a pickle holds more than once


class CheckpointError(UserError):
    """A checkpoint that can't be had, read or loaded; the message says why and what to do."""


def sha256(path: str | os.PathLike) -> str:
    """A file's SHA-256, in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def write_sha256(path: str | os.PathLike) -> None:
    """Write a file's SHA-256 to ``PATH.sha256``, which ``sha256sum --check`` reads, too."""
    path = Path(path)
    write_text(_sidecar(path), f'{sha256(path)}  {path.name}\n')


def hash_in_name(name: str) -> str | None:
    """The (beginning of a) SHA-256 that a published file's name ends in, as ``r2n50-1a2b3c4d.pth``."""
    return (match := HASH_IN_NAME.search(name)) and match[1]


def check_file(path: str | os.PathLike, required: bool = False) -> None:
    """Refuse a file that is damaged, or made to take all memory or time.

    Its SHA-256 is compared with ``PATH.sha256`` or else with the hash in its name; without them, the records
    of PyTorch's zip files are compared with their CRC-32s. Memory is bounded: files are read in blocks.

    Args:
        path (str | PathLike): A checkpoint of any format.
        required (bool): Whether a file that has neither is refused. Default: False.

    Raises:
        CheckpointError: If it can't be read, or isn't what its hash or checksums say.
    """
    path = Path(path)
    sidecar = _sidecar(path)
    try:
        expected, source = hash_in_name(path.name), 'its name'
        if sidecar.exists():
            words = sidecar.read_text('utf-8', errors='replace').split()
            expected, source = (words or [''])[0].lower(), str(sidecar)
            if not re.fullmatch('[0-9a-f]{64}', expected):
                raise CheckpointError(
                    f'{sidecar} holds no SHA-256; if {path.name} is whole, delete {sidecar}'
                )
        if expected and not (found := sha256(path)).startswith(expected):
            remedy = 'rename it' if source == 'its name' else f'delete {sidecar}'
            raise CheckpointError(
                f'{path} is damaged: its SHA-256 begins with {found[:8]}, not {expected[:8]} as {source} says'
                f'. Delete it, and copy or download it again; if it was changed on purpose, {remedy}'
            )
        if required and not expected:
            raise CheckpointError(
                f'{path} is refused (--require-hash): neither its name nor {sidecar} has its SHA-256. If you '
                f'trust it: (cd {path.absolute().parent}; sha256sum {path.name} > {sidecar.name})'
            )
        with path.open('rb') as file:
            _check_content(file, path, checksums=not expected)
    except OSError as error:
        raise CheckpointError(f'{path} can not be read: {error.strerror or error}') from None


def check_weights(state_dict: Mapping, source: str | os.PathLike = 'it') -> None:
    """Refuse a state dict with names that are none, or weights that are no finite floating-point numbers.

    Args:
        state_dict (Mapping): Parameters by their names; what isn't a tensor is passed over.
        source (str | PathLike): What the message calls it. Default: 'it'.

    Raises:
        CheckpointError: If there is one, or, unless ``--allow-nonfinite`` was given, one is NaN or infinite.
    """
    if not isinstance(state_dict, Mapping):
        raise CheckpointError(f"{source} holds a {type(state_dict).__name__} as its 'state_dict'")
    check_names(state_dict, source)
    for name, value in state_dict.items():
        if not isinstance(value, Tensor):
            continue
        if value.layout != torch.strided or value.is_quantized or value.is_meta:
            raise CheckpointError(
                f'{source} holds {name} as no plain tensor (sparse, quantized or without data)'
            )
        if value.is_floating_point() or value.is_complex():
            if not policy.allow_nonfinite and not _is_finite(value):
                raise CheckpointError(
                    f'{source} holds weights that are NaN or infinite, first {name}: take an earlier '
                    'checkpoint of that training (or give --allow-nonfinite)'
                )
        if name.rpartition('.')[2] in FLOATS and not value.is_floating_point():
            raise CheckpointError(f'{source} holds {name} as {value.dtype}, not as floating-point numbers')


def check_names(state_dict: Mapping, source: str | os.PathLike = 'it') -> None:
    """Refuse names that aren't strings, or are of any length."""
    refused = f'{source} holds no state dict: it has a name'
    for name in state_dict:
        if not isinstance(name, str):
            raise CheckpointError(f'{refused} that is a {type(name).__name__}')
        if len(name) > 1000:
            raise CheckpointError(f'{refused} of more than 1000 characters')


def damaged(path: str | os.PathLike, why) -> CheckpointError:
    """The error for a file that can't be read to its end."""
    size = f' ({Path(path).stat().st_size:,} bytes)' if isinstance(path, (str, os.PathLike)) else ''
    return CheckpointError(
        f'{path}{size} is cut off or damaged: {(str(why) or repr(why)).splitlines()[0]}. Delete it, and copy '
        'or download it again'
    )


def _sidecar(path: Path) -> Path:
    return path.with_name(f'{path.name}.sha256')


def _is_finite(value: Tensor) -> bool:
    if value.numel() * value.element_size() > value.untyped_storage().nbytes():  # expanded, to any size
        value = torch.empty(0, dtype=value.dtype).set_(value.untyped_storage())
    value = torch.view_as_real(value.resolve_conj()) if value.is_complex() else value
    value = value.float() if value.element_size() == 1 else value  # float8
    return not value.numel() or bool(torch.stack(value.aminmax()).isfinite().all())


def _check_content(file: BinaryIO, path: Path, checksums: bool) -> None:
    if file.read(4) != b'PK\x03\x04':
        file.seek(0)
        with contextlib.suppress(ValueError, LookupError, ArithmeticError, MemoryError):  # torch.load says so
            for _ in range(5):  # of PyTorch's format before 1.6, the fourth is the content
                _check_pickle(file, path)
        return
    size = path.stat().st_size
    try:
        with zipfile.ZipFile(file) as archive:
            unpacked = sum(record.file_size for record in archive.infolist())
            if unpacked > MAX_INFLATION * size:
                raise CheckpointError(f'{path} is refused: its {size:,} bytes unpack to {unpacked:,}')
            for record in archive.infolist():
                if record.filename.endswith('/data.pkl'):
                    with archive.open(record) as content:
                        _check_pickle(content, path)
                if checksums and record.CRC:  # PyTorch can be told to write none
                    with archive.open(record) as content:
                        while content.read(1 << 20):
                            pass
    except CheckpointError:
        raise
    except Exception as error:  # what zipfile raises depends on where a file is damaged
        raise damaged(path, error) from None


def _check_pickle(file: BinaryIO, path: Path) -> None:
    """Refuse tuples of tuples in which one value recurs so often that hashing them takes minutes.

    A hundred bytes are enough for that: each of 34 tuples holds the one before twice, the last is a dict's
    key. So the values that are taken from the pickle's memo are counted with all that they hold.
    """
    stack, marks, memo, repeated = [], [], {}, 0  # in place of each object, how many values it holds
    for opcode, argument, _ in pickletools.genops(file):
        if opcode.name == 'MARK':
            marks.append(len(stack))
        elif 'PUT' in opcode.name:
            memo[argument] = stack[-1]
        else:
            taken = opcode.stack_before
            start = len(stack) - len(taken)
            if pickletools.markobject in taken:
                start = marks.pop() - taken.index(pickletools.markobject)
            size = 1 + sum(stack[start:]) if 'TUPLE' in opcode.name else 1
            if 'GET' in opcode.name:
                size = memo[argument]
                repeated += size
                if repeated > MAX_REPEATED:
                    raise CheckpointError(f'{path} is refused: its tuples nest without end')
            stack[start:] = [size] * len(opcode.stack_after)
