"""Loading pretrained weights into the networks: whole, or not at all."""

import logging
import os
import re
from collections.abc import Iterable, Mapping

from mmengine.logging import print_log
from torch import Tensor, nn

from ..models.dla import TREES
from ..models.stage import BLOCKS
from ..registry import FUNCTIONS
from .integrity import CheckpointError, check_weights
from .naming import describe, differences, find_state_dict, listed
from .reading import read_checkpoint

# The convolution that takes the images: of a stem and of CIFAR's network, a deep stem, BLRes2Net, DLA.
INPUT_CONVS = ('conv1.weight', 'conv1.0.weight', 'conv1.0.conv.weight', 'base_layer.0.weight')
ADAPTATIONS = ('sum', 'mean', 'repeat', 'new')
CLASSIFIERS = ('fc', 'head', 'classifier', 'last_linear')
# The authors' DLA networks have a projection in every tree, but only the smallest trees use theirs.
UNUSED_PROJECTION = re.compile(r'level\d+\.(tree1\.)*project\.')


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
    doesn't build) and what stays newly initialized (offsets of deformable convolutions, plugins) is logged.

    Args:
        module (nn.Module): The network.
        checkpoint (str | PathLike): See :func:`read_checkpoint`.
        prefix (str, optional): Where in the file the network is, with or without the final dot: keys of the
            dicts that it nests, then the beginning of the parameters' names, such as ``'student'`` or
            ``'generator.encoder'``. Default: None (found by its names; of the wrappers, the first of
            :data:`~res2net_mm.checkpoints.naming.WRAPPERS`, in which averages and teachers go before
            students; which one is logged).
        map_location (str | torch.device): Where the file's tensors go first. Default: 'cpu'.
        input_conv (str, optional): How the first convolution is adapted if the model's ``in_channels`` aren't
            the file's (c, 3 for RGB): 'sum' for one gray channel gives it the sum over the file's channels;
            'mean' gives each channel their mean, 'repeat' the file's channels in turns, both times
            c / in_channels, so that the responses keep their size; 'new' leaves it newly initialized (and
            must not be frozen). Default: None (such a file is refused).
        partial (bool): Whether a file of a network with other layers gives what fits by name and shape. What
            was loaded, what stays newly initialized and what of the file isn't used is logged. Default:
            False.

    Raises:
        CheckpointError: If an option has no such value, or the file can't be read, isn't of such a network,
            has it more than once (one perhaps incomplete), has weights that are NaN or infinite, has another
            depth, width, scale, cardinality or stem, or anything but a classifier is missing or left over;
            with ``partial``, if nothing fits.
    """
    if input_conv not in (None, *ADAPTATIONS):
        raise CheckpointError(f'input_conv={input_conv!r} is none of {", ".join(map(repr, ADAPTATIONS))}')
    content = read_checkpoint(checkpoint, map_location)
    own, remark = module.state_dict(), ''
    try:
        whole, rest, remark = find_state_dict(content, (prefix or '').rstrip('.'))
        if any(name.endswith('.convs.0.bias') for name in whole):
            raise CheckpointError(
                'it is of a fused network, whose BN layers are folded: take the checkpoint that was fused'
            )
        begin, names = _find_names(whole, own, None if prefix is None else rest, partial)
        state_dict = {name: whole[name_there] for name, name_there in names.items()}
        if not partial:
            _check_network(type(module).__name__, state_dict, own, input_conv)
        adapted = _adapt(state_dict, own, input_conv) if input_conv else ''
        if not partial:
            new = _newly_initialized(module, own) | ({adapted} - state_dict.keys())  # by input_conv='new'
            beyond = _check_parameters(state_dict, own, new)
            beyond += [name for name in whole if not name.startswith(begin)]
        state_dict = {name: state_dict[name] for name in own if _fits(name, state_dict, own)}
        if not any(map(_is_parameter, state_dict)):
            raise CheckpointError(f'nothing in it fits by name and shape; its parameters are {listed(whole)}')
        check_weights(state_dict)
    except CheckpointError as error:
        raise CheckpointError(f'{checkpoint} was not loaded: {error}{remark}') from None
    missing = [name for name in own if name not in state_dict]
    _double_modulated(module, state_dict, missing)
    module.load_state_dict(state_dict, strict=False)

    line = f'{type(module).__name__}: {len(state_dict)} of {len(own)} parameters and statistics '
    line += f'from {checkpoint}{remark}' + (f' ({begin}*)' if begin else '')
    line += f'; {adapted} by input_conv={input_conv!r}' if adapted else ''
    if partial:
        unused = sorted(whole.keys() - {names[name] for name in state_dict})
        groups = {'loaded': state_dict, 'newly initialized': missing, 'unused of the file': unused}
        for what, which in groups.items():
            line += f'; {what}: {len(which)}' + (f' ({listed(which)})' if which else '')
    else:
        beyond = sorted({name.split('.')[0] for name in beyond})
        line += f'; not part of it and left out: {listed(beyond)}' if beyond else ''
        new = sorted(filter(_is_parameter, missing))
        line += f'; newly initialized: {listed(new)}' if new else ''
    print_log(line, logger='current')
    frozen = {id(p) for part in module.frozen_modules() for p in part.parameters()}
    if stuck := [name for name, p in module.named_parameters() if name in missing and id(p) in frozen]:
        print_log(
            f'frozen_stages keeps what is newly initialized from learning: {listed(stuck)}',
            logger='current',
            level=logging.WARNING,
        )


def _find_names(
    whole: Mapping[str, Tensor], own: Mapping[str, Tensor], prefix: str | None, partial: bool
) -> tuple[str, dict[str, str]]:
    """The network's prefix in a file, and the names in the file by the network's."""
    begin = f'{prefix}.' if prefix else ''
    names = {k[len(begin) :]: k for k in whole if k.startswith(begin)}
    if not names:
        raise CheckpointError(f'no parameter in it begins with {begin!r}; they are {listed(whole)}')
    if prefix is None or not own.keys() & names.keys():
        begin += _find_prefix({k: whole[name] for k, name in names.items()}, own, partial)
        names = {k[len(begin) :]: k for k in whole if k.startswith(begin)}
    for name in whole:  # a C4 detector has the last stage in its RoI head
        if match := re.match(r'.*\bshared_head\.(layer\d+\..+)', name):
            names.setdefault(match[1], name)
    return begin, names


def _double_modulated(module: nn.Module, state_dict: dict[str, Tensor], missing: Iterable[str]) -> None:
    """Double the weights of DCNv2 layers whose masks are new, that is 1/2: so they begin undeformed."""
    for name in missing:
        layer, found, _ = name.rpartition('.conv_offset.bias')
        if found and f'{layer}.weight' in state_dict:
            conv = module.get_submodule(layer)
            points = conv.deform_groups * conv.kernel_size[0] * conv.kernel_size[1]
            if conv.conv_offset.out_channels == 3 * points:  # two offsets and a mask each
                state_dict[f'{layer}.weight'] = state_dict[f'{layer}.weight'] * 2


def _fits(name: str, state_dict: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> bool:
    return name in state_dict and state_dict[name].shape == own[name].shape


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
            if own is not None and (not partial or (value.shape == own.shape and _is_parameter(name))):
                prefix = ''.join(f'{p}.' for p in parts[:i])
                found[prefix] = found.get(prefix, 0) + 1
    most = max(found.values(), default=0)
    # A few names, such as conv1.weight for a stem, end the names in any network's blocks.
    best = [p for p in found if found[p] == most and (partial or 4 * most > len(wanted))] or ['']
    best += [p for p in found if p not in best and _is_second(p, best[0], state_dict, wanted)]
    if len(best) > 1:
        raise CheckpointError(
            f'it holds such a network more than once, under {" and ".join(map(repr, best))}; choose with '
            f"init_cfg=dict(type='Pretrained', checkpoint=..., prefix={best[0]!r})"
        )
    return best[0]


def _is_second(
    prefix: str, best: str, state_dict: Mapping[str, Tensor], wanted: Mapping[str, Tensor]
) -> bool:
    """Whether a prefix, too, has the network wanted, incomplete: which of the two is meant, no one knows.

    A network of other arguments isn't meant, nor are the stages that the first lacks, as in a C4 detector.
    """
    first, second = (
        {
            name[len(p) :]: v
            for name, v in state_dict.items()
            if name.startswith(p) and name[len(p) :] in wanted
        }
        for p in (best, prefix)
    )
    theirs = describe(second)
    return bool(theirs and first.keys() & second.keys()) and not differences(theirs, describe(wanted))


def _check_network(name: str, state_dict: dict[str, Tensor], own: dict[str, Tensor], input_conv) -> None:
    """Refuse a state dict of a network with other arguments than a model's."""
    theirs, ours = describe(state_dict), describe(own)
    if ours and not theirs:
        raise CheckpointError(f'it is not of a {name}; its parameters are {listed(state_dict)}')
    kinds = theirs.pop('type', None), ours.pop('type', None)
    if all(kinds) and kinds[0] != kinds[1]:
        raise CheckpointError(f'it is of a {kinds[0]} with {_arguments(theirs, theirs)}, not of a {kinds[1]}')
    if input_conv:
        theirs.pop('in_channels', None)
    if differing := differences(theirs, ours):
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


