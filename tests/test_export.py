"""Exported files compute what the networks do, at any size, without this package; what can't be says why."""

import copy
import json

import onnx
import onnxruntime
import pytest
import torch
from helpers import each_on_a_cpu, randomize
from mmengine.config import Config

from res2net_mm.checkpoints import CheckpointError
from res2net_mm.errors import UserError
from res2net_mm.fused import export as module
from res2net_mm.fused.export import describe_input, export, load_backbone
from res2net_mm.models import BLRes2Net, Res2Layer, Res2Net, Res2NetDLA, Res2NeXtCIFAR

SMALL = dict(base_channels=8, scales=2, base_width=16)
TINY = dict(SMALL, depth=(1, 1), num_stages=2, out_indices=(0, 1), stem_channels=8)
LAYERS = ['layer1', 'layer2', 'layer3', 'layer4']
CONTEXT = dict(type='ContextBlock', ratio=1 / 4)
NETWORKS = {  # small: it is the number of operators that takes time
    'Res2Net': lambda: Res2Net(**{**TINY, 'out_indices': (1,)}),
    'v1b': lambda: Res2Net(**{**TINY, 'scales': 3, 'depth': (2, 1)}, deep_stem=True, avg_down=True),
    'SE-Res2NeXt': lambda: Res2Net(**TINY, groups=2, with_se=True),
    'dilated ResNet': lambda: Res2Net(**{**TINY, 'scales': 1}, strides=(1, 1), dilations=(1, 2)),
    'plugins, GN': lambda: Res2Net(
        **{**TINY, 'num_stages': 1, 'out_indices': (0,)},
        norm_cfg=dict(type='GN', num_groups=2),
        plugins=[dict(cfg=CONTEXT, position='after_conv3')],
    ),
    'DLA': lambda: Res2NetDLA(depth=(1, 1), out_indices=(0, 1), **SMALL),
    'Big-Little': lambda: BLRes2Net(depth=(2, 2, 2, 1), **SMALL),
    'CIFAR': lambda: Res2NeXtCIFAR(depth=(1, 1), out_indices=(0, 1), groups=2, with_se=True, **SMALL),
    'one stage': lambda: Res2Layer(depth=(1, 1, 1, 2), **{**SMALL, 'scales': 3}),
}
NAMES = {
    'Res2Net': LAYERS[1:2],
    'DLA': ['level2', 'level3'],
    'Big-Little': LAYERS,
    'plugins, GN': LAYERS[:1],
    'one stage': LAYERS[3:],
}
METADATA = dict(weights='x.pth')


def maps(out):
    return out if isinstance(out, (list, tuple)) else (out,)


def assert_same(run, network, channels, device):
    network.to(device)
    for n, height, width in ((3, 64, 33), (1, 57, 102)):
        x = torch.rand(n, channels, height, width, generator=torch.Generator().manual_seed(1))
        with torch.no_grad():
            outs, expected = maps(run(x)), maps(network(x.to(device)))
        for a, b in zip(outs, expected, strict=True):
            assert (torch.as_tensor(a) - b.cpu()).abs().max() <= 1e-4 * b.abs().max()


@each_on_a_cpu('name', NETWORKS, ['Res2Net', 'DLA'])
def test_files_compute_what_the_network_does(name, device, tmp_path):
    torch.manual_seed(0)
    network = randomize(NETWORKS[name]())
    channels = 128 if name == 'one stage' else 3

    difference, found = export(copy.deepcopy(network), tmp_path / 'x.onnx', METADATA)
    assert difference < 1e-5 and list(found) == NAMES.get(name, LAYERS[:2])
    session = onnxruntime.InferenceSession(tmp_path / 'x.onnx', providers=['CPUExecutionProvider'])
    assert [node.name for node in session.get_outputs()] == list(found)
    (given,) = session.get_inputs()
    assert given.name == 'input' and given.shape == ['batch', channels, 'height', 'width']
    assert_same(lambda x: session.run(None, {'input': x.numpy()}), network, channels, device)

    difference, again = export(copy.deepcopy(network), tmp_path / 'x.pt2', METADATA)
    assert difference < 1e-5 and again == found
    extra = {'metadata.json': ''}
    program = torch.export.load(tmp_path / 'x.pt2', extra_files=extra)
    assert_same(program.module(), network, channels, device)

    strides = ', '.join(str(stride) for _, stride in found.values())
    metadata = dict(METADATA, network=type(network).__name__, strides=strides)
    assert json.loads(extra['metadata.json']) == metadata
    model = onnx.load(tmp_path / 'x.onnx')
    assert {p.key: p.value for p in model.metadata_props} == metadata
    assert [o.version for o in model.opset_import if not o.domain] == [18]
    assert not {'BatchNormalization', 'Identity'} & {node.op_type for node in model.graph.node}
    assert {file.name for file in tmp_path.iterdir()} == {'x.onnx', 'x.pt2'}


