"""What is registered under a name, what it takes, and which name comes nearest."""

import difflib
import inspect
from collections.abc import Iterable

from mmengine.registry import DefaultScope, Registry

from .toolboxes import import_toolbox


def nearest(name: str, names: Iterable[str], most: int = 1, cutoff: float = 0.6) -> str:
    """The most similar of some names, whatever their case, joined by 'or'; empty if there is none."""
    spelled = {str(n).lower(): str(n) for n in names}
    found = difflib.get_close_matches(name.lower(), spelled, n=most, cutoff=cutoff)
    return ' or '.join(spelled[n] for n in found)


def did_you_mean(name: str, names: Iterable[str], most: int = 1, cutoff: float = 0.6) -> str:
    """The question for the end of an error: '; did you mean X?', or nothing if no name is near."""
    near = nearest(name, names, most, cutoff)
    return f'; did you mean {near}?' if near else ''


def parameters(taker) -> set[str] | None:
    """Names of the parameters of a function or class, its bases' included; None if it takes any."""
    names = set()
    for cls in inspect.getmro(taker) if inspect.isclass(taker) else (taker,):
        init = cls.__dict__.get('__init__') if inspect.isclass(cls) else cls
        if init is None:
            continue
        found = inspect.signature(init).parameters
        names |= {p.name for p in found.values() if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)}
        if 'block' in found and cls.__module__.startswith('res2net_mm.'):  # as our networks call them
            from .models.bottle2neck import BLOCK_ARGUMENTS

            names |= {*BLOCK_ARGUMENTS}
        if all(p.kind is not p.VAR_KEYWORD for p in found.values()):
            return names - {'self'} | {'type'}
    return None


def class_name(kind: str | type | None) -> str:
    """The name, without a scope, of the class that is a config's ``type``."""
    return getattr(kind, '__name__', str(kind)).rpartition('.')[2]


def registries() -> list[Registry]:
    """All registries of the current default scope and of mmengine, with all that they register.

    Raises:
        UserError: If importing the toolbox fails.
    """
    scope = DefaultScope.get_current_instance()
    names = dict.fromkeys([scope.scope_name, 'mmengine'] if scope else ['mmengine'])
    return [registry for name in names for registry in import_toolbox(name)]


def find_registered(name: str):
    """The class or function registered under a name in the default scope or the one it names, or None.

    mmcv's ops go by their names without being registered: ``RoIAlign``, ``nms``.

    Raises:
        UserError: If importing the toolbox fails.
    """
    import mmcv.ops

    if '.' in name:
        import_toolbox(name.partition('.')[0])
    for registry in registries():
        try:
            found = registry.get(name)
        except (RuntimeError, KeyError, ImportError):  # how it says no differs between versions
            continue
        if found is not None:
            return found
    return getattr(mmcv.ops, name, None)
