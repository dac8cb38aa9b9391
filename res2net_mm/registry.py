"""Registries of the scope ``res2net_mm``, children of mmengine's.

mmengine imports this module by itself when a config says ``type='res2net_mm.X'`` and then the registry's
``locations``, so no config needs ``custom_imports``.
"""

from mmengine import registry as root

MODELS = root.Registry('model', parent=root.MODELS, scope='res2net_mm', locations=['res2net_mm.models'])
OPTIM_WRAPPERS = root.Registry(
    'optim_wrapper', parent=root.OPTIM_WRAPPERS, scope='res2net_mm', locations=['res2net_mm.engine']
)
FUNCTIONS = root.Registry(
    'function', parent=root.FUNCTIONS, scope='res2net_mm', locations=['res2net_mm.checkpoints']
)
HOOKS = root.Registry('hook', parent=root.HOOKS, scope='res2net_mm', locations=['res2net_mm.engine'])
DATASETS = root.Registry(
    'dataset', parent=root.DATASETS, scope='res2net_mm', locations=['res2net_mm.datasets']
)
TRANSFORMS = root.Registry(
    'transform', parent=root.TRANSFORMS, scope='res2net_mm', locations=['res2net_mm.datasets']
)
METRICS = root.Registry(
    'metric', parent=root.METRICS, scope='res2net_mm', locations=['res2net_mm.evaluation']
)
