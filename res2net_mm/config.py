"""Reading configs: ``res2net_mm::NAME.py`` as a base, and ``--cfg-options`` that are checked."""

import copy
import importlib
import sys
from collections.abc import Iterator
from functools import cache, wraps
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from mmengine.config import Config, ConfigDict
from mmengine.config import utils as config_utils
from mmengine.config.utils import MODULE2PACKAGE
from mmengine.registry import DefaultScope
from mmengine.utils import is_installed

from .errors import UserError
from .lookup import find_registered, nearest, parameters
from .toolboxes import how_to_install, importing

# Keys that mmengine and mmcv take from a config beside the parameters of what they build with the rest.
READ_BY_RUNNER = {
    'activation_checkpointing',
    'auto_scale_lr',
    'compile',
    'custom_imports',
    'default_scope',
    'efficient_conv_bn_eval',
    'find_unused_parameters',
    'model_wrapper_cfg',
    'sync_bn',
    'tta_model',
    'tta_pipeline',
}
POPPED = dict(
    train_cfg={'by_epoch'},
    default_hooks={'priority'},
    custom_hooks={'priority'},
    optim_wrapper={'constructor', 'paramwise_cfg'},
    param_scheduler={'convert_to_iter_based'},
    init_cfg={'input_conv', 'partial'},  # of this package's networks, see load_pretrained
    loss_cls={'bg_cls_weight'},  # by DETR's heads
    nms={'class_agnostic', 'split_thr'},
    norm_cfg={'requires_grad'},
    backbone={'pretrained'},  # see models.arguments.checked
)

CONFIGS = Path(__file__).parent / '.mim' / 'configs'  # in a wheel, or a link to the checkout's
if not CONFIGS.is_dir():  # a checkout that is used without being installed
    CONFIGS = Path(__file__).parents[1] / 'configs'
WEIGHTS = '.pth', '.pt', '.tar', '.safetensors'

INFERENCERS = 'mmengine.infer.infer'


def load_config(path: str, options: dict | None = None) -> Config:
    """Read a config file and merge ``--cfg-options`` into it.

    Args:
        path (str): The file, or ``res2net_mm::NAME.py`` for one that the package ships.
        options (dict, optional): Dotted keys and their values.

    Raises:
        UserError: If there is no such file, or its toolbox isn't installed or doesn't import, or an option
            names a key that the config hasn't and that no class in it takes, or is a word for a number.
    """
    file = existing(path)
    try:
        cfg = Config.fromfile(file)
    except FileNotFoundError as error:
        raise UserError(f'a base of {file} was not found: {error}') from None
    except ModuleNotFoundError as error:  # a base of a toolbox
        advice = how_to_install(str(error))
        raise UserError(f'{file} needs a package that is missing: {error}{advice}') from None
    scope = cfg.get('default_scope')
    if scope and find_spec(scope) is None:
        raise UserError(
            f"the config's default_scope is {scope!r}, but {scope} is not installed{how_to_install(scope)}"
        )
    with importing(scope or 'mmengine'):
        importlib.import_module(f'{scope or "mmengine"}.registry')
    # A new type comes first: it is its arguments that the other options are.
    options = dict(sorted((options or {}).items(), key=lambda item: not item[0].endswith('.type')))
    with DefaultScope.overwrite_default_scope(scope):
        for key, value in options.items():
            check_option(cfg, key, value)
            cfg.merge_from_dict({key: value})
    _start_alike(cfg, options)
    return cfg


def is_shipped(path: str | Path) -> bool:
    """Whether a config's path is of the form ``res2net_mm::NAME.py``."""
    return str(path).startswith('res2net_mm::')


def existing(path: str | Path) -> Path:
    """The config file of that path, or of that name, ``res2net_mm::NAME.py``.

    Raises:
        UserError: If there is none, naming what comes nearest.
    """
    file = CONFIGS / str(path).partition('::')[2] if is_shipped(path) else Path(path)
    if not file.is_file():
        near = nearest(file.stem, [p.stem for p in file.parent.glob('*.py')])
        raise UserError(
            f'config not found: {file.absolute()}'
            + (f'\nDid you mean {str(path).removesuffix(file.name)}{near}.py?' if near else '')
        )
    if file.suffix not in ('.py', '.yml', '.yaml', '.json'):
        swapped = ': it is a checkpoint, and the config comes before it' if file.suffix in WEIGHTS else ''
        raise UserError(f'{file} is no config{swapped or ": its name must end in .py"}')
    return file


