import copy

import pytest
import timm
import torch
import torchvision
from helpers import assert_close, each_on_a_cpu, image, on_every_device, randomize
from mmengine.model import revert_sync_batchnorm
from torch import nn
from torchvision.models.feature_extraction import create_feature_extractor

from res2net_mm.fused import fuse
from res2net_mm.models import Res2Layer, Res2Net

V1B = dict(deep_stem=True, avg_down=True)
NETWORKS = {  # timm's name: our arguments
    'res2net50_26w_4s': dict(),
    'res2net50_48w_2s': dict(scales=2, base_width=48),
    'res2net50_14w_8s': dict(scales=8, base_width=14),
    'res2net50_26w_6s': dict(scales=6),
    'res2net50_26w_8s': dict(scales=8),
    'res2net101_26w_4s': dict(depth=101),
    'res2next50': dict(base_width=4, groups=8),
    'res2net50d': V1B,
    'res2net101d': dict(depth=101, **V1B),
}
TINY = dict(depth=(1, 1, 1, 2), base_channels=16, stem_channels=16, scales=3, base_width=8)


@each_on_a_cpu('name', NETWORKS, ['res2net50_26w_4s', 'res2net50_14w_8s', 'res2next50', 'res2net50d'])
def test_equals_timm_with_the_same_weights(name, device, tmp_path):
    theirs = randomize(timm.create_model(name, features_only=True, out_indices=(1, 2, 3, 4)))
    torch.save(theirs.state_dict(), tmp_path / 'timm.pth')
    ours = Res2Net(
        **NETWORKS[name], init_cfg=dict(type='Pretrained', checkpoint=str(tmp_path / 'timm.pth'))
    ).eval()
    ours.init_weights()
    x = image(1, 3, 75, 98).to(device)  # odd sizes: padding and ceil_mode show
    with torch.no_grad():
        assert_close(ours.to(device)(x), theirs.to(device)(x), exact=True)


@on_every_device
@pytest.mark.parametrize('output_stride', [8, 16])
@pytest.mark.parametrize('name', ['res2net50_26w_4s', 'res2next50'])
def test_dilated_networks_equal_timm(name, output_stride, device):
    dilations = {16: (1, 1, 1, 2), 8: (1, 1, 2, 4)}[output_stride]
    ours = Res2Net(
        **NETWORKS[name],
        strides=tuple(1 if d > 1 else s for s, d in zip((1, 2, 2, 2), dilations)),
        dilations=dilations,
        contract_dilation=True,
    ).eval()
    theirs = randomize(timm.create_model(name, output_stride=output_stride, num_classes=0))
    ours.load_state_dict(theirs.state_dict())
    x = image(1, 3, 64, 64).to(device)
    with torch.no_grad():
        assert_close(ours.to(device)(x)[-1], theirs.to(device).forward_features(x), exact=True)


@on_every_device
def test_mmdet_variant_equals_mmdet(device):
    pytest.importorskip('mmdet')
    from mmdet.models.backbones import Res2Net as MMDetRes2Net

    theirs = randomize(MMDetRes2Net(depth=50, scales=4, base_width=26))
    ours = Res2Net(depth=50, pool_at_stride_1=False, **V1B).eval()
    missing, unexpected = ours.load_state_dict(theirs.state_dict())
    assert not missing and not unexpected
    ours, theirs, x = ours.to(device), theirs.to(device), image(1, 3, 75, 98).to(device)
    with torch.no_grad():
        assert_close(ours(x), theirs(x))
        # The default is the authors' network, which differs from the first stage on.
        exact = Res2Net(depth=50, **V1B).eval().to(device)
        exact.load_state_dict(theirs.state_dict())
        assert (exact(x)[0] - theirs(x)[0]).abs().max() > 1e-3


@on_every_device
def test_dilated_v1b_equals_mmdets(device):
    # timm puts a 2x2 pooling into the dilated projection, which the authors' v1b hasn't.
    pytest.importorskip('mmdet')
    from mmdet.models.backbones import Res2Net as MMDetRes2Net

    dilated = dict(depth=50, strides=(1, 2, 1, 1), dilations=(1, 1, 2, 4))
    theirs = randomize(MMDetRes2Net(scales=4, base_width=26, **dilated))
    ours = Res2Net(pool_at_stride_1=False, **V1B, **dilated).eval()
    ours.load_state_dict(theirs.state_dict())
    x = image(1, 3, 64, 64).to(device)
    with torch.no_grad():
        assert_close(ours.to(device)(x), theirs.to(device)(x))


