"""Each network of the paper inside the real Faster R-CNN and DeepLabv3+, on the demo data."""

import copy
from pathlib import Path

import pytest
import torch
from helpers import each_on_a_cpu
from make_data import COUNTS, make_demo_data
from mmengine.dataset import pseudo_collate
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DATASETS, MODELS, DefaultScope

from res2net_mm.config import load_config

CONFIGS = Path(__file__).parents[1] / 'demo' / 'configs'
OUTPUT_STRIDE_16 = dict(dilations=(1, 1, 1, 2))
DLA = dict(type='res2net_mm.Res2NetDLA', depth=60)
# The backbone; what it takes for output stride 16 (None: the config's own, ResNet's); its outputs' channels.
NETWORKS = {
    'Res2Net-50': (dict(), None, (256, 512, 1024, 2048)),
    'Res2Net-50 48w2s': (dict(base_width=48, scales=2), None, (256, 512, 1024, 2048)),
    'Res2Net-50 14w8s': (dict(base_width=14, scales=8), None, (256, 512, 1024, 2048)),
    'Res2Net-50 v1b': (dict(deep_stem=True, avg_down=True), None, (256, 512, 1024, 2048)),
    'Res2NeXt-50': (dict(base_width=4, groups=8), None, (256, 512, 1024, 2048)),
    'SE-Res2Net-50': (dict(with_se=True), None, (256, 512, 1024, 2048)),
    'Res2Net-DLA-60': (DLA, dict(OUTPUT_STRIDE_16, strides=(2, 2, 2, 1)), (128, 256, 512, 1024)),
    'Res2NeXt-DLA-60': (
        dict(DLA, base_width=4, groups=8),
        dict(OUTPUT_STRIDE_16, strides=(2, 2, 2, 1)),
        (128, 256, 512, 1024),
    ),
    'bLRes2Net-50': (
        dict(type='res2net_mm.BLRes2Net', depth=50),
        dict(OUTPUT_STRIDE_16, strides=(1, 2, 2, 1)),
        (256, 512, 1024, 2048),
    ),
    # Strides 2 and 4: it never goes below.
    'Res2NeXt-29': (dict(type='res2net_mm.Res2NeXtCIFAR', depth=29, out_indices=(1, 2)), {}, (512, 1024)),
}


def configured(method, name, root='data/demo'):
    """The demo's config with another network as its backbone."""
    own, dilated, channels = NETWORKS[name]
    file = {'Faster R-CNN': 'faster_rcnn_r2n50_fpn_coco', 'DeepLabv3+': 'deeplabv3plus_r2n50_voc12aug'}[
        method
    ]
    cfg = load_config(str(CONFIGS / f'{file}.py'))
    cfg = cfg.fromstring(cfg.pretty_text.replace("'data/demo/", f"'{root}/"), '.py')
    model = cfg.model
    if 'type' in own:
        model.backbone = own
    else:
        model.backbone.update(own)
    if method == 'DeepLabv3+':
        model.backbone.update(dilated or {})
        model.decode_head.update(
            in_channels=channels[-1], in_index=len(channels) - 1, c1_in_channels=channels[0]
        )
        return cfg
    model.neck.in_channels = list(channels)
    if len(channels) == 2:
        model.rpn_head.anchor_generator.strides = [2, 4, 8, 16, 32]
        model.roi_head.bbox_roi_extractor.featmap_strides = [2, 4, 8, 16]
    return cfg


@pytest.fixture(scope='module')
def demo_root(tmp_path_factory):
    root = tmp_path_factory.mktemp('data') / 'demo'
    make_demo_data(root, dict.fromkeys(COUNTS, 2))
    return root


@each_on_a_cpu('name', NETWORKS, ['Res2Net-50', 'Res2Net-DLA-60', 'bLRes2Net-50', 'Res2NeXt-29'])
@pytest.mark.parametrize('method', ['Faster R-CNN', 'DeepLabv3+'])
def test_learns_from_the_demo_data_and_predicts(method, name, device, demo_root):
    torch.manual_seed(0)
    cfg = configured(method, name, demo_root)
    segments = method == 'DeepLabv3+'
    if segments:
        cfg.model.data_preprocessor.size = cfg.train_pipeline[3].crop_size = (65, 65)
        cfg.train_dataloader.dataset.pipeline = cfg.train_pipeline
        test_size = dict(type='Resize', scale=(64, 64), keep_ratio=True)
        cfg.test_dataloader.dataset.pipeline.insert(1, test_size)
    else:
        for phase in ('train', 'test'):
            for transform in cfg[f'{phase}_dataloader'].dataset.pipeline:
                if transform.type == 'Resize':
                    transform.scale = (64, 64)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        model = MODELS.build(cfg.model).to(device)
        train, test = (DATASETS.build(cfg[f'{phase}_dataloader'].dataset) for phase in ('train', 'test'))
        optimizer = build_optim_wrapper(model, cfg.optim_wrapper)
        images = pseudo_collate([train[0], train[1]])
    assert type(model.backbone).__name__ == cfg.model.backbone.type.rpartition('.')[2]

    model.train()
    parameters = {k: p for k, p in model.backbone.named_parameters() if p.requires_grad}
    assert parameters.keys() == dict(model.backbone.named_parameters()).keys()
    before = copy.deepcopy(model.backbone.state_dict())
    data = model.data_preprocessor(images, training=True)
    loss, _ = model.parse_losses(model(**data, mode='loss'))
    optimizer.backward(loss)
    assert torch.isfinite(loss) and loss > 0
    for key, parameter in parameters.items():
        assert parameter.grad is not None, key
        assert torch.isfinite(parameter.grad).all() and parameter.grad.any(), key
    optimizer.step()
    for key in parameters:
        assert not torch.equal(before[key], model.backbone.state_dict()[key]), key

    model.eval()
    maps = [m.shape[2:] for m in model.backbone(torch.zeros(1, 3, 64, 96, device=device))]
    with torch.no_grad():
        (result,) = model.test_step(pseudo_collate([test[0]]))
    if segments:
        assert maps[-1] == ((16, 24) if len(maps) == 2 else (4, 6))  # stride 4 and 16
        assert result.pred_sem_seg.data.shape == result.gt_sem_seg.data.shape
    else:
        assert maps[-1] == ((16, 24) if len(maps) == 2 else (2, 3))
        assert result.pred_instances.bboxes.shape == (len(result.pred_instances), 4)
