"""The inference form of the networks (Backbone.fuse) computes what the training form does."""

import copy
import io
import os
from shutil import which

import pytest
import torch
from helpers import COMPILED_OPS, randomise
from mmdet.models.backbones import ResNet
from torch import nn
from torch._subclasses import FakeTensorMode
from torch.nn.modules.utils import _pair

from res2net_mm.inference import fuse
from res2net_mm.models import BLRes2Net, Res2Layer, Res2Net, Res2NetDLA, Res2NeXtCIFAR
from res2net_mm.models.conv_norm import FusedConv2d

TINY = dict(depth=(2, 1, 1, 3), base_channels=16, stem_channels=16, scales=3, base_width=8)
SMALL = dict(base_channels=16, scales=3, base_width=8)
CONTEXT = dict(type='ContextBlock', ratio=1 / 4)
DCN = dict(dcn=dict(type='DCNv2', deform_groups=1), stage_with_dcn=(False, False, True, True))
NETWORKS = {
    'Res2Net': lambda: Res2Net(**TINY),
    'v1b': lambda: Res2Net(**TINY, deep_stem=True, avg_down=True),
    'Res2NeXt': lambda: Res2Net(**TINY, groups=2),
    'SE': lambda: Res2Net(**TINY, with_se=True),
    'ResNet': lambda: Res2Net(**{**TINY, 'scales': 1, 'base_width': 64}),
    'dilated': lambda: Res2Net(**TINY, strides=(1, 2, 2, 1), dilations=(1, 1, 1, 2)),
    'with_cp': lambda: Res2Net(**TINY, with_cp=True),
    'as mmdet': lambda: Res2Net(**TINY, pool_at_stride_1=False),
    'plugins': lambda: Res2Net(
        **TINY, plugins=[dict(cfg=dict(CONTEXT, postfix=i), position=f'after_conv{i}') for i in (1, 2, 3)]
    ),
    'DCN': lambda: Res2Net(**TINY, **DCN),
    'GN': lambda: Res2Net(**TINY, norm_cfg=dict(type='GN', num_groups=2)),
    'DLA': lambda: Res2NetDLA(depth=(1, 2, 1, 1), **SMALL),
    'Big-Little': lambda: BLRes2Net(depth=(2, 3, 2, 2), **SMALL),
    'CIFAR': lambda: Res2NeXtCIFAR(depth=(2, 1, 2), groups=2, with_se=True, **SMALL),
    'one stage': lambda: Res2Layer(**{k: v for k, v in TINY.items() if k != 'stem_channels'}),
}
every_network = pytest.mark.parametrize('name', NETWORKS)


def build(name):
    torch.manual_seed(0)
    return randomise(NETWORKS[name]())


def image(name='', *size):
    shape = (2, 256, 7, 9) if name == 'one stage' else size or (2, 3, 75, 98)
    return torch.rand(*shape, generator=torch.Generator().manual_seed(1))


def maps(out):
    return out if isinstance(out, tuple) else (out,)


def assert_close(outs, expected, to=1e-5):
    for a, b in zip(maps(outs), maps(expected), strict=True):
        assert a.dtype == b.dtype and a.is_contiguous()  # mmcv's ops take nothing else
        assert (a - b).abs().max() <= to * b.abs().max()


@every_network
def test_equals_the_training_form(name):
    network = build(name)
    x = image(name)
    given = x.clone()
    with torch.no_grad():
        expected = network(x)
        fused = network.fuse()
        assert fused is network and not fused.training
        outs = fused(x)
        assert_close(outs, expected)
        assert torch.equal(x, given)
        again = fused(x)
        assert_close(outs, expected)  # no call writes into another's outputs
    assert_close(again, expected)
    assert_close(fused(x), expected)  # where autograd looks on
    left = [m for m in fused.modules() if isinstance(m, nn.BatchNorm2d)]
    assert len(left) == {'DCN': 8}.get(name, 0) and not any(p.requires_grad for p in fused.parameters())
    assert any(isinstance(m, FusedConv2d) for m in fused.modules()) == (name != 'GN')


def gradient(network, x):
    x = x.clone().requires_grad_()
    return torch.autograd.grad(sum(m.square().mean() for m in maps(network(x))), x)[0]