@on_every_device
@pytest.mark.parametrize('deep', [False, True])
def test_equals_mmpretrain(deep, device):
    pytest.importorskip('mmpretrain')
    from mmpretrain.models.backbones import Res2Net as MMPretrainRes2Net

    theirs = randomize(MMPretrainRes2Net(depth=50, deep_stem=deep, avg_down=deep, out_indices=(0, 1, 2, 3)))
    ours = Res2Net(depth=50, deep_stem=deep, avg_down=deep).eval()
    ours.load_state_dict(theirs.state_dict())
    x = image(1, 3, 75, 98).to(device)
    with torch.no_grad():
        assert_close(ours.to(device)(x), theirs.to(device)(x))


@pytest.mark.parametrize(
    'arguments,shapes',
    [
        (dict(), [(64, 24, 16), (128, 12, 8), (256, 6, 4), (512, 3, 2)]),
        (dict(out_indices=(3, 1)), [(128, 12, 8), (512, 3, 2)]),
        (dict(num_stages=3, out_indices=(2,)), [(256, 6, 4)]),
        (dict(strides=(1, 2, 1, 1), dilations=(1, 1, 2, 4), out_indices=(3,)), [(512, 12, 8)]),
        (dict(strides=(2, 2, 2, 2), out_indices=(0,)), [(64, 12, 8)]),
        (dict(with_se=True, se_ratio=4, out_indices=(0,)), [(64, 24, 16)]),
        (dict(**V1B, out_indices=(3,)), [(512, 3, 2)]),
        (dict(groups=2, scales=1, out_indices=(3,)), [(512, 3, 2)]),
        (dict(base_channels=32, stem_channels=24, out_indices=(3,)), [(1024, 3, 2)]),
        (dict(multi_grid=(1, 2), out_indices=(3,)), [(512, 3, 2)]),
        (dict(stem_channels=None, out_indices=(3,)), [(512, 3, 2)]),
    ],
)  # fmt: skip
def test_shapes(arguments, shapes):
    network = Res2Net(**{**TINY, **arguments})
    outs = network(image(2, 3, 96, 64))
    assert isinstance(outs, tuple)
    assert [tuple(out.shape) for out in outs] == [(2, *shape) for shape in shapes]


@pytest.mark.parametrize('depth,blocks', [(50, 16), (101, 33), (152, 50), (200, 66), ((2, 1, 3, 1), 7)])
def test_depths(depth, blocks):
    with torch.device('meta'):
        network = Res2Net(depth)
    assert sum(name.endswith('conv3') for name, _ in network.named_modules()) == blocks


def test_dilation_arguments_reach_the_blocks():
    def dilations(**arguments):
        network = Res2Net(**TINY, strides=(1, 2, 1, 1), **arguments)
        return [[block.convs[0].dilation[0] for block in stage] for stage in (network.layer3, network.layer4)]

    assert dilations(dilations=(1, 1, 2, 4)) == [[2], [4, 4]]
    assert dilations(dilations=(1, 1, 2, 4), contract_dilation=True) == [[1], [2, 4]]
    # As in mmseg, multi_grid stands in place of the last stage's dilation.
    assert dilations(dilations=(1, 1, 1, 2), multi_grid=(3, 5)) == [[1], [3, 5]]


