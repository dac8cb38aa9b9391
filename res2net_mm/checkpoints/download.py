"""Where checkpoints come from: paths, addresses, and the authors' released weights, downloaded once."""

import hashlib
import http.client
import os
import re
from pathlib import Path
from urllib.parse import urlparse

import torch
from mmengine.dist import barrier
from mmengine.logging import print_log

from ..errors import UserError

SCHEME = 'res2net://'
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


class CheckpointError(UserError):
    """A checkpoint that can't be had, read or loaded; the message says why and what to do."""


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
        if stamp := re.search(r'-(?=\d*[a-f])([0-9a-f]{8,})\.\w+$', name.name):  # not a date
            return _download(source, name.name, stamp[1])  # of whatever address, the hash says what it is
        address = hashlib.sha256(source.encode()).hexdigest()[:12]
        return _download(source, f'{name.stem[:100]}_{address}{name.suffix[:20]}', None)
    path = Path(source).expanduser()
    if not path.is_file():
        raise CheckpointError(f'checkpoint not found: {path.absolute()}')
    return path


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
    return int(os.environ.get('LOCAL_RANK') or os.environ.get('SLURM_LOCALID') or 0)


def _download(url: str, name: str, sha256: str | None) -> Path:
    """Fetch ``url`` into torch.hub's folder unless it is there.

    The first process of each node does it, and the others meet it at the barrier, or, before there is a
    process group, when it is formed.
    """
    path = Path(torch.hub.get_dir(), 'checkpoints', name)
    if local_rank() == 0 and not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        print_log(f'downloading {url} to {path}', logger='current')
        try:
            torch.hub.download_url_to_file(url, str(path), sha256, progress=True)
        except RuntimeError as error:
            raise CheckpointError(f'{url}: the download is not the expected file: {error}') from None
        except (OSError, http.client.HTTPException, ValueError) as error:  # ValueError: no address at all
            raise CheckpointError(
                f'could not download {url} ({getattr(error, "reason", error)}). Put the file at {path} '
                'by hand. To train from scratch: init_cfg=None (--cfg-options model.backbone.init_cfg=None)'
            ) from None
    barrier()
    if sha256 and path.exists():
        with path.open('rb') as file:
            digest = hashlib.sha256(file.read()).hexdigest()
        if not digest.startswith(sha256):
            raise CheckpointError(
                f'{path} is damaged: its SHA-256 begins with {digest[: len(sha256)]}, not {sha256}. '
                'Delete it; it will be downloaded again.'
            )
    return path
