"""What each shipped config merges to is what merged_configs.txt says, value by value.

That holds for what a config inherits from a toolbox's own ``_base_``, too: if another version of the toolbox
has another value there, it is another experiment. To change an experiment on purpose, write the file again
with ``PYTHONPATH=. python tests/test_merged_configs.py``: its diff shows what changed.
"""

import ast
from collections import defaultdict
from pathlib import Path

import pytest

from res2net_mm.config import load_config, shipped_configs

FILE = Path(__file__).with_name('merged_configs.txt')
# Not compared: a variable of some config files, used up when they are read, and hooks, which only record.
LEFT_OUT = {'norm_cfg', 'custom_hooks'}
# What MMDetection's bases spell out and ours leave out: defaults of the classes that take it.
WITHOUT_EFFECT = {
    '_scope_': 'mmdet',  # mmengine's mark of what is inherited from mmdet; default_scope is the same
    'backend_args': None,  # of data sets, transforms and metrics
    'format_only': False,  # CocoMetric
    'target_means': [0.0, 0.0, 0.0, 0.0],  # DeltaXYWHBBoxCoder
    'target_stds': [1.0, 1.0, 1.0, 1.0],
    'loss_weight': 1.0,  # every loss
    'debug': False,  # train_cfg's; nothing reads it
}
ABSENT = type('Absent', (), {'__repr__': lambda self: 'absent'})()


def merged(name: str) -> dict:
    """A shipped config as plain dicts with sorted keys, without what isn't compared."""
    cfg = load_config(str(shipped_configs()[name])).to_dict()
    return plain({key: value for key, value in cfg.items() if key not in LEFT_OUT})


def plain(value):
    """Sort the keys of nested dicts and drop those without effect."""
    if isinstance(value, dict):
        kept = {k: v for k, v in value.items() if k not in WITHOUT_EFFECT or v != WITHOUT_EFFECT[k]}
        return {key: plain(kept[key]) for key in sorted(kept)}
    return type(value)(map(plain, value)) if isinstance(value, (list, tuple)) else value


def write() -> None:
    """Write a line for each distinct value of a top-level key: key, names of its configs, value."""
    configs = defaultdict(list)
    for name in sorted(shipped_configs()):
        for key, value in merged(name).items():
            configs[key, repr(value)].append(name)
    lines = [f'({key!r}, {" ".join(names)!r}, {value})\n' for (key, value), names in sorted(configs.items())]
    FILE.write_text(''.join(lines))


def read() -> dict[str, dict]:
    """Read merged_configs.txt: by config, then by top-level key."""
    configs = defaultdict(dict)
    for line in FILE.read_text().splitlines():
        key, names, value = ast.literal_eval(line)
        for name in names.split():
            configs[name][key] = value
    return configs


def differences(now, before, path: str = ''):
    """Yield a line for each value that differs, tuples from lists and integers from floats included."""
    if isinstance(now, dict) and isinstance(before, dict):
        for key in sorted(now.keys() | before.keys()):
            yield from differences(now.get(key, ABSENT), before.get(key, ABSENT), f'{path}.{key}')
    elif isinstance(now, (list, tuple)) and type(now) is type(before) and len(now) == len(before):
        for i, pair in enumerate(zip(now, before)):
            yield from differences(*pair, f'{path}.{i}')
    elif repr(now) != repr(before):
        yield f'{path.lstrip(".")} is {now!r}, it was {before!r}'


def test_every_shipped_config_is_written_down():
    assert set(read()) == set(shipped_configs())


@pytest.mark.parametrize('name', sorted(shipped_configs()))
def test_a_config_merges_to_what_it_did(name):
    lines = list(differences(merged(name), read()[name]))
    assert not lines, f'{name}:\n  ' + '\n  '.join(lines)


def test_each_difference_is_named():
    before = dict(model=dict(type='A', scales=[4, 8], size=(1, 2)), resume=False)
    now = dict(model=dict(type='A', scales=[4, 8.0], size=[1, 2], depth=50))
    assert list(differences(now, before)) == [
        'model.depth is 50, it was absent',
        'model.scales.1 is 8.0, it was 8',
        'model.size is [1, 2], it was (1, 2)',
        'resume is absent, it was False',
    ]


def test_only_the_default_is_without_effect():
    assert plain([dict(loss_weight=1.0, b=1, a=2, backend_args=None)]) == [dict(a=2, b=1)]
    assert plain(dict(loss_weight=2.0)) == dict(loss_weight=2.0)


if __name__ == '__main__':
    write()
