"""Grad-CAM equals its definition; what the splits of a block see is what Sec. 3.1 says."""

import pytest
import torch
from helpers import on_every_device, randomize
from mmengine.config import Config
from torch import nn

from res2net_mm.errors import UserError
from res2net_mm.models import Res2Net, Res2NetDLA, Res2NeXtCIFAR
from res2net_mm.visualization.receptive_fields import (
    draw,
    find_blocks,
    measure,
    side,
    table,
    theoretical_sides,
)

TINY = dict(base_channels=16, base_width=8)


def fields(build, *names, size=96, device='cpu'):
    torch.manual_seed(0)
    # In float64 what a GPU's algorithms leave outside of a field is nothing.
    network = randomize(build()).to(device, torch.float64)
    images = torch.randn(2, 3, size, size).to(device, torch.float64)
    return measure(network, find_blocks(network, names or None), images)


@on_every_device
def test_the_fields_of_splits_grow_within_a_block_but_not_within_a_first_one(device):
    found = fields(lambda: Res2Net(depth=(2, 2), num_stages=2, out_indices=(1,), scales=4, **TINY),
                   'layer1.0', 'layer1.1', 'layer2.0', 'layer2.1', device=device)  # fmt: skip
    for name in ('layer1.1', 'layer2.1'):  # in the order of the channels: the last split has no convolution
        assert [split.index for split in found[name]] == [2, 3, 4, 1]
        assert [side(split.in_block, 1) for split in found[name]] == [3, 5, 7, 1]
        assert [split.theory for split in found[name]] == [3, 5, 7, 1]
        effective = [side(split.in_block) for split in sorted(found[name], key=lambda split: split.index)]
        in_image = [side(split.in_image) for split in sorted(found[name], key=lambda split: split.index)]
        assert effective == sorted(effective) and effective[0] == 1 and effective[3] >= 5
        assert in_image == sorted(set(in_image))  # each sees more of the image than the one before
    for name in ('layer1.0', 'layer2.0'):
        assert [side(split.in_block, 1) for split in found[name]] == [3, 3, 3, 3]
        assert [split.theory for split in found[name]] == [3, 3, 3, 3]


@pytest.mark.parametrize(
    'network,block,sides',
    [
        (lambda: Res2Net(depth=(2,), num_stages=1, strides=(1,), dilations=(2,), out_indices=(0,), **TINY),
         'layer1.1', [5, 9, 13, 1]),
        (lambda: Res2Net(depth=(1,), num_stages=1, pool_at_stride_1=False, out_indices=(0,), **TINY),
         'layer1.0', [3, 3, 3, 1]),
        (lambda: Res2Net(depth=(2,), num_stages=1, scales=1, out_indices=(0,), **TINY), 'layer1.1', [3]),
        (lambda: Res2Net(depth=(2,), num_stages=1, scales=6, groups=2, with_se=True, with_cp=True,
                         out_indices=(0,), **TINY), 'layer1.1', [3, 5, 7, 9, 11, 1]),
        (lambda: Res2NeXtCIFAR(depth=(2, 1), out_indices=(1,), **TINY), 'layer1.0', [3, 3, 3, 3]),
        (lambda: Res2NetDLA(depth=(1, 1), out_indices=(1,), **TINY), 'level2.tree2', [3, 5, 7, 1]),
    ],
)  # fmt: skip
def test_dilation_and_the_other_blocks(network, block, sides):
    splits = fields(network, block)[block]
    assert [side(split.in_block, 1) for split in splits] == [split.theory for split in splits] == sides


def test_which_blocks():
    network = Res2Net(depth=(3, 4, 6, 1), **TINY)
    assert list(find_blocks(network)) == [
        'layer1.1',
        'layer2.2',
        'layer3.3',
    ]  # after the first, in the middle
    assert theoretical_sides(find_blocks(network, ['layer4.0'])['layer4.0']) == [3, 3, 3, 3]
    only_first = ['layer1.0', 'layer2.0', 'layer3.0', 'layer4.0']
    assert list(find_blocks(Res2Net(depth=(1, 1, 1, 1), **TINY))) == only_first
    with pytest.raises(UserError, match=r"no block 'layer1.7'; did you mean layer1\.\d or "):
        find_blocks(network, ['layer1.7'])


def test_side_of_a_square():
    gradient = torch.zeros(9, 9)
    gradient[4, 4], gradient[4, 6], gradient[1, 4] = 0.9, 0.06, 0.04
    assert [side(gradient, mass) for mass in (0.9, 0.95, 0.96, 1)] == [1, 5, 5, 7]
    assert side(torch.zeros(9, 9)) == 0


