import argparse
from pathlib import Path

import pytest
from mmengine.config import Config

from res2net_mm.config import CfgOptions, check_option, load_config
from res2net_mm.errors import UserError

CONFIGS = Path(__file__).parents[1] / 'configs'
FPN = str(CONFIGS / 'faster_rcnn_r2n50_fpn_coco.py')


def test_a_shipped_config_is_a_base_from_any_folder(tmp_path):
    (tmp_path / 'mine.py').write_text(
        "_base_ = 'res2net_mm::faster_rcnn_r2n50_fpn_coco.py'\nmodel = dict(backbone=dict(depth=101))\n"
    )
    mine = Config.fromfile(tmp_path / 'mine.py')
    assert mine.model.backbone.depth == 101
    shipped = load_config('res2net_mm::faster_rcnn_r2n50_fpn_coco.py')
    mine.model.backbone.depth = 50
    assert mine.model == shipped.model == Config.fromfile(FPN).model


def test_other_packages_bases_still_resolve(tmp_path):
    (tmp_path / 'mine.py').write_text("_base_ = 'mmdet::_base_/default_runtime.py'\n")
    assert Config.fromfile(tmp_path / 'mine.py').default_scope == 'mmdet'


@pytest.mark.parametrize(
    'option,value,where',
    [
        ('model.backbone.depth', 101, lambda c: c.model.backbone.depth),
        ('model.backbone.init_cfg', None, lambda c: c.model.backbone.init_cfg),
        # not in the config, but the class takes it
        ('model.backbone.with_cp', True, lambda c: c.model.backbone.with_cp),
        ('model.backbone.init_cfg.prefix', 'backbone.', lambda c: c.model.backbone.init_cfg.prefix),
        ('default_hooks.checkpoint.save_best', 'auto', lambda c: c.default_hooks.checkpoint.save_best),
        ('optim_wrapper.accumulative_counts', 4, lambda c: c.optim_wrapper.accumulative_counts),
        ('optim_wrapper.optimizer.nesterov', True, lambda c: c.optim_wrapper.optimizer.nesterov),
        ('optim_wrapper.clip_grad.max_norm', 35, lambda c: c.optim_wrapper.clip_grad.max_norm),
        ('train_dataloader.pin_memory', True, lambda c: c.train_dataloader.pin_memory),
        ('train_dataloader.dataset.indices', 8, lambda c: c.train_dataloader.dataset.indices),
        ('train_dataloader.dataset.pipeline.2.scale', (1000, 600),
         lambda c: c.train_dataloader.dataset.pipeline[2].scale),
        ('randomness.seed', 0, lambda c: c.randomness.seed),
        ('load_from', 'x.pth', lambda c: c.load_from),
        ('custom_hooks', [], lambda c: c.custom_hooks),
        ('env_cfg.dist_cfg.timeout', 60, lambda c: c.env_cfg.dist_cfg.timeout),
    ],
)  # fmt: skip
def test_options_that_the_config_or_its_classes_know(option, value, where):
    assert where(load_config(FPN, {option: value})) == value


@pytest.mark.parametrize(
    'option,message',
    [
        ('model.backbone.dept', r'model.backbone has no .dept.; did you mean model.backbone.depth\?'),
        ('model.backbone.frozen_stage', 'did you mean model.backbone.frozen_stages'),
        ('modle.backbone.depth', r'the config has no .modle.; did you mean model\?'),
        ('model.backbon.depth', 'model has no .backbon.; did you mean model.backbone'),
        ('optim_wrapper.optimiser.lr', 'did you mean optim_wrapper.optimizer'),
        ('optim_wrapper.optimizer.momentun', 'did you mean optim_wrapper.optimizer.momentum'),
        ('model.test_cfg.rcnn.score_threshold', 'did you mean model.test_cfg.rcnn.score_thr'),
        ('train_dataloader.batchsize', 'did you mean train_dataloader.batch_size'),
        ('train_dataloader.dataset.pipeline.9.scale', 'pipeline is a list of 5; .9. is no index'),
        ('train_dataloader.dataset.pipeline.x.scale', '.x. is no index'),
        ('model.backbone.xyz', 'It has: .*avg_down.*zero_init_residual'),
    ],
)
def test_unknown_options_name_the_nearest_key(option, message):
    with pytest.raises(UserError, match=message):
        load_config(FPN, {option: 1})


def test_config_not_found_names_the_nearest():
    with pytest.raises(UserError, match='config not found.*\n.*faster_rcnn_r2n50_fpn_coco.py'):
        load_config(str(CONFIGS / 'faster_rcnn_r2n50_fpn_coc.py'))
    with pytest.raises(UserError, match='config not found'):
        load_config('res2net_mm::nothing.py')


def test_an_option_without_a_value_is_a_usage_error(capsys):
    parser = argparse.ArgumentParser()
    parser.add_argument('--cfg-options', nargs='+', action=CfgOptions)
    with pytest.raises(SystemExit):
        parser.parse_args(['--cfg-options', 'model.backbone.depth'])
    assert "'model.backbone.depth' is not of the form KEY=VALUE" in capsys.readouterr().err


def test_options_of_dicts_without_a_class():
    cfg = Config(dict(randomness=dict(seed=0), train_dataloader=dict(batch_size=2)))
    check_option(cfg, 'randomness.deterministic')
    check_option(cfg, 'train_dataloader.num_workers')
    with pytest.raises(UserError, match='did you mean randomness.seed'):
        check_option(cfg, 'randomness.sed')
    with pytest.raises(UserError, match='did you mean train_dataloader.num_workers'):
        check_option(cfg, 'train_dataloader.num_worker')


@pytest.mark.parametrize('name', ['faster_rcnn_r2n50_coco.py', 'faster_rcnn_r50_coco.py'])
def test_a_shared_head_starts_as_its_backbone_does(name):
    file = str(CONFIGS / name)
    model = load_config(file).model
    assert model.roi_head.shared_head.init_cfg == model.backbone.init_cfg
    model = load_config(file, {'model.backbone.init_cfg': None}).model
    assert model.roi_head.shared_head.init_cfg is None
    model = load_config(file, {'model.backbone.init_cfg.checkpoint': 'x.pth'}).model
    assert model.roi_head.shared_head.init_cfg.checkpoint == 'x.pth'
    options = {'model.backbone.init_cfg': None, 'model.roi_head.shared_head.init_cfg.checkpoint': 'y.pth'}
    assert load_config(file, options).model.roi_head.shared_head.init_cfg.checkpoint == 'y.pth'


def test_options_make_a_dict_of_none():
    file = str(CONFIGS / 'demo' / 'faster_rcnn_r2n50_fpn_coco.py')
    options = {'model.backbone.init_cfg.type': 'Pretrained', 'model.backbone.init_cfg.checkpoint': 'x.pth'}
    assert load_config(file, options).model.backbone.init_cfg == dict(type='Pretrained', checkpoint='x.pth')
    with pytest.raises(UserError, match="model.backbone.depth is 50, which has no 'x'"):
        load_config(file, {'model.backbone.depth.x': 1})
