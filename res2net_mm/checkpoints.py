"""Where weights come from, and what other projects call the same parameters.

A file is read without executing pickled code, its parameters are renamed to the authors' names, and it is
loaded whole or refused with a message that says what it holds.
"""

import argparse
import collections
import contextlib
import hashlib
import http.client
import io
import logging
import os
import pathlib
import pickle
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import urlparse

import mmengine.runner.checkpoint
import numpy as np
import torch
from mmengine.dist import barrier
from mmengine.logging import HistoryBuffer, print_log
from mmengine.runner.checkpoint import CheckpointLoader
from mmengine.utils import digit_version
from torch import Tensor, nn

from .errors import UserError
from .files import replacing
from .registry import FUNCTIONS

SCHEME = 'res2net://'
RELEASE_URL = 'https://shanghuagao.oss-cn-beijing.aliyuncs.com/res2net/'
RELEASED = {  # the authors' weights: the start of each file's SHA-256
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

# What a file may wrap its state dict in. Of several the first is taken, so that what is evaluated (an average
# of the weights, or a teacher) goes before what was trained (a student). mmengine swaps the two before it
# saves: there 'state_dict' is the average, and 'ema_state_dict' is not one of these.
WRAPPERS = ('state_dict_ema', 'model_ema', 'params_ema', 'ema', 'teacher')
WRAPPERS += ('state_dict', 'model', 'model_state_dict', 'params', 'net', 'module', 'student')
# The convolution that takes the images: of a stem and of CIFAR's network, a deep stem, BLRes2Net, DLA.
INPUT_CONVS = ('conv1.weight', 'conv1.0.weight', 'conv1.0.conv.weight', 'base_layer.0.weight')
ADAPTATIONS = ('sum', 'mean', 'repeat', 'new')
PUBLISHED = ('cfg', 'dataset_meta', 'epoch', 'iter', 'mmengine_version')  # of mmengine's meta
CLASSIFIERS = ('fc', 'head', 'classifier', 'last_linear')
ALIASES = [  # (pattern, the authors' name); everything else is called the same everywhere
    (r'\bstem\.([0-6])\.(weight|bias|running_\w+|num_batches\w+)$', r'conv1.\1.\2'),  # mmdet, mmseg
    (r'\bstem\.7\.', 'bn1.'),
    (r'\bstem\.0\.conv\.', 'conv1.0.'),  # mmpretrain
    (r'\bstem\.0\.bn\.', 'conv1.1.'),
    (r'\bstem\.1\.conv\.', 'conv1.3.'),
    (r'\bstem\.1\.bn\.', 'conv1.4.'),
    (r'\bstem\.2\.conv\.', 'conv1.6.'),
    (r'\bstem\.2\.bn\.', 'bn1.'),
]
NETWORKS = (  # (type, where its blocks are: the stage and the number in it, channels of the output by planes)
    ('Res2NetDLA', r'level(\d+)\.(tree1(?:\.tree1)*)', 2),
    ('BLRes2Net', r'layer(1)\.0\.big\.(\d+)', 4),
    ('Res2Net', r'layer(\d+)\.(\d+)', 4),
)
# The authors' DLA networks have a projection in every tree, but only the smallest trees use theirs.
UNUSED_PROJECTION = re.compile(r'level\d+\.(tree1\.)*project\.')


class CheckpointError(UserError):
    """A checkpoint that can't be had, read or loaded; the message says why and what to do."""


def read_checkpoint(source: str | os.PathLike, map_location='cpu'):
    """Read a checkpoint without executing code that it may hold.

    Args:
        source (str | PathLike): A file (PyTorch's format or ``.safetensors``), an http(s) address, or
            ``res2net://NAME`` for one of the authors' released files (:data:`RELEASED`), which are
            downloaded once to torch.hub's folder and verified by their hash.
        map_location (str | torch.device): Where the tensors go. Default: 'cpu'.

    Returns:
        The file's content, a dict in all known layouts.

    Raises:
        CheckpointError: If there is no such file, it can't be downloaded, or it is empty, cut off, not a
            checkpoint, or needs code to be executed.
    """
    source = os.fspath(source)
    if '://' in source and not source.startswith((SCHEME, 'http://', 'https://')):
        if not any(prefix and source.startswith(prefix) for prefix in CheckpointLoader._schemes):
            raise CheckpointError(f'{source}: no such kind of address')
        with safe_loading():  # torchvision://, open-mmlab:// and the like
            return CheckpointLoader.load_checkpoint(source, map_location)
    path = fetch(source)
    if path.stat().st_size == 0:
        raise CheckpointError(f'{path} is empty (0 bytes); delete it, and copy or download it again')
    if path.suffix == '.safetensors':
        return _read_safetensors(path, map_location)
    return _load_file(path, map_location)


def _load_file(file, map_location=None, weights_only=True):
    """Load what :func:`torch.load` takes without executing code; ``weights_only`` has no other value here."""
    size = f' ({Path(file).stat().st_size:,} bytes)' if isinstance(file, Path) else ''
    try:
        with _harmless():
            return torch.load(file, map_location, weights_only=True)
    except pickle.UnpicklingError as error:
        if found := re.search(r'GLOBAL ([\w.]+)', str(error)):
            raise CheckpointError(
                f'{file} holds more than weights: it asks to run {found[1]}, and code in a checkpoint '
                'is not executed. If you trust the file, load it with torch.load(..., '
                "weights_only=False) and save its 'state_dict' alone."
            ) from None
        raise CheckpointError(
            f'{file}{size} is no PyTorch checkpoint; was a web page or an archive saved in its place?'
        ) from None
    except Exception as error:  # what a torn file raises depends on where it is torn
        raise CheckpointError(
            f'{file}{size} is cut off or damaged: {(str(error) or repr(error)).splitlines()[0]}. Delete it, '
            'and copy or download it again.'
        ) from None


@contextlib.contextmanager
def safe_loading():
    """Have mmengine read checkpoints without executing code, too.

    Its own loaders fall back to unpickling anything. The tools resume, test and initialise models inside
    of this.
    """
    loader = mmengine.runner.checkpoint

    def read(filename, map_location=None, *args, **kwargs):
        content = read_checkpoint(filename, map_location)
        if not isinstance(content, dict):
            raise CheckpointError(f'{filename} holds no state dict, but a {type(content).__name__}')
        if isinstance(content.get('meta'), dict):
            content['meta'].pop('config', None)  # Runner.resume would execute it
        return content

    replaced = dict(load_from_local=read, load_from_http=read, _safe_torch_load=_load_file)
    originals = {name: getattr(loader, name) for name in replaced if hasattr(loader, name)}
    schemes = dict(CheckpointLoader._schemes)
    for name in originals:
        setattr(loader, name, replaced[name])
    CheckpointLoader.register_scheme(prefixes=('', 'http://', 'https://'), loader=read, force=True)
    try:
        yield
    finally:
        for name, original in originals.items():
            setattr(loader, name, original)
        CheckpointLoader._schemes = schemes


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


def _harmless() -> contextlib.AbstractContextManager:
    """Admit the classes in training checkpoints that only store: mmengine's logs, timm's arguments."""
    if digit_version(torch.__version__) < digit_version('2.6'):
        return contextlib.nullcontext()  # it can't be told to admit more: weights alone are read
    core = getattr(np, '_core', None) or np.core
    constructors = (core.multiarray._reconstruct, core.multiarray.scalar)
    return torch.serialization.safe_globals(
        [
            HistoryBuffer,
            (_history_method, 'builtins.getattr'),
            np.ndarray,
            np.dtype,
            *(t for t in vars(np.dtypes).values() if isinstance(t, type)),
            *constructors,
            *((f, f'numpy.core.multiarray.{f.__name__}') for f in constructors),  # written by NumPy 1
            argparse.Namespace,
            pathlib.PosixPath,
            collections.defaultdict,
        ]
    )


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
                'by hand, or train from scratch: --cfg-options model.backbone.init_cfg=None'
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


@CheckpointLoader.register_scheme(prefixes=SCHEME)
def _load_released(filename: str, map_location=None, logger=None):
    return read_checkpoint(filename, map_location)


def publish(source: str | os.PathLike, target: str | os.PathLike) -> Path:
    """Write what others need of a training's checkpoint: the weights, and what they were trained with.

    The optimizer, the schedulers and the logs stay behind; of an EMA the weights are the averaged ones, as
    mmengine saved them.

    Args:
        source (str | PathLike): mmengine's checkpoint, see :func:`read_checkpoint`.
        target (str | PathLike): The file to write, to whose stem the start of its SHA-256 is added.

    Returns:
        Path: The file, such as ``r2n50_imagenet-1a2b3c4d.pth``.

    Raises:
        CheckpointError: If the source can't be read or isn't mmengine's, or the file can't be written.
    """
    content = read_checkpoint(source)
    if not isinstance(content, dict) or not isinstance(content.get('state_dict'), Mapping):
        raise CheckpointError(f"{source} is no checkpoint of a training: it has no 'state_dict'")
    meta = content.get('meta') or {}
    kept = {key: meta[key] for key in PUBLISHED if key in meta}
    buffer = io.BytesIO()
    torch.save(dict(meta=kept, state_dict=dict(content['state_dict'])), buffer)
    data = buffer.getvalue()
    target = Path(target)
    path = target.with_name(f'{target.stem}-{hashlib.sha256(data).hexdigest()[:8]}.pth')
    try:
        with replacing(path) as part:
            part.write_bytes(data)
    except OSError as error:
        raise CheckpointError(f'could not write {path}: {error.strerror}') from None
    return path


def find_state_dict(checkpoint, prefix: str = '') -> tuple[dict[str, Tensor], str, str]:
    """The state dict in a checkpoint, its parameters renamed as the authors call them.

    Args:
        checkpoint: A file's content.
        prefix (str): What is wanted of it: any dicts that it nests, by their keys with dots between them, and
            then the beginning of the parameters' names. Default: '' (of :data:`WRAPPERS` the first that
            there is, as in all that the prefix leaves open).

    Returns:
        tuple[dict[str, Tensor], str, str]: The state dict, what of the prefix is left for its names, and
        which wrapper was taken where the file has several, as a remark.

    Raises:
        CheckpointError: If there is none.
    """
    path, others = [], []
    while isinstance(checkpoint, Mapping):
        inside = {str(k): v for k, v in checkpoint.items() if _holds_parameters(v)}
        key = next((k for k in inside if prefix and f'{prefix}.'.startswith(f'{k}.')), None)
        if key is not None:
            prefix = prefix[len(key) + 1 :]
        elif known := [k for k in WRAPPERS if k in inside]:
            key = known[0]
            others += ['.'.join([*path, k]) for k in known[1:]]
        else:
            break
        path.append(key)
        checkpoint = inside[key]
    if not isinstance(checkpoint, Mapping):
        raise CheckpointError(f'it holds no state dict, but a {type(checkpoint).__name__}')
    renamed = {authors_name(str(k)): v for k, v in checkpoint.items() if isinstance(v, Tensor)}
    if not renamed:
        nested = f'; if one of them holds the network: prefix={next(iter(inside))!r}' if inside else ''
        raise CheckpointError(
            f'it holds no parameters; its keys are {_some(map(str, checkpoint))}{nested}'
            if checkpoint
            else 'it holds an empty dict'
        )
    remark = f' ({".".join(path)!r} of it was taken; there is prefix={" or ".join(map(repr, others))}, too)'
    return renamed, prefix, remark if others else ''


def _holds_parameters(value) -> bool:
    """Whether it is a dict with tensors in it, or in the dicts that it nests."""
    return isinstance(value, Mapping) and any(
        isinstance(v, Tensor) or _holds_parameters(v) for v in value.values()
    )


@FUNCTIONS.register_module()
def adapt_state_dict(network: nn.Module, state_dict: dict[str, Tensor], prefix: str) -> None:
    """Give a network's parameters in a whole model's state dict the authors' names, in place.

    Args:
        network (nn.Module): The network.
        state_dict (dict[str, Tensor]): What is about to be loaded, of mmdet's or mmpretrain's naming or ours.
        prefix (str): Where in it the network is.

    Raises:
        RuntimeError: If the weights are of a fused network.
    """
    for name in [k for k in state_dict if k.startswith(prefix)]:
        if name.startswith(f'{prefix}network.') and not hasattr(network, 'network'):
            raise RuntimeError('the weights are of a fused network: call fuse() before they are loaded')
        state_dict[prefix + authors_name(name[len(prefix) :])] = state_dict.pop(name)


def authors_name(name: str) -> str:
    """What the authors call a parameter that may be under mmdet's or mmpretrain's name."""
    for pattern, renamed in ALIASES:
        name = re.sub(pattern, renamed, name)
    return name


def _some(names: Iterable[str], most: int = 6) -> str:
    names = list(names)
    return ', '.join(names[:most]) + (f' and {len(names) - most} more' if len(names) > most else '')


def _find_prefix(state_dict: Mapping[str, Tensor], wanted: Mapping[str, Tensor], partial: bool) -> str:
    """The prefix under which a state dict holds most of the names wanted.

    ``backbone.layer1.0.conv1.weight`` of a detector, ``module.layer1...`` of a distributed run and
    ``roi_head.shared_head.layer4...`` of a C4 detector are all found this way. Of what is loaded in part the
    shapes count, too, and a few names are enough.
    """
    found = {}
    for name, value in state_dict.items():
        parts = name.split('.')
        for i in range(len(parts)):
            own = wanted.get('.'.join(parts[i:]))
            if own is not None and (not partial or (value.shape == own.shape and _says_something(name))):
                prefix = ''.join(f'{p}.' for p in parts[:i])
                found[prefix] = found.get(prefix, 0) + 1
    most = max(found.values(), default=0)
    # A few names, such as conv1.weight for a stem, end the names in any network's blocks.
    best = [p for p in found if found[p] == most and (partial or 4 * most > len(wanted))] or ['']
    if len(best) > 1:
        raise CheckpointError(
            f'it holds such a network more than once, under {" and ".join(map(repr, best))}; choose with '
            f"init_cfg=dict(type='Pretrained', checkpoint=..., prefix={best[0]!r})"
        )
    return best[0]


def describe(state_dict: Mapping[str, Tensor]) -> dict:
    """What network a state dict is of, as a config.

    Args:
        state_dict (Mapping[str, Tensor]): Parameters under the authors' names, of a whole network or, of
            :class:`~res2net_mm.models.Res2Net`, of some of its stages.

    Returns:
        dict: Its ``type`` and that class's arguments; empty if it is none of this package's. ``depth`` is a
        tuple, with 0 for a missing stage; where there is no stem, ``type``, ``deep_stem``, ``in_channels``
        and ``stem_channels`` are left out; so are ``depth`` and ``beta`` of a BLRes2Net.
    """
    shapes = {k: tuple(v.shape) for k, v in state_dict.items()}
    network, expansion, found = _find_blocks(shapes)
    if not network:
        return {}
    sizes = {}
    for match in found:
        stage = int(match[1]) - (network == 'Res2NetDLA')  # whose first stage is level2
        size = int(match[2]) + 1 if match[2].isdigit() else match[2].count('tree')
        sizes[stage] = max(sizes.get(stage, 0), size)
    stage = min(sizes)
    first = min(m[0] for m in found).removesuffix('.convs.0.weight')
    try:
        width, width_per_group = shapes[f'{first}.convs.0.weight'][:2]
        planes = shapes[f'{first}.conv3.weight'][0] // expansion
        groups = width // width_per_group
        arch = dict(
            depth=tuple(sizes.get(i, 0) for i in range(1, max(sizes) + 1)),
            scales=shapes[f'{first}.conv1.weight'][0] // width,
            base_width=round(width / groups / 2 ** (stage - 1), 2),
            groups=groups,
            base_channels=planes // 2 ** (stage - 1),
        )
        if network == 'Res2NetDLA':
            arch.update(type=network, in_channels=shapes['base_layer.0.weight'][1])
        elif network == 'BLRes2Net':
            del arch['depth']
            little = shapes['layer1.0.little.0.conv3.weight'][0]
            in_channels = shapes['conv1.0.conv.weight'][1]
            arch.update(type=network, in_channels=in_channels, alpha=planes * expansion // little)
        else:
            arch.update(_describe_res2net(shapes, first))
    except (KeyError, IndexError, ValueError, ZeroDivisionError):
        return {}
    return arch


def _find_blocks(names: Iterable[str]) -> tuple[str, int, list[re.Match]]:
    """The network that has blocks under such names, its expansion, and what matched."""
    names = list(names)
    for network, pattern, expansion in NETWORKS:
        if found := [m for k in names if (m := re.match(pattern + r'\.convs\.0\.weight$', k))]:
            return network, expansion, found
    return '', 0, []


def _describe_res2net(shapes: Mapping[str, tuple], first: str) -> dict:
    """What a Res2Net or a Res2NeXtCIFAR has besides; ``first`` is the name of its first block."""
    arch = dict(with_se=f'{first}.se.fc1.weight' in shapes)
    if arch['with_se']:
        arch['se_ratio'] = shapes[f'{first}.conv3.weight'][0] // shapes[f'{first}.se.fc1.weight'][0]
    if shapes.get('conv1.weight', ())[2:] == (3, 3):
        return dict(arch, type='Res2NeXtCIFAR', in_channels=shapes['conv1.weight'][1])
    arch['avg_down'] = len(shapes.get(f'{first}.downsample.1.weight', ())) == 4
    for deep, name in ((True, 'conv1.0.weight'), (False, 'conv1.weight')):
        if name in shapes:
            arch.update(type='Res2Net', deep_stem=deep, in_channels=shapes[name][1])
            arch['stem_channels'] = shapes.get('bn1.weight', (0,))[0]
    return arch


@FUNCTIONS.register_module()
def load_pretrained(
    module: nn.Module,
    checkpoint: str | os.PathLike,
    prefix: str | None = None,
    map_location='cpu',
    input_conv: str | None = None,
    partial: bool = False,
) -> None:
    """Load a pretrained file into one of this package's networks, whole or, unless ``partial``, not at all.

    The layouts of the authors (v1, v1b), timm, mmpretrain and mmdet are told apart by themselves, with
    or without a wrapper, an EMA copy, a prefix such as ``module.`` or ``backbone.``, and a classifier.
    What the file has beyond the network (a classifier, a detector's other parts, stages that the network
    doesn't build) and what starts anew (offsets of deformable convolutions, plugins) is logged.

    Args:
        module (nn.Module): The network.
        checkpoint (str | PathLike): See :func:`read_checkpoint`.
        prefix (str, optional): Where in the file the network is, with or without the final dot: keys of the
            dicts that it nests, then the beginning of the parameters' names, such as ``'student'`` or
            ``'generator.encoder'``. Default: None (found by its names; of the wrappers, the first of
            :data:`WRAPPERS`, in which averages and teachers go before students; which one is logged).
        map_location (str | torch.device): Where the file's tensors go first. Default: 'cpu'.
        input_conv (str, optional): How the first convolution is adapted if the model's ``in_channels`` aren't
            the file's (c, 3 for RGB): 'sum' for one gray channel gives it the sum over the file's channels;
            'mean' gives each channel their mean, 'repeat' the file's channels in turns, both times
            c / in_channels, so that the responses keep their size; 'new' leaves it newly initialised (and
            must not be frozen). Default: None (such a file is refused).
        partial (bool): Whether a file of a network with other layers gives what fits by name and shape. What
            was loaded, what starts anew and what of the file isn't used is logged. Default: False.

    Raises:
        CheckpointError: If an option has no such value, or the file can't be read, isn't of such a network,
            has another depth, width, scale, cardinality or stem, or anything but a classifier is missing or
            left over; with ``partial``, if nothing fits.
    """
    if input_conv not in (None, *ADAPTATIONS):
        raise CheckpointError(f'input_conv={input_conv!r} is none of {", ".join(map(repr, ADAPTATIONS))}')
    content = read_checkpoint(checkpoint, map_location)
    taken = ''
    try:
        whole, rest, taken = find_state_dict(content, (prefix or '').rstrip('.'))
        rest = None if prefix is None else rest
        _load(module, whole, rest, input_conv, partial, f'{checkpoint}{taken}')
    except CheckpointError as error:
        raise CheckpointError(f'{checkpoint} was not loaded: {error}{taken}') from None


def _load(
    module: nn.Module,
    whole: dict[str, Tensor],
    prefix: str | None,
    input_conv: str | None,
    partial: bool,
    source: str,
) -> None:
    own = module.state_dict()
    begin = f'{prefix}.' if prefix else ''
    names = {k[len(begin) :]: k for k in whole if k.startswith(begin)}
    if not names:
        raise CheckpointError(f'no parameter in it begins with {begin!r}; they are {_some(whole)}')
    if prefix is None or not own.keys() & names.keys():
        begin += _find_prefix({k: whole[name] for k, name in names.items()}, own, partial)
        names = {k[len(begin) :]: k for k in whole if k.startswith(begin)}
    for name in whole:  # a C4 detector keeps the last stage in its RoI head
        if match := re.match(r'.*\bshared_head\.(layer\d+\..+)', name):
            names.setdefault(match[1], name)
    state_dict = {k: whole[name] for k, name in names.items()}

    if not partial:
        _check_network(type(module).__name__, state_dict, own, input_conv)
    adapted = _adapt(state_dict, own, input_conv) if input_conv else ''
    if not partial:
        anew = _starting_anew(module, own) | ({adapted} - state_dict.keys())  # by input_conv='new'
        beyond = _check_parameters(state_dict, own, anew) + [k for k in whole if not k.startswith(begin)]
    state_dict = {k: state_dict[k] for k in own if k in state_dict and state_dict[k].shape == own[k].shape}
    if partial and not any(map(_says_something, state_dict)):
        raise CheckpointError(f'nothing in it fits by name and shape; its parameters are {_some(whole)}')
    missing = [k for k in own if k not in state_dict]
    for name in missing:
        weight = name.replace('conv_offset.bias', 'weight')
        if name.endswith('.conv_offset.bias') and weight in state_dict and _is_modulated(module, name):
            # A modulated convolution's mask begins at 1/2: twice the weight gives the plain convolution.
            state_dict[weight] = state_dict[weight] * 2
    module.load_state_dict(state_dict, strict=False)

    line = f'{type(module).__name__}: {len(state_dict)} of {len(own)} parameters and statistics from {source}'
    line += f' ({begin}*)' if begin else ''
    line += f'; {adapted} by input_conv={input_conv!r}' if adapted else ''
    if partial:
        unused = sorted(whole.keys() - {names[k] for k in state_dict})
        for what, which in dict(
            loaded=state_dict, newly_initialised=missing, unused_of_the_file=unused
        ).items():
            line += f'; {what.replace("_", " ")}: {len(which)}' + (f' ({_some(which)})' if which else '')
    else:
        beyond = sorted({k.split('.')[0] for k in beyond})
        line += f'; not part of it and left out: {_some(beyond)}' if beyond else ''
        anew = sorted(filter(_says_something, missing))
        line += f'; newly initialised: {_some(anew)}' if anew else ''
    print_log(line, logger='current')
    frozen = {id(p) for part in module.frozen_modules() for p in part.parameters()}
    if stuck := [k for k, p in module.named_parameters() if k in missing and id(p) in frozen]:
        print_log(
            f'frozen_stages keeps what is newly initialised from learning: {_some(stuck)}',
            logger='current',
            level=logging.WARNING,
        )


def _check_network(name: str, state_dict: dict[str, Tensor], own: dict[str, Tensor], input_conv) -> None:
    """Refuse a state dict of a network with other arguments than a model's."""
    theirs, ours = describe(state_dict), describe(own)
    if ours and not theirs:
        raise CheckpointError(f'it is not of a {name}; its parameters are {_some(state_dict)}')
    kinds = theirs.pop('type', None), ours.pop('type', None)
    if all(kinds) and kinds[0] != kinds[1]:
        raise CheckpointError(f'it is of a {kinds[0]} with {_arguments(theirs, theirs)}, not of a {kinds[1]}')
    if input_conv:
        theirs.pop('in_channels', None)
    if differing := _differences(theirs, ours):
        message = (
            f'it has {_arguments(theirs, differing)}, the model has {_arguments(ours, differing)}. '
            f'To use the file, build the model with {_arguments(theirs, differing)}.'
        )
        if 'in_channels' in differing:
            how = 'sum' if ours['in_channels'] == 1 else 'mean'
            message += f' Or adapt its first convolution: init_cfg=dict(..., input_conv={how!r}).'
        if differing != ['in_channels']:
            message += _partly(state_dict, own)
        raise CheckpointError(message)


def _check_parameters(state_dict: dict[str, Tensor], own: dict[str, Tensor], anew: set[str]) -> list[str]:
    """Refuse a state dict that isn't whole; return the names of what isn't the network's, as a classifier."""
    missing = [k for k in own if k not in state_dict and k not in anew]
    parts = {k.split('.')[0] for k in own}
    extra = [k for k in state_dict if k not in own and not UNUSED_PROJECTION.match(k)]
    unused = [k for k in extra if k.split('.')[0] not in parts and _is_network_part(k)]
    left_over = [k for k in extra if k not in unused]
    wrong_shape = [
        f'{k} {tuple(state_dict[k].shape)} for {tuple(own[k].shape)}'
        for k in own
        if k in state_dict and state_dict[k].shape != own[k].shape
    ]
    for what, names in dict(missing=missing, left_over=left_over, of_another_shape=wrong_shape).items():
        if names:
            message = f'{len(names)} parameters are {what.replace("_", " ")}: {_some(names)}.'
            raise CheckpointError(message + _partly(state_dict, own))
    return unused


def _partly(state_dict: dict[str, Tensor], own: dict[str, Tensor]) -> str:
    """What a refusal says of loading in part, if anything fits."""
    fitting = [k for k in own if k in state_dict and state_dict[k].shape == own[k].shape]
    if not any(map(_says_something, fitting)):
        return ''
    return (
        f' Or load what fits, {len(fitting)} of {len(own)} parameters and statistics: '
        'init_cfg=dict(..., partial=True).'
    )


def _says_something(name: str) -> bool:
    """Whether a name is not of a mere count of batches, which every network has."""
    return not name.endswith('num_batches_tracked')


def _starting_anew(module: nn.Module, own: Iterable[str]) -> set[str]:
    """Names of what a network may have beyond a file: plugins, offsets of deformable convolutions."""
    anew = {k for k in own if '.conv_offset.' in k or not _says_something(k)}
    for name, block in module.named_modules():
        for plugin in sum(getattr(block, 'plugins', None) and block.plugins.values() or (), []):
            anew |= {k for k in own if k.startswith(f'{name}.{plugin}.')}
    return anew


def _adapt(state_dict: dict[str, Tensor], own: Mapping[str, Tensor], how: str) -> str:
    """Fit a file's first convolution to the model's images, in place; return its name if it was changed."""
    name = next((k for k in INPUT_CONVS if k in own and k in state_dict), '')
    if not name or state_dict[name].ndim != 4 or state_dict[name].shape[1] == own[name].shape[1]:
        return ''
    weight, channels = state_dict[name].float(), own[name].shape[1]
    scale = weight.shape[1] / channels
    if how == 'new':
        del state_dict[name]
    elif how == 'repeat':
        state_dict[name] = weight[:, [i % weight.shape[1] for i in range(channels)]] * scale
    elif how == 'mean':
        state_dict[name] = weight.mean(1, keepdim=True).repeat(1, channels, 1, 1) * scale
    elif channels == 1:
        state_dict[name] = weight.sum(1, keepdim=True)
    else:
        raise CheckpointError(
            f"input_conv='sum' is for in_channels=1, and the model's are {channels}: take 'mean'"
        )
    return name


def _is_modulated(module: nn.Module, bias: str) -> bool:
    conv = module.get_submodule(bias.removesuffix('.conv_offset.bias'))
    kernel_points = conv.kernel_size[0] * conv.kernel_size[1]
    return conv.conv_offset.out_channels == 3 * conv.deform_groups * kernel_points


def _is_network_part(name: str) -> bool:
    """Whether a parameter is a classifier's, or of a stage or stem that a smaller module leaves out."""
    part = name.split('.')[0]
    return part in CLASSIFIERS or part in ('conv1', 'bn1') or bool(re.fullmatch(r'layer\d+', part))


def _differences(theirs: dict, ours: dict) -> list[str]:
    """The arguments in which two networks differ, over the stages and the stem that both have."""
    names = [k for k in ours if k in theirs and k != 'depth' and ours[k] != theirs[k]]
    pairs = list(zip(ours.get('depth', ()), theirs.get('depth', ())))
    if any(a and b and a != b for a, b in pairs):
        names.insert(0, 'depth')
    return names


def _arguments(arch: dict, names: Iterable[str]) -> str:
    """Write arguments as a config has them."""
    from .models.dla import TREES
    from .models.stage import BLOCKS

    depths = {blocks: depth for depth, blocks in (BLOCKS | TREES).items()}
    shown = dict(arch, depth=depths.get(arch.get('depth'), arch.get('depth')))
    return ', '.join(f'{k}={shown[k]:g}' if k == 'base_width' else f'{k}={shown[k]}' for k in names)
