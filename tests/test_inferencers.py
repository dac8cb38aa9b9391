"""The toolboxes' inferencers and functions take the shipped configs by name."""

from pathlib import Path

import numpy as np
import pytest
import torch
from forks import run_program
from helpers import on_every_device
from mmengine.config import Config
from mmengine.registry import DefaultScope

from res2net_mm.config import CONFIGS
from res2net_mm.errors import UserError

IMAGE = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
SHIPPED = sorted(file.relative_to(CONFIGS) for file in CONFIGS.rglob('*.py') if '_base_' not in file.parts)


@pytest.mark.parametrize('name', [str(file) for file in SHIPPED])
def test_configs_are_read_by_name(name):
    cfg = Config.fromfile(f'res2net_mm::{name}')
    assert cfg.filename == str(CONFIGS / name)
    # What the inferencers ask of a config:
    assert cfg.visualizer.type
    assert cfg.default_scope == 'mmpretrain' or 'LoadImage' in cfg.test_dataloader.dataset.pipeline[0].type
    assert cfg.default_scope != 'mmpose' or (cfg.data_mode == 'topdown' and cfg.dataset_type)


def test_other_configs_are_read_as_ever(tmp_path):
    (tmp_path / 'mine.py').write_text('x = 1\n')
    assert Config.fromfile(tmp_path / 'mine.py').x == Config.fromfile(str(tmp_path / 'mine.py')).x == 1
    assert Config.fromfile(Path('res2net_mm::faster_rcnn_r2n50_coco.py')).default_scope == 'mmdet'
    with pytest.raises(FileNotFoundError):
        Config.fromfile(str(tmp_path / 'other.py'))


@pytest.mark.parametrize('first', ['res2net_mm', 'mmengine.infer'])
def test_inferencers_are_taught_names_whichever_is_imported_first(first):
    program = f"""
import sys
import {first}
if {first!r} == 'res2net_mm':
    assert 'mmengine.infer.infer' not in sys.modules  # importing it takes seconds
import res2net_mm
from mmengine.infer.infer import BaseInferencer
look_up = BaseInferencer._load_model_from_metafile
cfg, weights = look_up(None, 'res2net_mm::mask_rcnn_r2n50_coco.py')
print(cfg.model.type, weights)
"""
    result = run_program(program)
    assert result.stdout == 'MaskRCNN None\n', result.stderr


@on_every_device
def test_detectors(device, tmp_path):
    from mmdet.apis import DetInferencer, inference_detector, init_detector

    name, checkpoint = 'res2net_mm::faster_rcnn_r2n50_fpn_coco.py', str(tmp_path / 'model.pth')
    model = init_detector(name, None, device=device)
    assert type(model.backbone).__module__ == 'res2net_mm.models.res2net'
    torch.save(dict(state_dict=model.state_dict(), meta=dict(dataset_meta=model.dataset_meta)), checkpoint)
    image = IMAGE[:4]  # it is enlarged until one of its sides is that of COCO's images
    sample = inference_detector(init_detector(name, checkpoint, device=device), image)
    (result,) = DetInferencer(name, checkpoint, device=device, show_progress=False)(image)['predictions']
    assert set(result) == {'bboxes', 'scores', 'labels'}
    np.testing.assert_allclose(result['scores'], sample.pred_instances.scores.cpu(), rtol=1e-5)
    with pytest.raises(UserError, match='Did you mean .*faster_rcnn_r2n50_fpn_coco.py'):
        DetInferencer('res2net_mm::faster_rcnn_r2n50_fpm_coco.py', checkpoint, device='cpu')
    with pytest.raises(ValueError, match='Cannot find model: nothing in mmdet'):
        DetInferencer('nothing', checkpoint, device='cpu')


@on_every_device
def test_segmentors(device, tmp_path):
    from mmseg.apis import MMSegInferencer, inference_model, init_model

    name, checkpoint = 'res2net_mm::deeplabv3plus_r2n50_voc12aug.py', str(tmp_path / 'model.pth')
    model = init_model(name, None, device=device)
    meta = dict(dataset_meta=dict(classes=['x'] * 21, palette=[[0, 0, 0]] * 21))
    torch.save(dict(state_dict=model.state_dict(), meta=meta), checkpoint)
    labels = MMSegInferencer(name, checkpoint, device=device)(IMAGE)['predictions']
    sample = inference_model(init_model(name, checkpoint, device=device), IMAGE)
    assert labels.shape == (60, 80)
    np.testing.assert_array_equal(labels, sample.pred_sem_seg.data[0].cpu())


@on_every_device
def test_pose_estimators(device, tmp_path):
    from mmpose.apis import inference_topdown, init_model
    from mmpose.apis.inferencers import Pose2DInferencer

    name, checkpoint = 'res2net_mm::simplebaseline_r2n50_coco.py', str(tmp_path / 'model.pth')
    model = init_model(name, None, device=device)
    torch.save(dict(state_dict=model.state_dict(), meta=dict(dataset_meta=model.dataset_meta)), checkpoint)
    inferencer = Pose2DInferencer(name, checkpoint, device=device, det_model='whole_image')
    ((person,),) = next(inferencer(IMAGE))['predictions']
    (sample,) = inference_topdown(init_model(name, checkpoint, device=device), IMAGE)
    np.testing.assert_allclose(person['keypoints'], sample.pred_instances.keypoints[0], rtol=1e-5)


@on_every_device
def test_classifiers(device, tmp_path):
    from mmpretrain import ImageClassificationInferencer, get_model

    name, checkpoint = 'res2net_mm::imagenet/r2n50_imagenet.py', str(tmp_path / 'model.pth')
    torch.save(dict(state_dict=get_model(name).state_dict()), checkpoint)
    with DefaultScope.overwrite_default_scope('mmpretrain'):  # other toolboxes' inferencers leave theirs
        (result,) = ImageClassificationInferencer(name, checkpoint, device)(IMAGE)
        (expected,) = ImageClassificationInferencer(get_model(name, checkpoint, device))(IMAGE)
    np.testing.assert_allclose(result['pred_scores'], expected['pred_scores'], rtol=1e-5)
    assert len(result['pred_scores']) == 1000