def _start_alike(cfg: Config, options: dict) -> None:
    """A C4 detector's shared head is its backbone's last stage: options for the weights hold for both."""
    head = ((cfg.get('model') or {}).get('roi_head') or {}).get('shared_head')
    of_backbone, of_head = (
        any(key.startswith(f'model.{part}.init_cfg') for key in options)
        for part in ('backbone', 'roi_head.shared_head')
    )
    if head and of_backbone and not of_head:
        head.init_cfg = copy.deepcopy(cfg.model.backbone.init_cfg)


@cache
def shipped_configs() -> dict[str, Path]:
    """All experiments that the package ships a config of, by name."""
    files = sorted(CONFIGS.glob('*.py')) + sorted(CONFIGS.glob('*/*.py'))
    return {file.stem: file for file in files if file.parent.name != '_base_'}


def resolve_names() -> None:
    """Let a config be named ``res2net_mm::NAME.py`` wherever mmengine takes one.

    That is as a ``_base_``, in ``mmengine.hub.get_config``, in ``Config.fromfile``, by which the toolboxes'
    functions read configs, and as the model of their inferencers. A ``_base_`` may be
    ``'mmseg::PATH.py'`` of OneDL's mmseg, too.

    mmengine resolves ``package::`` in ``_base_`` alone, for OpenMMLab's own packages, by a table of their
    distributions that lacks OneDL's of mmseg, and only where the rest has a slash. For a package's
    ``_base_/PATH.py``, too, it would first read all of the package's metafiles, which takes longer than the
    rest of reading a config.
    """
    resolve, read, split = Config._get_cfg_path, Config.fromfile, config_utils._get_package_and_cfg_path
    find_listed = config_utils._get_cfg_metainfo

    def get_cfg_path(cfg_path, filename):
        package = cfg_path.partition('::')[0]
        if package == 'res2net_mm':
            return str(existing(cfg_path)), None
        if package in MODULE2PACKAGE and not is_installed(MODULE2PACKAGE[package]):
            MODULE2PACKAGE[package] = package  # mmengine also finds a package by its module
        return resolve(cfg_path, filename)

    def get_cfg_metainfo(package_path, cfg_path):
        if cfg_path.startswith('_base_/'):
            raise ValueError(f'{cfg_path} is in no metafile')  # mmengine then takes the file of that path
        return find_listed(package_path, cfg_path)

    @wraps(read)
    def fromfile(filename, *args, **kwargs):
        return read(existing(filename) if is_shipped(filename) else filename, *args, **kwargs)

    def get_package_and_cfg_path(cfg_path):
        return ('res2net_mm', cfg_path.partition('::')[2]) if is_shipped(cfg_path) else split(cfg_path)

    for module in (config_utils, sys.modules.get('mmengine.hub.hub')):
        if module is not None:
            module._get_package_and_cfg_path = get_package_and_cfg_path
    config_utils._get_cfg_metainfo = get_cfg_metainfo
    Config._get_cfg_path = staticmethod(get_cfg_path)
    Config.fromfile = staticmethod(fromfile)
    if INFERENCERS in sys.modules:
        _name_models(sys.modules[INFERENCERS])
    else:  # importing it takes seconds, and it is mostly not used
        sys.meta_path.insert(0, InferencersFinder())


class InferencersFinder(MetaPathFinder):
    """Finds mmengine's inferencers where Python does, and teaches them this package's names."""

    def find_spec(self, fullname: str, path=None, target=None) -> ModuleSpec | None:
        """The spec of that module, and of no other."""
        spec = PathFinder.find_spec(fullname, path) if fullname == INFERENCERS else None
        if spec is not None:
            run = spec.loader.exec_module

            def exec_module(module):
                run(module)
                _name_models(module)

            spec.loader.exec_module = exec_module
        return spec