def test_a_file_that_computes_something_else_is_not_kept(tmp_path, monkeypatch):
    network = randomize(Res2Net(**TINY))

    def trace(fused):
        fused.network.layer2[0].conv3.weight[0] *= 1.01
        return torch.export.export(fused, (torch.zeros(1, 3, 97, 131),))

    (tmp_path / 'x.pt2').write_text('as it was')
    monkeypatch.setattr(module, '_trace', trace)
    monkeypatch.setattr(module, 'CHECKED', [(1, 97, 131)])
    with pytest.raises(
        UserError,
        match=r"x\.pt2 was not written: .* differs from the network by \d\.\de-0[234] of a feature map's",
    ):
        export(network, tmp_path / 'x.pt2')
    assert [(f.name, f.read_text()) for f in tmp_path.iterdir()] == [('x.pt2', 'as it was')]


def test_not_a_number_is_a_difference():
    good, bad = torch.ones(1, 2, 3, 3), torch.full((1, 2, 3, 3), float('nan'))
    assert module._difference([good, good], [good, bad]) == float('inf')
    assert module._difference([good], [good[..., :2]]) == float('inf')
    assert module._difference([good * 1.5], [good]) == 0.5


def test_deformable_convolutions(tmp_path):
    network = Res2Net(**TINY, dcn=dict(type='DCNv2', deform_groups=1), stage_with_dcn=(False, True))
    with pytest.raises(UserError, match="deformable convolutions can't be exported"):
        export(network, tmp_path / 'x.onnx')
    assert not list(tmp_path.iterdir())


def test_names_and_packages(tmp_path, monkeypatch):
    with pytest.raises(UserError, match=r'x\.pth: the name must end in \.onnx or \.pt2'):
        export(Res2Net(**TINY), tmp_path / 'x.pth')
    monkeypatch.setattr(module, 'find_spec', lambda name: None if 'onnxr' in name or 'onnxs' in name else 1)
    with pytest.raises(UserError, match='needs onnxruntime, onnxscript: pip install onnxruntime onnxscript'):
        export(Res2Net(**TINY), tmp_path / 'x.onnx')
    module.check_format('x.pt2')
    (tmp_path / 'folder').write_text('a file')
    with pytest.raises(UserError, match='could not write .*folder/x.pt2: '):
        export(Res2Net(**TINY), tmp_path / 'folder' / 'x.pt2')


def config(**backbone):
    return Config(
        dict(default_scope='mmdet', model=dict(backbone=dict(type='res2net_mm.Res2Net', **backbone)))
    )


def test_weights(tmp_path):
    network = randomize(Res2Net(**TINY))
    state = {f'backbone.{k}': v for k, v in network.state_dict().items()}
    path = str(tmp_path / 'detector.pth')
    torch.save(dict(state_dict={**state, 'neck.weight': torch.ones(1)}, meta={}), path)
    given, weights = load_backbone(config(**TINY), path)
    assert weights == path and torch.equal(given.layer2[0].bn3.bias, network.layer2[0].bn3.bias)
    given, weights = load_backbone(config(**TINY, init_cfg=dict(type='Pretrained', checkpoint=path)))
    assert weights == path and torch.equal(given.layer2[0].bn3.bias, network.layer2[0].bn3.bias)
    given, weights = load_backbone(config(**TINY))
    assert weights.startswith('RANDOM') and not given.layer2[0].bn3.bias.any()
    with pytest.raises(
        CheckpointError, match='it has scales=2, base_width=16, the model has scales=4, base_width=26'
    ):
        load_backbone(config(**{**TINY, 'scales': 4, 'base_width': 26}), path)


def test_other_backbones():
    with pytest.raises(UserError, match='mmdet.models.backbones.resnet.ResNet, which is none of this'):
        load_backbone(Config(dict(default_scope='mmdet', model=dict(backbone=dict(type='ResNet', depth=50)))))
    with pytest.raises(UserError, match='no model.backbone'):
        load_backbone(Config(dict(default_scope='mmdet', model=dict())))
    with pytest.raises(UserError, match="model.backbone.type = 'Res2Nett'; did you mean .*Res2Net"):
        load_backbone(Config(dict(default_scope='mmdet', model=dict(backbone=dict(type='Res2Nett')))))


def test_what_images_the_input_is():
    mean, std = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]
    expected = 'RGB in 0...255, less (123.675, 116.28, 103.53), divided by (58.395, 57.12, 57.375)'
    detector = dict(data_preprocessor=dict(mean=mean, std=std, bgr_to_rgb=True))
    assert describe_input(Config(dict(model=detector))) == dict(input=expected)
    classifier = Config(dict(model=dict(), data_preprocessor=dict(mean=mean, std=std, to_rgb=True)))
    assert describe_input(classifier) == dict(input=expected)
    bgr = dict(data_preprocessor=dict(mean=mean, std=std))
    assert describe_input(Config(dict(model=bgr)))['input'].startswith('BGR')
    assert describe_input(Config(dict(model=dict()))) == {}
    gray = dict(data_preprocessor=dict(mean=[120], std=[60]), backbone=dict(in_channels=1))
    assert describe_input(Config(dict(model=gray)))['input'] == 'gray in 0...255, less (120), divided by (60)'
    assert describe_input(Config(dict(model={**bgr, **dict(backbone=dict(in_channels=1))}))) == {}