def test_table_and_figure():
    found = fields(
        lambda: Res2Net(depth=(2,), num_stages=1, out_indices=(0,), **TINY), 'layer1.0', 'layer1.1'
    )
    columns = [list(column.cells) for column in table(found).columns]
    assert columns[0] == ['layer1.0', '', '', '', 'layer1.1', '', '', '']
    assert [cells[4] for cells in columns[2:]] == ['1', '3', '5', '7'] == [c[5] for c in columns[2:]]
    figure = draw(found, 'random weights', responses=True)
    titles = [part.get_suptitle() for part in figure.subfigs]
    assert len(titles) == 3 and 'response' in titles[2]
    drawn = figure.subfigs[2].axes[1].images[0].get_array()  # y_2 of layer1.0
    assert torch.equal(torch.from_numpy(drawn.data), found['layer1.0'][0].response)
    axes = figure.subfigs[0].axes
    assert [ax.get_xlabel() for ax in axes[:4]] == ['3'] * 4 and axes[4].get_xlabel() == '1'
    assert axes[4].get_ylabel() == 'layer1.1' and axes[1].get_title() == '$y_2$'


# ---- Grad-CAM ----------------------------------------------------------------------------------

BACKBONE = dict(
    type='res2net_mm.Res2Net', depth=(1, 1), num_stages=2, strides=(1, 2), dilations=(1, 1), scales=2, **TINY
)
PIPELINE = [dict(type='LoadImageFromFile'), dict(type='Resize', scale=(64, 48))]
MEAN = dict(mean=[120.0, 110.0, 100.0], std=[60.0, 60.0, 60.0])
CLASSIFIER = dict(
    default_scope='mmpretrain',
    data_preprocessor=dict(type='ClsDataPreprocessor', to_rgb=True, **MEAN),
    model=dict(
        type='ImageClassifier',
        backbone=dict(**BACKBONE, out_indices=(1,), frozen_stages=1),
        neck=dict(type='GlobalAveragePooling'),
        head=dict(type='LinearClsHead', in_channels=128, num_classes=3),
    ),
    test_dataloader=dict(
        dataset=dict(type='CustomDataset', pipeline=[*PIPELINE, dict(type='PackInputs')],
                     metainfo=dict(classes=['cat', 'tench, Tinca tinca', 'king penguin'])),
    ),
)  # fmt: skip
SEGMENTOR = dict(
    default_scope='mmseg',
    model=dict(
        type='EncoderDecoder',
        data_preprocessor=dict(type='SegDataPreProcessor', size_divisor=32, bgr_to_rgb=True, **MEAN),
        backbone=dict(**BACKBONE, out_indices=(0, 1)),
        decode_head=dict(type='FCNHead', in_channels=128, in_index=1, channels=8, num_classes=3),
        test_cfg=dict(mode='whole'),
    ),
    test_dataloader=dict(
        dataset=dict(type='BaseSegDataset', metainfo=dict(classes=['sky', 'road', 'tree']),
                     pipeline=[*PIPELINE, dict(type='LoadAnnotations'), dict(type='PackSegInputs')]),
    ),
)  # fmt: skip


def image(path):
    import cv2
    import numpy as np

    drawn = np.random.default_rng(0).integers(0, 256, (40, 70, 3), np.uint8)
    cv2.imwrite(str(path), cv2.GaussianBlur(drawn, (0, 0), 5))
    return path


@pytest.fixture(params=[CLASSIFIER, SEGMENTOR], ids=['classifier', 'segmentor'])
def model(request, tmp_path):
    from mmengine.registry import MODELS, DefaultScope

    grad_cam = pytest.importorskip('res2net_mm.visualization.grad_cam')
    cfg = Config(request.param)
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        state_dict = randomize(MODELS.build(cfg.model)).state_dict()
    torch.save(dict(state_dict=state_dict), tmp_path / 'x.pth')
    return grad_cam.ClassScores(cfg, str(tmp_path / 'x.pth'))


@on_every_device
def test_maps_are_what_grad_cam_is_defined_as(model, device, tmp_path):
    from res2net_mm.visualization.grad_cam import grad_cam

    model.model.to(device)
    path = image(tmp_path / 'x.png')
    picture, cam, index = grad_cam(model, path)
    height, width = picture.shape[:2]
    assert cam.shape == (height, width) and width == 64 and cam.min() == 0 and cam.max() > 0.9

    _, inputs = model.read(path)  # of a segmentor padded to 64 x 64
    with torch.enable_grad():
        a = model.model.backbone(inputs.requires_grad_())[-1]
        if hasattr(model.model, 'head'):
            scores = model.model.head(model.model.neck((a,)))[0]
        else:
            logits = model.model.decode_head([None, a])[0]
            scores = torch.stack([logits[i][logits.argmax(0) == i].sum() for i in range(3)])
        weights = torch.autograd.grad(scores[index], a)[0].mean((2, 3))[0]
    assert index == scores.argmax() or hasattr(model.model, 'decode_head')
    expected = (weights[:, None, None] * a[0]).sum(0).relu().detach()
    expected = nn.functional.interpolate(expected[None, None], inputs.shape[2:], mode='bilinear')[0, 0]
    expected = expected[:height, :width].cpu()
    assert torch.corrcoef(torch.stack([torch.from_numpy(cam).flatten(), expected.flatten()]))[0, 1] > 0.999

    last = model.find_layer('backbone.layer2.0')
    again = grad_cam(model, path, index, [last])[1]
    assert again == pytest.approx(cam, rel=0, abs=0 if device == 'cpu' else 1e-5)
    frozen = model.find_layer('backbone.layer1')
    assert grad_cam(model, path, index, [frozen])[1].any()
    mean = grad_cam(model, path, index, [frozen, last])[1]
    assert not torch.equal(torch.from_numpy(mean), torch.from_numpy(cam))