@pytest.mark.parametrize(
    'arguments,message',
    [
        (dict(depth=18), 'depth=18.*50, 101, 152, 200'),
        (dict(depth=()), r'depth=\(\)'),
        (dict(depth=(3, 0, 6, 3)), 'depth'),
        (dict(num_stages=5), r'depth has 4 entries: \(3, 4, 6, 3\), but there are 5 stages'),
        (dict(strides=(1, 2)), 'strides has 2 entries'),
        (dict(dilations=(1,)), 'dilations has 1 entries'),
        (dict(strides=2), r'Res2Net: strides=2 must be a list .*, such as \(1, 2, 2, 2\)'),
        (dict(dilations=(1, 1, 1, 0)), r'dilations=\(1, 1, 1, 0\) must be .*each a whole number from 1 '),
        (dict(multi_grid=(1, 2)), r'multi_grid=\(1, 2\).*3 blocks'),
        (dict(style='caffe'), "style='caffe'"),
        (dict(dcn=dict(type='DCNv2'), stage_with_dcn=(True,)), 'stage_with_dcn has 1'),
        (
            dict(plugins=[dict(stages=(True,)), dict(stages=(True,) * 4), {}]),
            "a plugin's stages has 1 entries",
        ),
        (dict(plugins=[dict(stages=True)]), "a plugin's stages=True must be a list .*True, True, True"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with torch.device('meta'), pytest.raises(ValueError, match=message):
        Res2Net(**arguments)


def test_a_single_stage_takes_a_res_layers_style():
    with torch.device('meta'):
        Res2Layer(50, stage=3, style='pytorch')
        with pytest.raises(ValueError, match="^Res2Layer: style='caffe': Res2Net has only 'pytorch'"):
            Res2Layer(50, stage=3, style='caffe')


def test_plugins_of_a_single_stage_are_checked():
    with pytest.raises(ValueError, match="a plugin's stages has 2 entries"):
        Res2Layer(50, stage=3, plugins=[dict(stages=(True, True)), {}])


def test_zero_init_residual_starts_blocks_as_the_identity():
    network = Res2Net(**TINY)
    network.init_weights()
    x = image(2, 64 * 8, 4, 4)
    torch.testing.assert_close(network.layer4[1](x), x)
    learning = Res2Net(**TINY, zero_init_residual=False)
    learning.init_weights()
    assert learning.layer4[1].bn3.weight.eq(1).all()


def test_initialization_that_the_config_gives_is_kept():
    override = dict(type='Constant', name='conv1', val=2)
    network = Res2Net(**TINY, init_cfg=dict(type='Normal', layer='Conv2d', std=0.01, override=override))
    network.init_weights()
    assert network.conv1.weight.eq(2).all() and 0 < network.layer1[0].conv1.weight.std() < 0.02
    assert network.layer4[1].bn3.weight.eq(1).all()


@each_on_a_cpu('arguments', [dict(), V1B, dict(with_se=True), dict(groups=2)], [V1B])
def test_exports_with_dynamic_sizes(arguments, device):
    network = randomize(Res2Net(**TINY, **arguments)).to(device)
    sizes = {2: 32 * torch.export.Dim('h', min=2, max=64), 3: 32 * torch.export.Dim('w', min=2, max=64)}
    exported = torch.export.export(network, (image(1, 3, 64, 96).to(device),), dynamic_shapes=(sizes,))
    x = image(1, 3, 160, 64).to(device)
    assert_close(exported.module()(x), network(x))


def test_traces():
    network = randomize(Res2Net(**TINY))
    traced = torch.jit.trace(network, image(1, 3, 64, 96))
    x = image(1, 3, 77, 50)
    for a, b in zip(traced(x), network(x), strict=True):
        torch.testing.assert_close(a, b)


@on_every_device
@pytest.mark.parametrize('kind', ['DCN', 'DCNv2'])
def test_deformable_convolution_begins_as_the_plain_one(kind, device, tmp_path):
    plain = randomize(Res2Net(**TINY))
    torch.save(plain.state_dict(), tmp_path / 'plain.pth')
    network = Res2Net(
        **TINY,
        dcn=dict(type=kind, deform_groups=1),
        stage_with_dcn=(False, True, True, True),
        init_cfg=dict(type='Pretrained', checkpoint=str(tmp_path / 'plain.pth')),
    ).eval()
    network.init_weights()
    assert not hasattr(network.layer1[0].convs[0], 'conv_offset')
    assert all(hasattr(conv, 'conv_offset') for block in network.layer4 for conv in block.convs)
    x = image(1, 3, 96, 128).to(device)
    for a, b in zip(network.to(device)(x), plain.to(device)(x), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


@on_every_device
@pytest.mark.parametrize('kind', ['DCN', 'DCNv2'])
def test_deformable_convolution_learns_its_offsets(kind, device):
    network = Res2Net(**TINY, dcn=dict(type=kind), stage_with_dcn=(True,) * 4, zero_init_residual=False)
    network.init_weights()
    network.to(device)
    offset = network.layer2[0].convs[0].conv_offset
    assert not offset.weight.any() and not offset.bias.any()
    network(image(2, 3, 96, 128).to(device))[-1].square().mean().backward()
    assert offset.weight.grad.abs().sum() > 0


def test_trained_deformable_weights_load_as_they_are(tmp_path):
    arguments = dict(**TINY, dcn=dict(type='DCNv2'), stage_with_dcn=(False, False, False, True))
    trained = randomize(Res2Net(**arguments))
    for block in trained.layer4:
        for conv in block.convs:
            nn.init.normal_(conv.conv_offset.weight, std=0.1)
    torch.save(trained.state_dict(), tmp_path / 'dcn.pth')
    network = Res2Net(**arguments, init_cfg=dict(type='Pretrained', checkpoint=str(tmp_path / 'dcn.pth')))
    network.init_weights()
    for name, value in trained.state_dict().items():
        assert torch.equal(value, network.state_dict()[name]), name


def test_plugins_in_the_stages_asked_for(tmp_path):
    plain = randomize(Res2Net(**TINY))
    torch.save(plain.state_dict(), tmp_path / 'plain.pth')
    plugin = dict(
        cfg=dict(type='ContextBlock', ratio=0.25), stages=(False, True, True, False), position='after_conv3'
    )
    network = Res2Net(
        **TINY, plugins=[plugin], init_cfg=dict(type='Pretrained', checkpoint=str(tmp_path / 'plain.pth'))
    )
    network.init_weights()
    having = {name.split('.')[0] for name, _ in network.named_modules() if 'context_block' in name}
    assert having == {'layer2', 'layer3'}
    assert torch.equal(network.layer2[0].convs[1].weight, plain.layer2[0].convs[1].weight)
    assert network(image(1, 3, 64, 64))[-1].shape == (1, 512, 2, 2)


def test_sync_bn():
    network = Res2Net(**TINY, norm_cfg=dict(type='SyncBN', requires_grad=True))
    assert isinstance(network.layer1[0].bns[0], nn.SyncBatchNorm)
    assert revert_sync_batchnorm(network)(image(1, 3, 64, 64))[0].shape == (1, 64, 16, 16)


class TestRes2Layer:
    @on_every_device
    def test_continues_the_backbone_exactly(self, device, tmp_path):
        whole = randomize(Res2Net(depth=50, **V1B))
        torch.save({'state_dict': whole.state_dict()}, tmp_path / 'whole.pth')
        init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'whole.pth'))
        backbone = Res2Net(depth=50, num_stages=3, out_indices=(2,), **V1B, init_cfg=init_cfg).eval()
        head = Res2Layer(depth=50, stage=3, avg_down=True, init_cfg=init_cfg).eval()
        backbone.init_weights()
        head.init_weights()
        x = image(1, 3, 75, 98).to(device)
        with torch.no_grad():
            out = head.to(device)(backbone.to(device)(x)[0])
            assert_close(out, whole.to(device)(x)[-1], exact=True)

    def test_is_registered_and_keeps_its_statistics(self):
        from mmengine.registry import MODELS

        layer = MODELS.build(dict(type='res2net_mm.Res2Layer', depth=50, stage=0, stride=1, norm_eval=True))
        layer.train()
        assert not any(m.training for m in layer.modules() if isinstance(m, nn.BatchNorm2d))
        assert layer(image(1, 64, 8, 8)).shape == (1, 256, 8, 8)

    def test_unknown_stage(self):
        with pytest.raises(ValueError, match='stage=4'):
            Res2Layer(stage=4)


@on_every_device
@pytest.mark.parametrize(
    'name, arguments', [('resnet50', dict(base_width=64)), ('resnext50_32x4d', dict(base_width=4, groups=32))]
)
def test_scale_1_is_resnet_with_torchvisions_weights(name, arguments, device, tmp_path):
    theirs = randomize(torchvision.models.get_model(name))
    torch.save(theirs.state_dict(), tmp_path / 'resnet.pth')
    pretrained = dict(type='Pretrained', checkpoint=str(tmp_path / 'resnet.pth'))
    ours = Res2Net(scales=1, **arguments, out_stem=True, init_cfg=pretrained).eval()
    ours.init_weights()
    ours, theirs, x = ours.to(device), theirs.to(device), image(2, 3, 75, 98).to(device)
    layers = ['relu', 'layer1', 'layer2', 'layer3', 'layer4']
    with torch.no_grad():
        expected = create_feature_extractor(theirs, layers)(x)
        assert_close(ours(x), [expected[name] for name in layers], exact=True)


@on_every_device
@pytest.mark.parametrize('fused', [False, True])
def test_the_stems_output_comes_first(fused, device):
    network = randomize(Res2Net(**TINY, out_indices=(1, 3), out_stem=True)).to(device)
    x = image(1, 3, 65, 98).to(device)
    with torch.no_grad():
        stem, *stages = (fuse(copy.deepcopy(network)) if fused else network)(x)
        assert network.out_channels == tuple(out.shape[1] for out in (stem, *stages)) == (16, 128, 512)
        assert network.out_strides == (2, 8, 32) and stem.shape[2:] == (33, 49)
        assert_close(stem, network.relu(network.bn1(network.conv1(x))))
        network.out_stem = False
        assert_close(stages, network(x))
