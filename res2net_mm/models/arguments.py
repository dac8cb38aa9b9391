"""The check of the networks' arguments: each must be what its annotation says."""

import difflib
import functools
import inspect
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from inspect import Parameter
from numbers import Integral, Real
from types import MappingProxyType, NoneType, UnionType
from typing import Any, get_args, get_origin

import numpy as np
from mmengine.model.weight_init import PretrainedInit
from mmengine.registry import WEIGHT_INITIALIZERS
from torch import nn

from ..errors import ArgumentTypeError, ArgumentValueError
from ..registry import FUNCTIONS

LARGEST = 2**16  # beyond it PyTorch's integers overflow, or memory is full before it says anything
# An annotation, what of Python and NumPy it admits, and its words.
TYPES = {
    bool: ((bool, np.bool_), 'True or False'),
    int: (Integral, 'a whole number'),
    float: (Real, 'a number'),
    str: (str, 'a string'),
    dict: (dict, 'a dict'),
    nn.Module: (nn.Module, 'a module'),
    NoneType: (NoneType, 'None'),
}
OF_STAGES = 'out_indices', 'frozen_stages', 'stage'  # ranges of their own; all other numbers count from 1
PRETRAINED = "dict(type='Pretrained', checkpoint='res2net://res2net50_26w_4s'), or a file or an address there"
EXAMPLES = {
    'init_cfg': PRETRAINED,
    'conv_cfg': "dict(type='Conv2d')",
    'norm_cfg': "dict(type='BN')",
    'dcn': "dict(type='DCNv2', deform_groups=1)",
    'plugins': "[dict(cfg=dict(type='ContextBlock', ratio=0.25), position='after_conv3')]",
    'multi_grid': '(1, 2, 4)',
}
# What mmengine, mmcv and PyTorch raise of a config that they cannot build from.
FROM_CONFIGS = ArithmeticError, AssertionError, AttributeError, LookupError, TypeError


def checked(block: Mapping[str, Parameter] = MappingProxyType({})) -> Callable:
    """Decorate an ``__init__``: check its arguments, and begin its errors with the network's name.

    Inside, numbers of NumPy are Python's, lists are tuples where a sequence is wanted, and an empty dict (a
    config's with nothing but ``_delete_=True``) is None. ``pretrained=None``, as mmseg's configs say it, is
    taken and nothing.

    Args:
        block (Mapping[str, Parameter]): What it takes as ``**block``, beside its own. Default: nothing.

    Raises:
        ArgumentTypeError: If there is no such argument; the message names the nearest.
        ArgumentValueError: If an argument is of another type or out of its range, or nothing can be built of
            a config; the message names the argument, its value and what it must be.
    """

    def decorate(init: Callable) -> Callable:
        signature = inspect.signature(init)
        known = {k: p for k, p in (signature.parameters | block).items() if k not in ('self', 'block')}

        @functools.wraps(init)
        def checked_init(self, *args, pretrained: None = None, **kwargs) -> None:
            network = type(self).__name__
            try:
                arguments = signature.bind(self, *args, **kwargs).arguments
            except TypeError as error:
                raise ArgumentTypeError(f'{network}: {error}') from None
            arguments |= arguments.pop('block', {})
            del arguments['self']
            if unknown := arguments.keys() - known:
                name = min(unknown)
                hint = _did_you_mean(name, known)
                raise ArgumentTypeError(f'{network} got an unexpected argument {name!r}{hint}')
            try:
                if pretrained is not None:
                    raise ValueError(
                        f'pretrained={pretrained!r} must be None, in model and in model.backbone; '
                        f'the backbone takes init_cfg={PRETRAINED}'
                    )
                for name, value in arguments.items():
                    arguments[name] = check(name, value, known[name].annotation, known[name].default)
                _check_init_cfg(arguments.get('init_cfg') or [])
                init(self, **arguments)
                if empty := [name for name, p in self.named_parameters() if not p.numel()]:
                    raise TypeError(f'{empty[0]} has no channels')
            except ValueError as error:
                raise ArgumentValueError(f'{network}: {error}') from error
            except FROM_CONFIGS as error:
                cfgs = ', '.join(f'{k}={v}' for k, v in arguments.items() if isinstance(v, (dict, list)))
                raise ArgumentValueError(f'{network}: {cfgs}: {error}') from error

        return checked_init

    return decorate


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, sorted(known), n=1)
    return f'; did you mean {near[0]!r}?' if near else ''


def check(name: str, value: Any, annotation: Any, default: Any = None) -> Any:
    """The value as the annotation has it, see :func:`checked`.

    Raises:
        ValueError: If it isn't such a one; the message names it, and the default as an example.
    """
    lowest = None if name in OF_STAGES else 1
    with suppress(TypeError):
        converted = _convert(value, annotation, lowest)
        return None if converted == {} else converted
    example = EXAMPLES.get(name, default)
    hint = f', such as {example}' if example not in (None, Parameter.empty) else ''
    raise ValueError(f'{name}={value!r} must be {_describe(annotation, lowest)}{hint}')


def _convert(value: Any, annotation: Any, lowest: int | None) -> Any:
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is UnionType:
        for part in parts:
            with suppress(TypeError):
                return _convert(value, part, lowest)
    elif origin in (Sequence, list):
        if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
            return (list if origin is list else tuple)(_convert(v, parts[0], lowest) for v in value)
    elif isinstance(value, TYPES[annotation][0]) and (annotation is bool or not isinstance(value, bool)):
        if annotation is int and lowest is not None and not lowest <= value <= LARGEST:
            raise TypeError
        return annotation(value) if annotation in (bool, int, float) else value
    raise TypeError


def _describe(annotation: Any, lowest: int | None) -> str:
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is UnionType:
        return ' or '.join(_describe(part, lowest) for part in parts)
    if origin in (Sequence, list):
        return f'a list (each {_describe(parts[0], lowest)})'
    words = TYPES[annotation][1]
    return f'{words} from {lowest} to {LARGEST}' if annotation is int and lowest is not None else words


def _check_init_cfg(init_cfg: dict | list[dict]) -> None:
    """Build what mmengine would initialize with, or a wrong config fails only when the weights are needed."""
    for cfg in [init_cfg] if isinstance(init_cfg, dict) else init_cfg:
        if cfg['type'] not in ('Pretrained', PretrainedInit):
            WEIGHT_INITIALIZERS.build({k: v for k, v in cfg.items() if k != 'override'})
        elif not isinstance(cfg.get('checkpoint'), (str, os.PathLike)):
            raise ValueError(f'init_cfg={init_cfg} has no checkpoint; take {PRETRAINED}')
        else:
            known = inspect.signature(FUNCTIONS.get('load_pretrained')).parameters
            for name, value in cfg.items():
                if name == 'module' or name not in ('type', *known):
                    raise ValueError(f'init_cfg has no {name!r}{_did_you_mean(name, known)}')
                if name in ('prefix', 'input_conv', 'partial'):
                    check(f'init_cfg.{name}', value, known[name].annotation)
