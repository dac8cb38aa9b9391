"""mmdet's own detectors, as its configs have them, learn and predict with this package's backbone and ops."""

import pytest
import torch
from helpers import on_every_device
from mmengine.hub import get_config
from mmengine.registry import MODELS, DefaultScope
from mmengine.structures import InstanceData

DETECTORS = {
    'retinanet/retinanet_r50_fpn_1x_coco.py': (256, 512, 1024, 2048),
    'fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py': (256, 512, 1024, 2048),
    'deformable_detr/deformable-detr_r50_16xb2-50e_coco.py': (512, 1024, 2048),
    'dcnv2/mask-rcnn_r50-mdconv-c3-c5_fpn_1x_coco.py': (256, 512, 1024, 2048),
}

SHAPES = 'img_shape', 'ori_shape', 'batch_input_shape'


@pytest.fixture(params=DETECTORS, ids=lambda path: path.partition('/')[0])
def detector(request):
    """A detector of mmdet's with a Res2Net of a block a stage, an eighth as wide."""
    cfg = get_config(f'mmdet::{request.param}')
    theirs = cfg.model.backbone
    cfg.model.backbone = dict(
        type='res2net_mm.Res2Net',
        depth=(1, 1, 1, 1),
        base_channels=8,
        stem_channels=8,
        base_width=16,
        zero_init_residual=False,  # else nothing reaches a block's convolutions in the first step
        out_indices=theirs.out_indices,
        **{key: theirs[key] for key in ('dcn', 'stage_with_dcn') if key in theirs},
    )
    cfg.model.neck.in_channels = [channels // 8 for channels in DETECTORS[request.param]]
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = MODELS.build(cfg.model)
        model.init_weights()
        yield model


def samples():
    from mmdet.structures import DetDataSample
    from mmdet.structures.mask import BitmapMasks

    generator = torch.Generator().manual_seed(0)
    images, found = [], []
    for i in range(2):
        images.append(torch.randint(0, 256, (3, 96, 128), generator=generator, dtype=torch.uint8))
        sample = DetDataSample(
            metainfo=dict.fromkeys(SHAPES, (96, 128)) | dict(img_id=i, scale_factor=(1, 1))
        )
        boxes = torch.tensor([[8.0, 8, 60, 70], [50, 30, 120, 90]])
        masks = torch.zeros(2, 96, 128, dtype=torch.uint8)
        masks[0, 8:70, 8:60] = masks[1, 30:90, 50:120] = 1
        sample.gt_instances = InstanceData(
            bboxes=boxes, labels=torch.tensor([3, 7]), masks=BitmapMasks(masks.numpy(), 96, 128)
        )
        found.append(sample)
    return dict(inputs=images, data_samples=found)


@on_every_device
def test_a_training_step_and_a_prediction(detector, device):
    detector.to(device)
    losses, _ = detector.parse_losses(
        detector(**detector.data_preprocessor(samples(), training=True), mode='loss')
    )
    losses.backward()
    assert losses.isfinite()
    grads = {name: p.grad for name, p in detector.named_parameters() if p.requires_grad}
    assert all(g.isfinite().all() for g in grads.values() if g is not None)
    backbone = [g for name, g in grads.items() if name.startswith('backbone.layer')]
    assert len(backbone) > 20 and all(g is not None and g.any() for g in backbone)
    detector.eval()
    with torch.no_grad():
        predicted = detector(**detector.data_preprocessor(samples()), mode='predict')
    for sample in predicted:
        instances = sample.pred_instances
        assert instances.bboxes.shape == (len(instances.scores), 4) and instances.bboxes.isfinite().all()