def assert_gradient(network, x, expected):
    # Of float64: in float32 a ReLU's argument of nearly 0 may change its sign.
    tolerances = dict(rtol=1e-7, atol=1e-7 * float(expected.abs().max()))
    torch.testing.assert_close(gradient(network, x), expected, **tolerances)


@every_network
def test_gradients_still_reach_the_input(name):
    network, x = build(name).double(), image(name).double()
    expected = gradient(network, x)
    assert_gradient(network.fuse(), x, expected)


def test_gradients_still_reach_the_input_of_a_compiled_network(monkeypatch):
    compile_ = nn.Module.compile  # by Inductor it would take a minute
    monkeypatch.setattr(nn.Module, 'compile', lambda module, **_: compile_(module, backend='aot_eager'))
    network, x = build('Res2Net').double(), image().double()
    expected = gradient(network, x)
    assert_gradient(fuse(network, compiled=True), x, expected)


@every_network
def test_computes_in_half_precision_and_gives_what_it_was_given(name):
    network = build(name)
    x = image(name)
    half = torch.float16 if name == 'DCN' and COMPILED_OPS else torch.bfloat16
    with torch.no_grad():
        expected = network(x)
        outs = network.fuse(half)(x)
    assert {p.dtype for p in network.parameters()} == {half}
    assert_close(outs, expected, to=0.1)


def test_can_be_fused_twice_copied_saved_and_changed():
    network = build('Res2Net')
    x = image()
    with torch.no_grad():
        expected = network(x)
        network.fuse()(x)
        state = {k: v.clone() for k, v in network.state_dict().items()}
        assert network.fuse().state_dict().keys() == state.keys()
        assert_close(copy.deepcopy(network)(x), expected)
        file = io.BytesIO()
        torch.save(network, file)
        file.seek(0)
        assert_close(torch.load(file, weights_only=False)(x), expected)
        for p in network.parameters():
            p.mul_(0.5)
        assert not torch.allclose(network(x)[0], expected[0], rtol=1e-3)  # no stale copy of the weights
        network.load_state_dict(state)
        assert_close(network(x), expected)


@pytest.mark.parametrize('strict', [True, False])
def test_weights_of_the_other_form_are_refused(strict):
    model = nn.ModuleDict(dict(backbone=build('Res2Net')))
    learning = model.state_dict()
    fuse(model)
    inferring = {k: v.clone() for k, v in model.state_dict().items()}
    with pytest.raises(RuntimeError, match=r'load them before fuse\(\)'):
        model.load_state_dict(learning, strict)
    model.load_state_dict(inferring, strict)
    with pytest.raises(RuntimeError, match=r'call fuse\(\) before they are loaded'):
        nn.ModuleDict(dict(backbone=build('Res2Net'))).load_state_dict(inferring, strict)


@pytest.mark.parametrize('dtype', ['bfloat16', torch.int8, torch.float8_e4m3fn])
def test_a_type_that_nothing_can_be_computed_in(dtype):
    network = build('Res2Net')
    with pytest.raises(TypeError, match='dtype=.*is no type to compute in'):
        network.fuse(dtype)
    assert not network.fused


def test_other_sizes_follow_one_another():
    network = build('Res2Net')
    with torch.no_grad():
        sizes = ((1, 3, 64, 64), (3, 3, 33, 47), (1, 3, 128, 96), (1, 3, 64, 64))
        expected = [network(image('', *size)) for size in sizes]
        network.fuse()
        for size, maps_ in zip(sizes, expected):
            assert_close(network(image('', *size)), maps_)
        with torch.profiler.profile() as profile:
            for size in sizes:
                network(image('', *size))
    ops = {event.key for event in profile.key_averages()}
    assert not any('reorder' in op for op in ops)  # weights are laid out once for each shape
    assert ('mkldnn::_convolution_pointwise' in ops) == torch.backends.mkldnn.is_available()


@pytest.mark.parametrize('name', ['Res2Net', 'Big-Little', 'one stage'])
@pytest.mark.parametrize('dtype', [None, torch.bfloat16])
def test_maps_have_the_memory_format_of_the_image(name, dtype):
    network = build(name).fuse(dtype)
    x = image(name)
    with torch.no_grad():
        first = network(x)
        last = network(x.to(memory_format=torch.channels_last))
    assert_close(first, first)
    for a, b in zip(maps(first), maps(last)):
        assert torch.equal(a, b) and b.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize('name', ['Res2Net', 'DLA', 'Big-Little'])
