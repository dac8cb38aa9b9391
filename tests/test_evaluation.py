"""The metrics that the configs use: the fast COCO evaluation is pycocotools'."""

import numpy as np
import pytest
import torch
from make_data import COUNTS, make_demo_data
from mmengine.registry import METRICS, DefaultScope

from res2net_mm.engine import safe_runner
from res2net_mm.toolboxes import import_toolbox


@pytest.fixture(scope='module')
def ann_file(tmp_path_factory):
    root = tmp_path_factory.mktemp('data') / 'demo'
    make_demo_data(root, dict.fromkeys(COUNTS, 1) | {'coco/val': 14})
    return str(root / 'coco/annotations/instances_val2017.json')


def predictions(ann_file, rng):
    """Boxes and masks around the objects, some of another category, and many false alarms."""
    from mmdet.datasets.api_wrappers import COCO
    from pycocotools import mask as masks

    api = COCO(ann_file)
    labels = {cat: i for i, cat in enumerate(api.get_cat_ids())}
    for image in api.dataset['images']:
        shape = image['height'], image['width']
        found = []
        for ann in api.imgToAnns[image['id']]:
            mask = api.annToMask(ann)
            for _ in range(8):
                shift = rng.integers(-4, 5, 2)
                moved = np.roll(mask, shift, (0, 1))
                x, y, w, h = ann['bbox'] + rng.normal(0, 0.06, 4) * np.tile(ann['bbox'][2:], 2)
                label = labels[ann['category_id']] if rng.random() < 0.8 else rng.integers(80)
                found.append(([x, y, x + max(w, 1), y + max(h, 1)], moved, label))
        for _ in range(150 if image['id'] % 5 == 0 else 10):  # more than the 100 that count
            x, y, w, h = rng.uniform(0, 150, 4) + (0, 0, 5, 5)
            mask = np.zeros(shape, np.uint8)
            mask[int(y) : int(y + h), int(x) : int(x + w)] = 1
            found.append(([x, y, x + w, y + h], mask, rng.choice(list(labels.values())[:5])))
        yield dict(
            img_id=image['id'],
            ori_shape=shape,
            pred_instances=dict(
                bboxes=torch.tensor(np.array([f[0] for f in found]), dtype=torch.float32),
                masks=[masks.encode(np.asfortranarray(f[1])) for f in found],
                labels=torch.tensor([int(f[2]) for f in found]),
                scores=torch.tensor(rng.random(len(found)).round(2), dtype=torch.float32),  # with ties
            ),
        )


def test_faster_coco_metric_gives_pycocotools_numbers(ann_file, monkeypatch):
    from mmdet.datasets import CocoDataset
    from mmdet.evaluation import metrics as of_mmdet
    from mmdet.evaluation.metrics import coco_metric, faster_coco_metric

    samples = list(predictions(ann_file, np.random.default_rng(0)))
    assert max(len(s['pred_instances']['labels']) for s in samples) > 150
    for module in (coco_metric, faster_coco_metric):  # which round their results
        monkeypatch.setattr(module, 'round', lambda value, digits: value, raising=False)
    results = []
    for kind in (of_mmdet.CocoMetric, faster_coco_metric.FasterCocoMetric):
        items = ['mAP', 'mAP_50', 'mAP_75', 'mAP_s', 'mAP_m', 'mAP_l',
                 'AR@100', 'AR@300', 'AR@1000', 'AR_s@1000', 'AR_m@1000', 'AR_l@1000']  # fmt: skip
        metric = kind(ann_file=ann_file, metric=['bbox', 'segm'], metric_items=items)
        metric.dataset_meta = CocoDataset.METAINFO
        metric.process({}, samples)
        results.append(metric.evaluate(len(samples)))
    theirs, fast = results
    assert len(theirs) == 24 and theirs.keys() == fast.keys()
    ap = theirs['coco/bbox_mAP']
    assert 0.01 < ap < 0.9 and round(ap, 3) != ap
    for name, value in theirs.items():
        assert fast[name] == pytest.approx(value, abs=1e-6), name


@pytest.mark.parametrize('scope, package, expected', [
    ('mmdet', True, 'FasterCocoMetric'), ('mmdet', False, 'CocoMetric'), ('mmpose', True, 'CocoMetric'),
])  # fmt: skip
def test_the_tools_evaluate_by_the_faster_metric(scope, package, expected, ann_file, monkeypatch):
    import_toolbox(scope)
    monkeypatch.setattr(safe_runner, 'find_spec', lambda name: package or None)
    coco, other = dict(type='CocoMetric', ann_file=ann_file), dict(type='DumpResults', out_file_path='x.pkl')
    with DefaultScope.overwrite_default_scope(scope):
        given = coco, [coco, other], dict(coco, type=METRICS.get(f'{scope}.CocoMetric'))
        for evaluator in given:
            built = object.__new__(safe_runner.SafeRunner).build_evaluator(evaluator)
            assert type(built.metrics[0]).__name__ == expected
    assert coco['type'] == 'CocoMetric' and len(given[1]) == 2
