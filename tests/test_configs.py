"""Every config builds, steps and predicts; twins differ in nothing but the backbone."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope

from res2net_mm import preflight
from res2net_mm.config import load_config
from res2net_mm.models import Res2Layer, Res2Net

CONFIGS = Path(__file__).parents[1] / 'configs'
FILES = sorted(str(p.relative_to(CONFIGS)) for p in CONFIGS.glob('**/*.py') if p.parent.name != '_base_')


def build(name):
    cfg = load_config(str(CONFIGS / name), {'model.backbone.init_cfg': None})
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        return MODELS.build(cfg.model)


@pytest.mark.parametrize('name', FILES)
def test_builds_steps_and_predicts(name):
    from mmdet.testing import demo_mm_inputs

    torch.manual_seed(0)
    model = build(name)
    model.train_cfg.rcnn.sampler.num = 16
    model.roi_head.bbox_sampler.num = 16
    model.test_cfg.rpn.max_per_img = 20
    model.rpn_head.test_cfg.max_per_img = 20
    inputs = demo_mm_inputs(2, [[3, 96, 128], [3, 128, 96]], num_classes=5)
    data = model.data_preprocessor(inputs, training=True)
    loss, _ = model.parse_losses(model(**data, mode='loss'))
    loss.backward()
    assert torch.isfinite(loss)
    assert all(p.grad is not None for p in model.backbone.parameters() if p.requires_grad)
    model.eval()
    with torch.no_grad():
        results = model.test_step(inputs)
    assert len(results) == 2 and results[0].pred_instances.bboxes.shape[1] == 4


@pytest.mark.parametrize('name', FILES)
def test_all_that_a_config_names_exists(name):
    cfg = load_config(str(CONFIGS / name))
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        preflight.check_names(cfg)


TWINS = [(n.replace('r2n50', 'r50'), n) for n in FILES if 'r2n50' in n and not n.startswith('demo')]


@pytest.mark.parametrize('baseline,ours', TWINS)
def test_twins_differ_in_nothing_but_the_backbone(baseline, ours):
    def rest(name):
        cfg = Config.fromfile(CONFIGS / name)
        del cfg.model.backbone
        cfg.model.roi_head.pop('shared_head', None)
        cfg._cfg_dict.pop('pretrained', None)
        return cfg._cfg_dict.to_dict()

    def common(name):
        """What both kinds of backbone have: freezing, normalisation, which outputs."""
        cfg = Config.fromfile(CONFIGS / name)
        parts = [cfg.model.backbone, cfg.model.roi_head.get('shared_head', {})]
        keys = ('depth', 'num_stages', 'out_indices', 'frozen_stages', 'norm_eval', 'norm_cfg', 'stage')
        return [{k: part.get(k) for k in keys} for part in parts]

    assert rest(baseline) == rest(ours)
    assert common(baseline) == common(ours)


def test_a_demo_config_is_the_real_model():
    """Only initialisation, what that freezes, and the number of RoIs differ."""
    real = Config.fromfile(CONFIGS / 'faster_rcnn_r2n50_fpn_coco.py').model
    demo = Config.fromfile(CONFIGS / 'demo' / 'faster_rcnn_r2n50_fpn_coco.py').model
    for key in ('init_cfg', 'frozen_stages', 'norm_eval'):
        del real.backbone[key], demo.backbone[key]
    demo.train_cfg.rcnn.sampler.num = real.train_cfg.rcnn.sampler.num
    demo.test_cfg.rpn.max_per_img = real.test_cfg.rpn.max_per_img
    assert real == demo


def test_the_c4_detector_is_split_between_backbone_and_shared_head():
    model = build('faster_rcnn_r2n50_coco.py')
    assert type(model.backbone) is Res2Net and type(model.roi_head.shared_head) is Res2Layer
    names = {k for part in (model.backbone, model.roi_head.shared_head) for k in part.state_dict()}
    with torch.device('meta'):
        assert names == set(Res2Net().state_dict())
    (feature,) = model.backbone(torch.rand(1, 3, 64, 96))
    assert feature.shape == (1, 1024, 4, 6)  # stride 16
    frozen = {k.split('.')[0] for k, p in model.backbone.named_parameters() if not p.requires_grad}
    assert {'conv1', 'bn1', 'layer1'} <= frozen
    assert not any(m.training for m in model.train().modules() if isinstance(m, torch.nn.BatchNorm2d))


def test_input_is_normalised_as_the_weights_expect():
    for name in FILES:
        preprocessor = Config.fromfile(CONFIGS / name).model.data_preprocessor
        assert preprocessor.mean == [123.675, 116.28, 103.53] and preprocessor.bgr_to_rgb
        assert preprocessor.std == [58.395, 57.12, 57.375]