def _check_parameters(state_dict: dict[str, Tensor], own: dict[str, Tensor], new: set[str]) -> list[str]:
    """Refuse a state dict that isn't whole; return the names of what isn't the network's, as a classifier."""
    missing = [k for k in own if k not in state_dict and k not in new]
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
            message = f'{len(names)} parameters are {what.replace("_", " ")}: {listed(names)}.'
            raise CheckpointError(message + _partly(state_dict, own))
    return unused


def _partly(state_dict: dict[str, Tensor], own: dict[str, Tensor]) -> str:
    """What a refusal says of loading in part, if anything fits."""
    fitting = [name for name in own if _fits(name, state_dict, own)]
    if not any(map(_is_parameter, fitting)):
        return ''
    return (
        f' Or load what fits, {len(fitting)} of {len(own)} parameters and statistics: '
        'init_cfg=dict(..., partial=True).'
    )


def _is_parameter(name: str) -> bool:
    """Whether a name is not of a mere count of batches, which every network has."""
    return not name.endswith('num_batches_tracked')


def _newly_initialized(module: nn.Module, own: Iterable[str]) -> set[str]:
    """Names of what a network may have beyond a file: plugins, offsets of deformable convolutions."""
    new = {k for k in own if '.conv_offset.' in k or not _is_parameter(k)}
    for name, block in module.named_modules():
        for plugin in sum(getattr(block, 'plugins', None) and block.plugins.values() or (), []):
            new |= {k for k in own if k.startswith(f'{name}.{plugin}.')}
    return new


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


def _is_network_part(name: str) -> bool:
    """Whether a parameter is a classifier's, or of a stage or stem that a smaller module leaves out."""
    part = name.split('.')[0]
    return part in CLASSIFIERS or part in ('conv1', 'bn1') or bool(re.fullmatch(r'layer\d+', part))


def _arguments(arch: dict, names: Iterable[str]) -> str:
    """Write arguments as a config has them."""
    depths = {blocks: depth for depth, blocks in (BLOCKS | TREES).items()}
    shown = dict(arch, depth=depths.get(arch.get('depth'), arch.get('depth')))
    return ', '.join(f'{k}={shown[k]:g}' if k == 'base_width' else f'{k}={shown[k]}' for k in names)