def test_the_picture_is_what_the_model_sees(model, tmp_path):
    import cv2
    import numpy as np

    cv2.imwrite(str(tmp_path / 'red.png'), np.full((48, 64, 3), (0, 0, 250), np.uint8))
    picture, inputs = model.read(tmp_path / 'red.png')
    assert picture.reshape(-1, 3).tolist() == [[250, 0, 0]] * (picture.size // 3)
    assert inputs[0, :, 0, 0].tolist() == pytest.approx([130 / 60, -110 / 60, -100 / 60])


def test_layers_that_have_no_map(model, tmp_path):
    from res2net_mm.visualization.grad_cam import grad_cam

    path = image(tmp_path / 'x.png')
    with pytest.raises(UserError, match='must give one feature map'):
        grad_cam(model, path, 0, [model.find_layer('backbone')])
    with pytest.raises(UserError, match=r"no layer 'backbone.layer5'; did you mean .*backbone\.layer2"):
        model.find_layer('backbone.layer5')
    with pytest.raises(UserError, match="red.png can't be read: it is not an image, "):
        (tmp_path / 'red.png').write_text('no image')
        model.read(tmp_path / 'red.png')


@pytest.mark.parametrize('model', [CLASSIFIER], indirect=True)
def test_names_of_classes(model):
    assert [model.find_class(n) for n in ('cat', 'Tench', 'tench, Tinca tinca', '2')] == [0, 1, 1, 2]
    with pytest.raises(UserError, match="no class 'pengin'; did you mean king penguin"):
        model.find_class('pengin')
    model.classes = ['Äpfel', 'Tench, Tinca tinca']
    with pytest.raises(UserError, match=r"no class 'apfel'; did you mean Äpfel\?"):
        model.find_class('apfel')
    with pytest.raises(UserError, match=r"no class 'trench'; did you mean Tench\?"):
        model.find_class('trench')
    model.classes = ['cat', 'tench, Tinca tinca', 'king penguin']
    with pytest.raises(UserError, match="no class '3'; there are 3, from 'cat' to 'king penguin'"):
        model.find_class('3')


@pytest.mark.parametrize('model', [CLASSIFIER], indirect=True)
def test_other_checkpoints(model, tmp_path):
    from res2net_mm.visualization.grad_cam import ClassScores

    state_dict = model.model.state_dict()
    short = {k.removeprefix('head.').removeprefix('backbone.'): v for k, v in state_dict.items()}
    torch.save(short, tmp_path / 'authors.pth')
    again = ClassScores(Config(CLASSIFIER), str(tmp_path / 'authors.pth'))
    assert all(torch.equal(v, state_dict[k]) for k, v in again.model.state_dict().items())
    other = dict(state_dict, **{'head.fc.bias': torch.zeros(5)})
    torch.save(dict(state_dict=other), tmp_path / 'other.pth')
    with pytest.raises(
        UserError, match=r"other.pth is not of this config's model: .* of another shape \(head.fc"
    ):
        ClassScores(Config(CLASSIFIER), str(tmp_path / 'other.pth'))
    torch.save([1], tmp_path / 'list.pth')
    with pytest.raises(UserError, match='list.pth holds no state dict, but a list'):
        ClassScores(Config(CLASSIFIER), str(tmp_path / 'list.pth'))
    with pytest.raises(UserError, match='models of mmpretrain, mmseg and mmdet'):
        ClassScores(Config(dict(default_scope='mmpose', model=dict(backbone={}))), 'x.pth')


def test_one_logit_for_two_classes(tmp_path):
    from mmengine.registry import MODELS, DefaultScope

    grad_cam = pytest.importorskip('res2net_mm.visualization.grad_cam')
    cfg = Config(SEGMENTOR)
    cfg.model.decode_head.update(num_classes=2, out_channels=1, threshold=0.5)
    cfg.test_dataloader.dataset.metainfo.classes = ['background', 'object']
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmseg'):
        torch.save(randomize(MODELS.build(cfg.model)).state_dict(), tmp_path / 'x.pth')
    model = grad_cam.ClassScores(cfg, str(tmp_path / 'x.pth'))
    _, inputs = model.read(image(tmp_path / 'x.png'))
    with torch.no_grad():
        scores, logits = model(inputs)[0], model.model(inputs, mode='tensor')
    for score, sign in zip(scores, (-1, 1)):
        positive = (logits * sign)[logits * sign > 0]
        assert score.isinf() if len(positive) == 0 else torch.isclose(score, positive.sum())