def test_maps_of_one_pixel(name):
    network = build(name)
    x = image(name, 1, 3, 16, 9)
    with torch.no_grad():
        expected = network(x)
        assert_close(network.fuse()(x), expected)


def test_exports_in_inference_form():
    network = build('v1b').fuse()
    x = image()
    with torch.no_grad():
        network(x)  # the weights in oneDNN's layout are no part of the program
        program = torch.export.export(network, (x,))
        assert_close(program.module()(x), network(x))
    targets = {str(node.target) for node in program.graph.nodes}
    assert 'aten.conv2d.default' in targets and not any('mkldnn' in t or 'batch_norm' in t for t in targets)


def test_fuses_the_networks_of_any_model():
    class Detector(nn.Module):
        def __init__(self):
            super().__init__()
            self.backbone = build('Res2Net')
            self.norm = nn.BatchNorm2d(64)
            self.shared_head = build('one stage')

    model = fuse(Detector())
    assert model.backbone.fused and model.shared_head.fused and isinstance(model.norm, nn.BatchNorm2d)
    other = ResNet(50)
    state = other.state_dict().keys()
    assert fuse(other) is other and other.state_dict().keys() == state


def test_without_onednn():
    network = build('Res2Net')
    x = image()
    with torch.no_grad(), torch.backends.mkldnn.flags(enabled=False):
        expected = network(x)
        assert_close(network.fuse()(x), expected)


@pytest.mark.skipif(not which(os.environ.get('CXX', 'g++')), reason='torch.compile needs a compiler on a CPU')
def test_compiles_once_for_images_of_any_size():
    plugin = dict(cfg=dict(type='NonLocal2d', sub_sample=True, use_scale=False), position='after_conv3')
    network = Res2Net(
        (1, 1), num_stages=2, out_indices=(1,), stem_channels=16, avg_down=True, plugins=[plugin], **SMALL
    )
    network = randomise(network)
    images = [image('', *size) for size in ((2, 3, 48, 64), (3, 3, 49, 63), (2, 3, 51, 98), (4, 3, 61, 48))]
    # programs cached by another run come with that run's guards
    with torch.no_grad(), torch._inductor.config.patch(fx_graph_cache=False):
        expected = [network(x) for x in images]
        fuse(network, compiled=True)
        assert_close(network(images[0]), expected[0])
        compiled = torch._dynamo.utils.counters['stats']['unique_graphs']
        for x, maps_ in zip(images[1:], expected[1:]):
            assert_close(network(x), maps_)
        assert torch._dynamo.utils.counters['stats']['unique_graphs'] == compiled > 0


def test_weights_are_constants_of_a_compiled_network():
    model = nn.ModuleDict(dict(backbone=build('Res2Net')))
    state = fuse(model, compiled=True).state_dict()
    with pytest.raises(RuntimeError, match='compiled with its weights as constants: load others before fuse'):
        model.load_state_dict(state)


@pytest.mark.parametrize('kind', [nn.MaxPool2d, nn.AvgPool2d])
@pytest.mark.parametrize(
    ('arguments', 'ceil_mode'),
    [((3, 2, 1), False), ((2, 2), True), ((1, 2), True), ((2, 3, 1), True), (((3, 2), (1, 2)), False)],
)
def test_what_torch_compile_is_told_of_a_pooling(kind, arguments, ceil_mode):
    pool = kind(*arguments, ceil_mode=ceil_mode)
    sizes = [_pair(size) for size in (pool.kernel_size, pool.stride, pool.padding, 1)]
    for n in range(5, 12):
        x = image('', 2, 8, n, n + 3).to(memory_format=torch.channels_last)[:, :5]
        args = kind is nn.MaxPool2d, *sizes, ceil_mode, True
        out = torch.ops.res2net_mm.pool(x, *args)
        assert torch.equal(out, pool(x))
        with FakeTensorMode() as fakes:
            told = torch.ops.res2net_mm.pool(fakes.from_tensor(x), *args)
        assert told.shape == out.shape and told.stride() == out.stride()
