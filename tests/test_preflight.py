import copy
import json
from importlib.util import find_spec
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.registry import DefaultScope

from res2net_mm import preflight
from res2net_mm.checks.start import doubts
from res2net_mm.config import load_config
from res2net_mm.errors import UserError

CONFIGS = Path(__file__).parents[1] / 'configs'


@pytest.fixture
def coco(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    root = tmp_path / 'data/coco'
    for split in ('train2017', 'val2017'):
        (root / split).mkdir(parents=True)
        (root / 'annotations').mkdir(exist_ok=True)
        (root / 'annotations' / f'instances_{split}.json').write_text(json.dumps({}))
    return root


@pytest.fixture
def cfg(coco):
    return configured('faster_rcnn_r2n50_fpn_coco.py', coco)


def configured(name, root):
    cfg = load_config(str(CONFIGS / name))
    for phase in ('train', 'val', 'test'):
        cfg[f'{phase}_dataloader'].dataset.data_root = f'{root}/'
    for phase in ('val', 'test'):
        cfg[f'{phase}_evaluator'].ann_file = f'{root}/annotations/instances_val2017.json'
    cfg.model.backbone.init_cfg = None
    return cfg


def message(cfg, mode='train', checkpoint=None):
    with pytest.raises(UserError) as error:
        preflight.check(cfg, mode, checkpoint)
    return str(error.value)


def test_a_complete_config_passes(cfg):
    preflight.check(cfg, 'train')
    preflight.check(cfg, 'test')


def test_missing_data_is_listed_whole(cfg, coco):
    (coco / 'val2017').rmdir()
    (coco / 'annotations' / 'instances_train2017.json').unlink()
    text = message(cfg)
    assert f'train_dataloader.dataset.ann_file: {coco}/annotations/instances_train2017.json' in text
    assert f'val_dataloader.dataset.data_prefix.img: {coco}/val2017' in text
    assert 'Expected layout' in text and 'train2017/    118,287 images' in text
    assert 'ln -s WHERE_IT_IS data/coco\n' in text and 'make demo' in text
    text = message(cfg, 'test')
    assert 'val2017' in text and 'instances_train2017.json:' not in text


def test_without_a_checkout_there_is_no_makefile(cfg, coco, monkeypatch):
    monkeypatch.setattr(preflight, 'CONFIGS', coco / 'configs')
    (coco / 'val2017').rmdir()
    text = message(cfg)
    assert text.endswith('ln -s WHERE_IT_IS data/coco') and 'make demo' not in text


def test_missing_evaluator_file(cfg, coco):
    cfg.val_evaluator.ann_file = str(coco / 'nowhere.json')
    assert f'val_evaluator.ann_file: {coco}/nowhere.json' in message(cfg)


def test_data_inside_wrappers(cfg, coco):
    inner = copy.deepcopy(cfg.train_dataloader.dataset)
    inner.ann_file = 'annotations/other.json'
    cfg.train_dataloader.dataset = dict(
        type='RepeatDataset', times=2, dataset=dict(type='ConcatDataset', datasets=[inner])
    )
    assert f'dataset.dataset.datasets.0.ann_file: {coco}/annotations/other.json' in message(cfg)


def test_missing_person_detections(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cfg = load_config(str(CONFIGS / 'simplebaseline_r2n50_coco.py'))
    cfg.test_evaluator.ann_file = str(tmp_path / 'data/coco/annotations/person_keypoints_val2017.json')
    cfg.test_dataloader.dataset.update(
        data_root=f'{tmp_path}/data/coco/', bbox_file=f'{tmp_path}/data/coco/person_detection_results/x.json'
    )
    text = message(cfg, 'test')
    assert f'test_dataloader.dataset.bbox_file: {tmp_path}/data/coco/person_detection_results/x.json' in text
    assert 'python tools/prepare_data.py coco --root data/coco\n' in text
    assert '--cfg-options test_dataloader.dataset.bbox_file=None' in text


def test_advice_fits_the_data(tmp_path):
    assert 'VOC2007/' in preflight._advice('data/VOCdevkit/')
    assert 'prepare_data.py voc07 --root data/VOCdevkit' in preflight._advice('data/VOCdevkit/')
    assert 'prepare_data.py voc12aug --root data/VOCdevkit' in preflight._advice('data/VOCdevkit/VOC2012')
    assert 'ln -s WHERE_IT_IS data/VOCdevkit' in preflight._advice('data/VOCdevkit/VOC2012')
    assert 'pixelwiseGT-new-PNG/' in preflight._advice('data/saliency/')
    assert 'prepare_data.py saliency --root data/saliency\n' in preflight._advice('data/saliency/')
    assert "make demo makes the demo's data" in preflight._advice('data/demo/coco/')
    assert 'ln -s WHERE_IT_IS data/coco\n' in preflight._advice(f'{Path().absolute()}/data/coco/annotations')
    for own in ('data/own', '/home/coco/data/coco', '/data/VOCdevkit', '/imagenet', 'demo', 'data/coco_own'):
        first, *more = preflight._advice(f'{own}/').splitlines()
        assert first == f'Put the data there, or link to it: ln -s WHERE_IT_IS {own}'
        here = [f'Paths are seen from the folder where this was called, {Path.cwd()}']
        assert more == here * (own[0] != '/')


def test_a_link_stands_for_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'my data').mkdir()
    assert preflight._to_link('my data', 'ann_file', 'my data/a.json') == 'my data/a.json'
    assert preflight._to_link('my pets', 'ann_file', 'my pets/a.json') == 'my pets'
    assert preflight._to_link(None, 'ann_file', 'pets/a.json') == 'pets'
    assert preflight._to_link(None, 'data_prefix.img', 'my data/pets') == 'my data/pets'
    assert "ln -s WHERE_IT_IS 'my data/pets'\n" in preflight._advice('my data/pets')


def test_an_inherited_key_of_the_prefix_is_suspected(cfg, coco):
    (coco / 'images').mkdir()
    cfg.train_dataloader.dataset.data_prefix = dict(img='images', sub_data_root='VOC2007/')
    text = message(cfg)
    assert f'train_dataloader.dataset.data_prefix.sub_data_root: {coco}/VOC2007' in text
    assert 'leave that out by data_prefix=dict(_delete_=True, ...)' in text
    (coco / 'images').rmdir()
    assert '_delete_' not in message(cfg)


@pytest.mark.parametrize(
    'change,text',
    [
        (dict(trian_cfg=dict(max_epochs=1)), 'trian_cfg: there is no such key; did you mean train_cfg?'),
        (
            dict(train_dataloader=dict(batchsize=1)),
            'train_dataloader.batchsize: there is no such key; did you',
        ),
        (
            dict(train_dataloader=dict(batch_size='x')),
            "train_dataloader.batch_size = 'x': it must be a number",
        ),
        (dict(train_cfg=dict(max_epochs=0)), 'train_cfg.max_epochs = 0: it must be a number from 1 on'),
        (
            dict(optim_wrapper=dict(clip_gard=None)),
            'clip_gard: there is no such key; did you mean clip_grad?',
        ),
        (dict(optim_wrapper=dict(optimizer=dict(rate=1))), 'optim_wrapper.optimizer.rate: there is no such'),
        (dict(param_scheduler=[dict(type='LinearLR', strat_factor=1)]), 'did you mean start_factor?'),
        (dict(default_hooks=dict(logger=dict(intervall=1))), 'did you mean interval?'),
        (dict(model=dict(neck=dict(out_chanels=1))), 'model.neck.out_chanels: there is no such key; did you'),
    ],
)
def test_unknown_keys_and_impossible_numbers_of_a_config(cfg, change, text):
    cfg.merge_from_dict(change)
    assert text in message(cfg)


def test_variables_of_a_config_are_no_misspellings(cfg):
    cfg.model.backbone.pretrained = None  # as mmseg's configs have it
    cfg.merge_from_dict(dict(test_pipeline=[], learning_rate=1, classes=['a'], custom_hooks=[dict(
        type='EMAHook', anything=1, priority=49)]))  # fmt: skip
    preflight.check(cfg, 'train')


def test_the_toolboxs_network_of_the_same_name_is_told_of(cfg, capsys):
    for name, told in (('Res2Net', True), ('res2net_mm.Res2Net', False)):
        cfg.model.backbone.type = name
        with DefaultScope.overwrite_default_scope('mmdet'):
            preflight.check_names(cfg)
        text = "'Res2Net' is mmdet's; this package's is 'res2net_mm.Res2Net'"
        assert (text in capsys.readouterr().err) == told


def test_remote_data_is_not_looked_for(cfg):
    cfg.train_dataloader.dataset.data_root = 's3://bucket/coco/'
    preflight.check(cfg, 'train')
    mapped = dict(backend='petrel', path_mapping={'data/coco': 's3://bucket/coco'})
    cfg.train_dataloader.dataset.update(data_root='data/coco/', backend_args=mapped)
    preflight.check(cfg, 'train')


@pytest.mark.parametrize(
    'change,text',
    [
        (dict(model=dict(neck=dict(type='FNP'))), "model.neck.type = 'FNP'; did you mean RFP or FPN"),
        (
            dict(model=dict(backbone=dict(type='res2net_mm.Res2Nets'))),
            "model.backbone.type = 'res2net_mm.Res2Nets'; did you mean Res2Net",
        ),
        (dict(optim_wrapper=dict(optimizer=dict(type='SDG'))), "optimizer.type = 'SDG'; did you mean "),
        (dict(default_hooks=dict(logger=dict(type='LogHook'))), "default_hooks.logger.type = 'LogHook'"),
        (
            dict(train_dataloader=dict(dataset=dict(pipeline=[dict(type='LoadImage')]))),
            "train_dataloader.dataset.pipeline.0.type = 'LoadImage'",
        ),
    ],
)
def test_unregistered_names(cfg, change, text):
    cfg.merge_from_dict(change)
    assert text in message(cfg)


def test_data_of_classifiers():
    text = message(load_config(str(CONFIGS / 'imagenet/r50_imagenet.py')))
    assert 'train_dataloader.dataset.data_prefix.img: ' in text and 'data/imagenet/train' in text
    assert '1,281,167 images in 1,000 folders' in text
    assert 'python tools/prepare_data.py imagenet --root data/imagenet\n' in text
    text = message(load_config(str(CONFIGS / 'cifar100/rx29_8c64w_cifar100.py')), 'test')
    assert 'data/cifar100/cifar-100-python' in text and 'test  meta' in text
    assert 'python tools/prepare_data.py cifar100 --root data/cifar100\n' in text
    assert text.endswith('--cfg-options test_dataloader.dataset.download=True')
    options = {'test_dataloader.dataset.download': True}
    cfg = load_config(str(CONFIGS / 'cifar100/rx29_8c64w_cifar100.py'), options)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        preflight.check_data(cfg, 'test')


def test_a_data_set_that_is_only_a_root(tmp_path):
    pytest.importorskip('mmpretrain')
    cfg = Config(dict(default_scope='mmpretrain', train_dataloader=dict(dataset=dict(
        type='ImageNet', data_root=str(tmp_path / 'imagenet'), split='train', pipeline=[]
    ))))  # fmt: skip
    assert f'dataset.data_root: {tmp_path}/imagenet' in message(cfg)
    cfg.train_dataloader.dataset = dict(type='CIFAR100', data_root=str(tmp_path / 'cifar'), split='train')
    preflight.check(cfg, 'train')  # it fetches itself


def test_missing_checkpoints(cfg, tmp_path):
    gone = str(tmp_path / 'gone.pth')
    assert f'checkpoint not found: {gone}' in message(cfg, 'test', gone)
    cfg.model.backbone.init_cfg = dict(type='Pretrained', checkpoint=gone)
    assert f'checkpoint not found: {gone}' in message(cfg)
    preflight.check(cfg, 'test')  # what a test overwrites needn't be there
    preflight.check(Config(cfg.to_dict() | dict(resume=True)), 'train')  # nor what a resumed training does
    cfg.test_dataloader.dataset.data_root = str(tmp_path / 'nowhere')
    assert message(cfg, 'test', gone).startswith('checkpoint not found')
    cfg.model.backbone.init_cfg.checkpoint = 'res2net://res2net51'
    assert 'no such weights; there are res2net50_26w_4s' in message(cfg)


@pytest.mark.parametrize(
    'toolbox,folders',
    [
        ('mmdet', 'faster_rcnn mask_rcnn htc dcnv2 fpg ssd albu_example openimages seesaw_loss'),
        ('mmseg', 'deeplabv3plus pspnet segformer mask2former'),
        ('mmpose', 'body_2d_keypoint/topdown_heatmap body_2d_keypoint/rtmo hand_2d_keypoint/topdown_heatmap'),
        ('mmpretrain', 'resnet res2net swin_transformer mae convnext'),
    ],
)
def test_names_that_the_toolboxes_configs_use_are_known(toolbox, folders):
    package = pytest.importorskip(toolbox)
    configs = Path(package.__file__).parent / '.mim' / 'configs'
    if not configs.is_dir():
        pytest.skip(f'{toolbox} is installed without its configs')
    for folder in folders.split():
        cfg = Config.fromfile(sorted((configs / folder).rglob('*.py'))[-1])
        with DefaultScope.overwrite_default_scope(cfg.get('default_scope', toolbox)):
            preflight.check_names(cfg)


def test_a_config_without_a_scope_is_told_so(cfg):
    cfg.default_scope = None
    with DefaultScope.overwrite_default_scope('mmdet'):  # an earlier run's, in this process
        assert "the config has no default_scope, such as 'mmdet'" in message(cfg)


def test_a_start_that_is_hardly_meant(monkeypatch):
    cfg = load_config(str(CONFIGS / 'faster_rcnn_r2n50_fpn_coco.py'))
    (doubt,) = doubts(cfg)
    assert doubt == (
        'an iteration learns from 2 images, and the config says that its learning rate is for 16 '
        '(auto_scale_lr.base_batch_size): --auto-scale-lr adapts it'
    )
    with monkeypatch.context() as patch:
        patch.setattr('res2net_mm.checks.start.get_world_size', lambda: 8)
        assert list(doubts(cfg)) == []
    for cure in (dict(resume=True), dict(auto_scale_lr=dict(enable=True, base_batch_size=16))):
        assert list(doubts(Config(cfg.to_dict() | cure))) == []
    cfg.optim_wrapper.accumulative_counts = 8
    assert list(doubts(cfg)) == []
    cfg.model.data_preprocessor.std = [1.0, 1.0, 1.0]
    (doubt,) = doubts(cfg)
    assert doubt.startswith('res2net://res2net50_26w_4s expects ') and 'std is [1.0, 1.0, 1.0]' in doubt
    cfg.model.data_preprocessor.std = [57.375, 57.12, 58.395]  # of BGR
    assert list(doubts(cfg)) == []
    cfg.model.data_preprocessor.std = [1.0] * 4  # of other channels nothing is known
    assert list(doubts(cfg)) == []
    cfg.model.backbone.init_cfg = None
    (doubt,) = doubts(cfg)
    assert 'by frozen_stages=1, norm_eval=True' in doubt and 'model.backbone.norm_eval=False' in doubt
    for key in ('load_from', 'model.init_cfg', 'model.backbone.pretrained'):
        given = copy.deepcopy(cfg)
        given.merge_from_dict({key: 'epoch_1.pth'})
        assert list(doubts(given)) == []
    cfg.model.backbone.frozen_stages = -1
    (doubt,) = doubts(cfg)
    assert doubt.endswith(
        'by norm_eval=True; to have all learn: --cfg-options model.backbone.norm_eval=False'
    )
    cfg.model.backbone.update(frozen_stages=None, norm_eval=False)
    assert list(doubts(cfg)) == []
    cfg.model.backbone.update(frozen_stages=-1, init_cfg=[dict(type='Kaiming', layer='Conv2d')])
    assert list(doubts(cfg)) == []


def test_keys_that_a_head_takes_out_itself(tmp_path):
    (tmp_path / 'own.py').write_text("_base_ = 'mmdet::detr/detr_r50_8xb2-150e_coco.py'")
    with DefaultScope.overwrite_default_scope('mmdet'):
        preflight.check_keys(load_config(str(tmp_path / 'own.py')))


@pytest.mark.slow
def test_configs_of_mmdet_are_taken():
    """But for those that name what mmdet hasn't."""
    refused = set()
    for file in sorted(Path(find_spec('mmdet').origin).with_name('.mim').glob('configs/[!_]*/*.py')):
        try:
            cfg = load_config(str(file))
            with DefaultScope.overwrite_default_scope('mmdet'):
                preflight.check_names(cfg)
                preflight.check_keys(cfg)
        except UserError as error:
            if 'was not found' not in str(error):  # a base that is in another folder of mmdet's checkout
                refused.add(file.stem)
    wrong = {name for name in refused if 'mot' in name}  # a MOTChallengeMetrics
    assert refused - wrong == {
        'faster-rcnn_r50_fpn_1x_voc0712-cocofmt',  # eval_mode is VOCMetric's
        'fcos_swinb_fpn_8x4_sample1e-3_mstrain_v3det_2x',  # no neck takes force_grad_on_level
    }
