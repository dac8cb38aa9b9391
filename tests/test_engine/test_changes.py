"""How a run's config differs from the shipped one of its name."""

import copy
import functools

import pytest
from mmengine.config import Config

from res2net_mm.config import shipped_configs
from res2net_mm.engine.changes import find_changes
from res2net_mm.engine.options import dump, use_tta

R2N50 = 'faster_rcnn_r2n50_coco'


@functools.cache
def shipped(name):
    return Config.fromfile(shipped_configs()[name])


def changes(options=None, name=R2N50, part='test', images=None, change=None):
    cfg = copy.deepcopy(shipped(name))
    cfg.merge_from_dict(options or {})
    if change:
        change(cfg)
    return find_changes(cfg, shipped(name), part, images)


@pytest.mark.parametrize('name', sorted(shipped_configs()))
def test_a_config_does_not_differ_from_itself(name):
    for part in ('test', 'val'):
        assert changes(name=name, part=part) == dict(evaluation=[], training=[])


@pytest.mark.parametrize(
    'options, line',
    [
        ({'model.backbone.depth': 101}, 'model.backbone.depth=101, not 50'),
        ({'model.test_cfg.rcnn.score_thr': 0.01}, 'model.test_cfg.rcnn.score_thr=0.01, not 0.05'),
        (
            {'test_dataloader.dataset.pipeline.1.scale': (1333, 800)},
            'dataset.pipeline.1.scale.0=1333, not 1000',
        ),
        ({'test_dataloader.dataset.indices': 5000}, 'dataset.indices=5000, not None'),
        ({'test_dataloader.num_batch_per_epoch': 5}, 'num_batch_per_epoch=5, not None'),
        (
            {'test_dataloader.dataset.ann_file': 'annotations/instances_train5k.json'},
            "dataset.ann_file='instances_train5k.json', not 'instances_val2017.json'",
        ),
        (
            {'test_dataloader.dataset.data_prefix.img': 'train2017/'},
            "dataset.data_prefix.img='train2017', not 'val2017'",
        ),
        ({'test_evaluator.type': 'LVISMetric'}, "evaluator.0.type='LVISMetric', not 'CocoMetric'"),
        ({'model.roi_head.bbox_head.loss_cls.use_sigmoid': True}, None),
    ],
)
def test_what_decides_an_evaluation(options, line):
    found = changes(options)
    assert len(found['evaluation']) >= 1 and found['training'] == []
    assert line is None or line in found['evaluation']


def test_a_transform_more_decides_an_evaluation():
    found = changes(change=lambda cfg: cfg.test_dataloader.dataset.pipeline.append(dict(type='X')))
    assert len(found['evaluation']) == 1 and found['evaluation'][0].startswith('dataset.pipeline=[')


@pytest.mark.parametrize(
    'options',
    [
        {'optim_wrapper.optimizer.lr': 0.04},
        {'train_cfg.max_epochs': 6},
        {'train_dataloader.dataset.ann_file': 'annotations/instances_val2017.json'},
        {'model.backbone.init_cfg': None},
        {'model.train_cfg.rcnn.sampler.num': 64},
        {'model.backbone.norm_eval': False},
        {'model.roi_head.bbox_head.loss_bbox.loss_weight': 2.0},
        {'load_from': 'other.pth'},
        {'auto_scale_lr.enable': True},
        {'custom_hooks': [dict(type='EMAHook')]},
    ],
)
def test_what_decides_a_training(options):
    found = changes(options, part='val')
    assert len(found['training']) == 1 and found['evaluation'] == []
    assert found['training'][0].partition('=')[0].startswith(next(iter(options)).rpartition('.')[0])


def test_the_images_per_iteration():
    assert changes(part='val', images=16)['training'] == []
    assert changes(part='val', images=2)['training'] == ['2 images per iteration, not 16']
    # Of another base_batch_size in the run's own config nobody's numbers are.
    options = {'auto_scale_lr.base_batch_size': 2}
    assert changes(options, part='val', images=2)['training'] == ['2 images per iteration, not 16']


@pytest.mark.parametrize('part', ['test', 'val'])
def test_what_decides_nothing(part):
    options = {
        f'{part}_evaluator.type': 'FasterCocoMetric',
        f'{part}_evaluator.ann_file': '/data/coco/annotations/instances_val2017.json',
        f'{part}_evaluator.use_mp_eval': True,
        f'{part}_evaluator.classwise': True,
        f'{part}_dataloader.dataset.data_root': '/data/coco/',
        f'{part}_dataloader.dataset.data_prefix.img': 'images/val2017',
        f'{part}_dataloader.dataset.lazy_init': False,
        f'{part}_dataloader.num_workers': 8,
        f'{part}_dataloader.batch_size': 4,
        'model.backbone.norm_cfg.type': 'SyncBN',
        'model.backbone.with_cp': True,
        'train_dataloader.num_workers': 8,
        'train_dataloader.batch_size': 4,
        'train_dataloader.dataset.data_root': '/data/coco/',
        'train_cfg.val_interval': 3,
        'custom_hooks': [dict(type='res2net_mm.RecordHook')],
    }
    assert changes(options, part=part) == dict(evaluation=[], training=[])


def test_evaluators_that_only_write():
    assert changes(change=lambda cfg: dump(cfg, 'x.pkl')) == dict(evaluation=[], training=[])


def test_a_checkpoint_that_is_resumed_is_no_start():
    found = changes({'load_from': 'epoch_6.pth', 'resume': True}, part='val')
    assert found['training'] == []


def test_detections_of_others_and_the_ground_truths_boxes():
    name = 'simplebaseline_r50_coco'
    (line,) = changes({'test_dataloader.dataset.bbox_file': '/x/person_AP70.json'}, name)['evaluation']
    assert line.startswith("dataset.bbox_file='person_AP70.json', not 'COCO_val2017_")
    assert changes({'test_dataloader.dataset.bbox_file': None}, name)['evaluation'] == []


def test_augmentation_is_compared_with_the_configs_own():
    name = 'deeplabv3plus_r50_voc12aug'
    assert changes(name=name, change=use_tta)['evaluation'] == []
    found = changes({'tta_pipeline.1.transforms.0.0.scale_factor': 3.0}, name, change=use_tta)
    assert len(found['evaluation']) == 1 and 'scale_factor=3.0, not ' in found['evaluation'][0]

    def of_its_own(cfg):
        cfg.tta_model, cfg.tta_pipeline = dict(type='DetTTAModel'), []
        use_tta(cfg)

    assert changes(change=of_its_own)['evaluation']
