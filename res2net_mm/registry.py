"""Registries of the scope ``res2net_mm``, children of mmengine's.

mmengine imports this module by itself when a config says ``type='res2net_mm.X'`` and then the registry's
``locations``, so no config needs ``custom_imports``.
"""

from mmengine import registry as root


def _child(parent: root.Registry, location: str) -> root.Registry:
    return root.Registry(parent.name, parent=parent, scope='res2net_mm', locations=[f'res2net_mm.{location}'])


MODELS = _child(root.MODELS, 'models')
OPTIM_WRAPPERS = _child(root.OPTIM_WRAPPERS, 'engine')
FUNCTIONS = _child(root.FUNCTIONS, 'checkpoints')
HOOKS = _child(root.HOOKS, 'engine')
DATASETS = _child(root.DATASETS, 'datasets')
TRANSFORMS = _child(root.TRANSFORMS, 'datasets')
METRICS = _child(root.METRICS, 'evaluation')
