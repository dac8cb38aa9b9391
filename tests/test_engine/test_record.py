"""What the hook records; of whole runs: tests/test_tools/test_recorded_runs.py."""

import json
import subprocess
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from make_data import COUNTS, make_demo_data

from res2net_mm.engine import RecordHook, record
from res2net_mm.engine.runner import record as add_record


def test_numbers_have_the_digits_that_they_were_computed_with():
    metrics = {
        'of 32 bits': np.float32(77.66),
        'made of them': float(np.float32(76.136)),
        'of 64': 0.33700000000000001,
        'exact': 0.5,
        'whole': 3,
        'a tensor': torch.tensor(0.1),
        'undefined': float('nan'),
        'text': '0.337 0.536',
        'of classes': [0.1, 0.2],
        'array': np.zeros(2),
        'nothing': None,
    }
    assert record._numbers(metrics) == {
        'of 32 bits': 77.66,
        'made of them': 76.136,
        'of 64': 0.337,
        'exact': 0.5,
        'whole': 3.0,
        'a tensor': 0.1,
        'undefined': None,
    }
    assert record._numbers(None) == {}


@pytest.fixture(scope='module')
def ann_file(tmp_path_factory):
    root = tmp_path_factory.mktemp('data') / 'demo'
    make_demo_data(root, dict.fromkeys(COUNTS, 1) | {'coco/val': 4})
    return str(root / 'coco/annotations/person_keypoints_val2017.json')


def test_of_a_data_set_of_persons_the_images_are_counted(ann_file):
    from xtcocotools.coco import COCO

    coco = COCO(ann_file)
    persons = list(range(9))
    metrics = [SimpleNamespace(), SimpleNamespace(coco=coco)]
    described = record._describe(persons, metrics)
    assert (described['images'], described['instances']) == (4, len(coco.anns))
    assert record._describe(persons) == dict(type='list', folder=None, images=9, instances=None, classes=None)


def test_of_a_part_of_such_a_data_set_its_own_images_are_counted(ann_file):
    from mmpose.datasets import CocoDataset
    from xtcocotools.coco import COCO

    options = dict(ann_file=ann_file, data_prefix=dict(img='val2017/'), pipeline=[], lazy_init=False)
    whole = CocoDataset(**options)
    part = CocoDataset(**options, indices=len(whole) - 1)
    images = {part.get_data_info(i)['img_id'] for i in range(len(part))}
    metrics = [SimpleNamespace(coco=COCO(ann_file))]
    described = record._describe(part, metrics)
    assert (described['images'], described['instances']) == (len(images), None)
    described = record._describe(whole, metrics)
    assert (described['images'], described['folder']) == (4, 'val2017')


def test_the_data_set_inside_of_one_that_repeats_it():
    class Inner(list):
        metainfo = dict(classes=('cat', 'dog'))
        data_prefix = dict(img_path='data/pets/images', seg_map_path='data/pets/masks')

    class Repeat(list):
        dataset = Inner([1, 2])

    described = record._describe(Repeat([1, 2, 1, 2]))
    assert described == dict(type='Inner', folder='data/pets/images', images=4, instances=None, classes=2)


def test_a_record_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    hook, runner = RecordHook(), SimpleNamespace(log_dir=str(tmp_path / 'time'))
    hook._write(runner, metrics={'mIoU': 1.0})
    file = tmp_path / 'time' / 'record.json'
    before = file.read_text()
    assert json.loads(before) == dict(metrics={'mIoU': 1.0})

    def torn(*args, **kwargs):
        raise OSError('disk full')

    monkeypatch.setattr('pathlib.Path.write_text', torn)
    with pytest.raises(OSError, match='disk full'):
        hook._write(runner, metrics={'mIoU': 2.0})
    assert file.read_text() == before and len(list(file.parent.iterdir())) == 1


def test_a_checkpoint_has_its_own_progress_and_no_earlier_metrics():
    hook, checkpoint = RecordHook(), dict(meta=dict(iter=8))
    hook.record.update(metrics={'mIoU': 1.0})
    hook.before_save_checkpoint(SimpleNamespace(train_loop=None, iter=7, max_iters=9), checkpoint)
    progress = dict(unit='iter', reached=8, planned=9)
    assert checkpoint['meta']['record'] == dict(metrics=None, progress=progress)


def test_a_config_that_asks_for_it_gets_it_once():
    hook, registered = RecordHook(), []
    runner = SimpleNamespace(hooks=[hook], register_hook=registered.append)
    assert add_record(runner, {'a': 1}) is hook.record and hook.options == {'a': 1} and not registered
    runner.hooks = []
    assert add_record(runner, None) is registered[0].record and registered[0].options == {}


def test_the_revision_of_the_checkout(tmp_path, monkeypatch):
    monkeypatch.setattr(record, 'ROOT', tmp_path)
    assert record._revision() is None  # installed, not a checkout

    def git(*args):
        command = ['git', '-c', 'user.name=x', '-c', 'user.email=x@y.z', '-c', 'commit.gpgsign=false', *args]
        return subprocess.check_output(command, cwd=tmp_path, text=True)

    git('init')
    (tmp_path / 'file').write_text('1')
    git('add', 'file')
    git('commit', '-m', 'x')
    git('tag', 'v1')
    commit = git('rev-parse', 'HEAD').strip()
    assert record._revision() == commit
    (tmp_path / 'file').write_text('2')
    assert record._revision() == f'{commit}-dirty'
    monkeypatch.setenv('PATH', '')
    assert record._revision() is None  # no git