def _name_models(inferencers: ModuleType) -> None:
    """Let the model of an inferencer be ``res2net_mm::NAME.py``.

    A model that isn't a file is looked up in the list of models of the inferencer's toolbox.
    """
    base = inferencers.BaseInferencer
    look_up = base._load_model_from_metafile

    def load_model_from_metafile(self, model):
        return (Config.fromfile(model), None) if is_shipped(model) else look_up(self, model)

    base._load_model_from_metafile = load_model_from_metafile


def unwrap(dataset):
    """The data set, or its config, inside of those that repeat it or take a part of it."""
    inner = dataset.get('dataset') if isinstance(dataset, dict) else getattr(dataset, 'dataset', None)
    return dataset if inner is None else unwrap(inner)


def walk(node, path: tuple = ()) -> Iterator[tuple[tuple, dict]]:
    """All dicts in a config, with their paths."""
    if isinstance(node, dict):
        yield path, node
    items = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in items:
        if isinstance(value, (dict, list, tuple)):
            yield from walk(value, (*path, key))


def check_option(cfg: Config, option: str, value=None) -> None:
    """Check that a dotted key is in the config, or that the class it belongs to takes it; and the value.

    Of dicts that belong to no class only misspellings are noticed. Where the key is inside of something that
    is None, that becomes a dict: mmengine merges none into None.

    Raises:
        UserError: Naming the first unknown part and what comes nearest to it, or a word in a number's place.
    """
    node, parent, done = cfg._cfg_dict, None, []
    for part in option.split('.'):
        if not done and part in node and part not in accepted(node, []):
            raise UserError(
                f'--cfg-options {option}: {part} is a variable of the config files, too late to change; '
                'set what was made of it, such as train_dataloader.dataset.data_root'
            )
        if isinstance(node, (list, tuple)):
            if not part.isdigit() or int(part) >= len(node):
                raise UserError(
                    f'--cfg-options {option}: {".".join(done)} is a list of {len(node)}; '
                    f'{part!r} is no index of it'
                )
            node, parent = node[int(part)], node
        elif isinstance(node, dict):
            if part not in node:
                taken = accepted(node, done)
                # What a dict without a class may hold isn't known; only what looks misspelt is refused.
                near = nearest(part, {*node, *(taken or ())}, cutoff=0.6 if taken else 0.7)
                if part in (taken or ()) or (not taken and not near):
                    return
                where = '.'.join(done) or 'the config'
                raise UserError(
                    f'--cfg-options {option}: {where} has no {part!r}'
                    + (f'; did you mean {".".join([*done, near])}?' if near else '')
                    + f'\nIt has: {", ".join(sorted({*node, *(taken or ())} - {"_scope_"}))}'
                )
            node, parent = node[part], node
        elif node is None:
            parent[int(done[-1]) if isinstance(parent, list) else done[-1]] = ConfigDict()
            return
        else:
            raise UserError(f'--cfg-options {option}: {".".join(done)} is {node!r}, which has no {part!r}')
        done.append(part)
    if isinstance(value, str) and isinstance(node, (int, float)) and not isinstance(node, bool):
        raise UserError(f'--cfg-options {option}={value}: it must be a number, such as {node}')


def accepted(node: dict, path: list[str]) -> set[str] | None:
    """Names that a dict's consumer takes beside those that are set; None if that isn't known."""
    from mmengine.runner import Runner, set_random_seed
    from torch.utils.data import DataLoader

    if not path:
        return (parameters(Runner) | READ_BY_RUNNER) - {'cfg', 'type'}
    if path[-1] == 'optim_wrapper':
        node = {'type': 'OptimWrapper', **node}
    if path[-1] == 'train_cfg' and 'by_epoch' in node:
        node = {'type': f'{"Epoch" if node["by_epoch"] else "Iter"}BasedTrainLoop', **node}
    if 'type' in node:
        taker = node['type'] if callable(node['type']) else find_registered(node['type'])
        taken = parameters(taker) if taker is not None else None
        return taken and taken | POPPED.get(path[0], set()) | POPPED.get(path[-1], set())
    if path[-1] == 'randomness':
        return parameters(set_random_seed)
    if path[-1].endswith('_dataloader'):
        return parameters(DataLoader) | {'num_batch_per_epoch'}
    return None
