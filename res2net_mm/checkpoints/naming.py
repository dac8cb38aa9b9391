"""What a checkpoint holds: the state dict in it, under the authors' names, and of what network it is."""

import logging
import re
from collections.abc import Iterable, Mapping

from mmengine.logging import print_log
from torch import Tensor, nn

from ..models.bottle2neck import Bottle2neck
from ..registry import FUNCTIONS
from .integrity import CheckpointError, check_names

# What a file may wrap its state dict in. Of several the first is taken, so that what is evaluated (an average
# of the weights, or a teacher) goes before what was trained (a student). mmengine swaps the two before it
# saves: there 'state_dict' is the average, and 'ema_state_dict' is not one of these.
WRAPPERS = ('state_dict_ema', 'model_ema', 'params_ema', 'ema', 'teacher')
WRAPPERS += ('state_dict', 'model', 'model_state_dict', 'params', 'net', 'module', 'student')
OF_MMDET = "trained with MMDetection's own Res2Net, which here is pool_at_stride_1=False"
MAX_WRAPPERS = 20  # around each other
ALIASES = [  # (pattern, the authors' name); everything else is called the same everywhere
    (r'\bstem\.([0-6])\.(weight|bias|running_\w+|num_batches\w+)$', r'conv1.\1.\2'),  # mmdet, mmseg
    (r'\bstem\.7\.', 'bn1.'),
    (r'(\blayer\d+\.\d+)\.(conv|bn)2\.', r'\1.\2s.0.'),  # ResNet, which is a Res2Net of scale 1
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


def find_state_dict(checkpoint, prefix: str = '') -> tuple[dict[str, Tensor], str, str]:
    """The state dict in a checkpoint, its parameters renamed as the authors call them.

    Args:
        checkpoint: A file's content.
        prefix (str): What is wanted of it: any dicts that it nests, by their keys with dots between them, and
            then the beginning of the parameters' names. Default: '' (of :data:`WRAPPERS` the first that
            there is, as in all that the prefix leaves open).

    Returns:
        tuple[dict[str, Tensor], str, str]: The state dict, what of the prefix is left for its names, and
        remarks: which wrapper was taken where the file has several, and whether MMDetection trained it.

    Raises:
        CheckpointError: If there is none.
    """
    path, others = [], []
    while isinstance(checkpoint, Mapping):
        if len(path) > MAX_WRAPPERS:
            raise CheckpointError(f'it nests more than {MAX_WRAPPERS} wrappers, or one holds itself')
        inside = {k: v for k, v in checkpoint.items() if isinstance(k, str) and _holds_parameters(v)}
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
    parameters = {k: v for k, v in checkpoint.items() if isinstance(v, Tensor)}
    check_names(parameters)
    renamed = {authors_name(k): v for k, v in parameters.items()}
    if not renamed:
        keys = [k for k in checkpoint if isinstance(k, str)]
        nested = f'; if one of them holds the network: prefix={next(iter(inside))!r}' if inside else ''
        raise CheckpointError(
            f'it holds no parameters; its keys are {listed(keys)}{nested}'
            if checkpoint
            else 'it holds an empty dict'
        )
    remark = f' ({".".join(path)!r} of it was taken; there is prefix={" or ".join(map(repr, others))}, too)'
    return renamed, prefix, remark * bool(others) + f' ({OF_MMDET})' * is_of_mmdet(parameters)


def is_of_mmdet(names: Mapping[str, Tensor]) -> bool:
    """Whether parameters are of a model that was trained with MMDetection's own Res2Net.

    Its files of the backbone alone are the authors', which don't differ.
    """
    stems = [name.removesuffix('stem.7.weight') for name in names if name.endswith('backbone.stem.7.weight')]
    return any(f'{backbone}layer1.0.convs.0.weight' in names for backbone in stems)


def _holds_parameters(value) -> bool:
    """Whether it is a dict with tensors in it, or in the dicts that it nests."""
    left, seen = [value], set()  # a dict may hold another twice, or itself
    while left:
        value = left.pop()
        if isinstance(value, Mapping) and id(value) not in seen:
            if any(isinstance(v, Tensor) for v in value.values()):
                return True
            seen.add(id(value))
            left += value.values()
    return False


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
    blocks = (block for block in network.modules() if isinstance(block, Bottle2neck))
    if is_of_mmdet(state_dict) and any(block.pool and block.pool[-1].stride == 1 for block in blocks):
        print_log(f'The weights were {OF_MMDET}', 'current', logging.WARNING)
    for name in [k for k in state_dict if k.startswith(prefix)]:
        if name.startswith(f'{prefix}network.') and not hasattr(network, 'network'):
            raise RuntimeError('the weights are of a fused network: call fuse() before they are loaded')
        state_dict[prefix + authors_name(name[len(prefix) :])] = state_dict.pop(name)


def authors_name(name: str) -> str:
    """What the authors call a parameter that may be under mmdet's or mmpretrain's name."""
    for pattern, renamed in ALIASES:
        name = re.sub(pattern, renamed, name)
    return name


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


def differences(theirs: dict, ours: dict) -> list[str]:
    """The arguments in which two networks differ, over the stages and the stem that both have."""
    names = [k for k in ours if k in theirs and k != 'depth' and ours[k] != theirs[k]]
    pairs = list(zip(ours.get('depth', ()), theirs.get('depth', ())))
    if any(a and b and a != b for a, b in pairs):
        names.insert(0, 'depth')
    return names


def listed(names: Iterable[str], most: int = 6) -> str:
    """The first few of some names."""
    names = list(names)
    return ', '.join(f'{name:.100}' for name in names[:most]) + (
        f' and {len(names) - most} more' if len(names) > most else ''
    )
