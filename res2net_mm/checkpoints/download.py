"""Where checkpoints come from: paths, addresses, and the authors' released weights, downloaded once."""

import hashlib
import http.client
import os
import shutil
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import Request, urlopen

import torch
from mmengine.dist import barrier
from mmengine.logging import print_log
from rich.console import Console
from rich.progress import wrap_file

from ..files import replacing
from .integrity import CheckpointError, hash_in_name, sha256, write_sha256

SCHEME = 'res2net://'
LOCAL_RANKS = ('LOCAL_RANK', 'SLURM_LOCALID', 'OMPI_COMM_WORLD_LOCAL_RANK')
LAST = 'last_checkpoint'  # mmengine's file in a work directory, which names a checkpoint
TIMEOUT = 60  # seconds without a byte, after which a server is given up
RELEASE_URL = 'https://shanghuagao.oss-cn-beijing.aliyuncs.com/res2net/'
RELEASED = {  # the authors' weights, and how the SHA-256 of each file begins
    'res2net50_26w_4s': '06e79181',
    'res2net50_48w_2s': 'afed724a',
    'res2net50_14w_8s': '6527dddc',
    'res2net50_26w_6s': '19041792',
    'res2net50_26w_8s': '2c7c9f12',
    'res2net101_26w_4s': '02a759a1',
    'res2next50_4s': '6ef7e7bf',
    'res2net_dla60_4s': 'd88db7f9',
    'res2next_dla60_4s': 'd327927b',
    'res2net50_v1b_26w_4s': '3cf99910',
    'res2net101_v1b_26w_4s': '0812c246',
}


def fetch(source: str | os.PathLike) -> Path:
    """The file that a path, an http(s) address or ``res2net://NAME`` stands for, downloaded if need be.

    A downloaded file's name has a hash: that of its content where the address gives one, or else that of the
    whole address. So no two files share a name, though many addresses end in ``epoch_1.pth``.

    Raises:
        CheckpointError: If there is no such file, or it can't be downloaded or isn't the one expected.
    """
    source = os.fspath(source)
    if source.startswith(SCHEME):
        name = source.removeprefix(SCHEME)
        if name not in RELEASED:
            raise CheckpointError(f'{source}: no such weights; there are {", ".join(RELEASED)}')
        file = f'{name}-{RELEASED[name]}.pth'
        return _download(RELEASE_URL + file, file, RELEASED[name])
    if source.startswith(('http://', 'https://')):
        name = address_name(source)
        if expected := hash_in_name(name.name):
            return _download(source, name.name, expected)  # of whatever address, the hash says what it is
        address = hashlib.sha256(source.encode()).hexdigest()[:12]
        return _download(source, f'{name.stem[:100]}_{address}{name.suffix[:20]}', None)
    try:
        path = Path(source).expanduser()
        last = path / LAST if path.is_dir() else path
        if last.name == LAST and last.is_file():
            raise CheckpointError(f'{path} is no checkpoint; its last one is {last_checkpoint(last.parent)}')
        if path.is_file():
            return path
    except (OSError, RuntimeError) as error:  # no permission, a name too long; no such user's home
        raise CheckpointError(
            f'checkpoint not found: {source} ({getattr(error, "strerror", error)})'
        ) from None
    if '://' in source:
        raise CheckpointError(f'{source}: download it first; only http(s) and {SCHEME} are fetched')
    raise CheckpointError(f'checkpoint not found: {path.absolute()}' + ' (a folder)' * path.is_dir())


def last_checkpoint(work_dir: str | os.PathLike) -> str:
    """Path of the newest checkpoint in a work directory, as mmengine recorded it, wherever it was then."""
    file = Path(work_dir, LAST)
    path = Path(file.read_text('utf-8').strip()) if file.exists() else None
    here = path and Path(work_dir, path.name)
    return str(here if here and here.exists() else path or f'none in {work_dir}')


def address_name(address: str) -> Path:
    """The name of the file at an http(s) address, without a query.

    Raises:
        CheckpointError: If it is no address.
    """
    try:
        return Path(Path(urlparse(address).path).name or 'checkpoint')
    except ValueError as error:
        raise CheckpointError(f'{address} is no address: {error}') from None


def local_rank() -> int:
    """This process's number on its node, also before the process group is formed."""
    return int(next(filter(None, map(os.environ.get, LOCAL_RANKS)), 0))


def _download(url: str, name: str, expected: str | None) -> Path:
    """Fetch ``url`` into torch.hub's folder, and write its SHA-256 beside it, unless it is there.

    The first process of each node does it, and the others meet it at the barrier, or, before there is a
    process group, when it is formed.
    """
    path = Path(torch.hub.get_dir(), 'checkpoints', name)
    if local_rank() == 0 and not path.exists():
        print_log(f'downloading {url} to {path}', logger='current')
        try:
            with replacing(path) as part:
                _receive(url, part)
                if expected and not (found := sha256(part)).startswith(expected):
                    raise CheckpointError(
                        f'{url}: the download is not the expected file: its SHA-256 begins with '
                        f'{found[: len(expected)]}, not {expected}'
                    )
            write_sha256(path)
        except (OSError, http.client.HTTPException, ValueError) as error:  # ValueError: no address at all
            raise CheckpointError(
                f'could not download {url} ({getattr(error, "reason", error)}). Put the file at {path} '
                'by hand. To train from scratch: --cfg-options model.backbone.init_cfg=None, and, where the '
                'config holds them, model.backbone.frozen_stages=-1 model.backbone.norm_eval=False'
            ) from None
    barrier()
    return path


def _receive(url: str, path: Path) -> None:
    """Write what an address holds to a file, whole, or raise an OSError."""
    request = Request(url, headers={'User-Agent': 'res2net_mm'})
    with urlopen(request, timeout=TIMEOUT) as response, path.open('wb') as file:
        length = response.info().get('Content-Length')
        total = None if length is None else int(length)
        console = Console(stderr=True)
        with wrap_file(response, total, description='', console=console) as body:  # with a progress bar
            shutil.copyfileobj(body, file)
        if total is not None and file.tell() != total:
            raise OSError(f'it ended after {file.tell():,} of {total:,} bytes')
