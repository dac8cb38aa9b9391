"""The networks' fused form computes what they do."""

import copy
import io
import math
import re
import types
import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
import torch
from helpers import COMPILED_OPS, GPU, on_every_device, randomize
from mmdet.models.backbones import ResNet
from mmengine.model.efficient_conv_bn_eval import turn_on_efficient_conv_bn_eval
from networks import NETWORKS
from torch import nn
from torch.autograd import forward_ad
from torch.nn import functional as F
from torch.nn.modules.module import register_module_forward_hook
from torch.nn.utils import parametrizations, prune, spectral_norm, weight_norm
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

from res2net_mm.fused import FusedBackbone, FusedBottle2neck, FusedConv2d, cpu, cuda, fuse
from res2net_mm.fused.conv import inferring, watched
from res2net_mm.models import Bottle2neck, Res2Net

every_network = pytest.mark.parametrize('name', NETWORKS)


def build(name, device='cpu'):
    torch.manual_seed(0)
    return randomize(NETWORKS[name]()).to(device)


def image(name='', *size, device='cpu'):
    shape = (2, 256, 7, 9) if name == 'one stage' else size or (2, 3, 75, 98)
    return torch.rand(*shape, generator=torch.Generator().manual_seed(1)).to(device)


def maps(out):
    return out if isinstance(out, tuple) else (out,)


def assert_close(outs, expected, to=1e-5):
    for a, b in zip(maps(outs), maps(expected), strict=True):
        assert a.dtype == b.dtype and a.is_contiguous()  # mmcv's ops take nothing else
        assert (a - b).abs().max() <= to * b.abs().max()


@every_network
@on_every_device
def test_equals_the_training_form(name, device):
    network = build(name, device)
    x = image(name, device=device)
    given = x.clone()
    with torch.no_grad():
        expected = network(x)
        fused = fuse(network)
        assert isinstance(fused, FusedBackbone) and not fused.training
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


@pytest.mark.parametrize('name', ['one stage', 'Res2Net'])
@pytest.mark.parametrize('dtype', [None, torch.bfloat16])
@on_every_device
def test_no_images(name, dtype, device):
    """As a shared head has where there are no regions of interest."""
    network, x = build(name, device), image(name, device=device)[:0]
    with torch.no_grad():
        expected = [out.shape for out in maps(network(x))]
        outs = maps(fuse(network, dtype)(x))
    assert [out.shape for out in outs] == expected and outs[0].dtype == torch.float32


@on_every_device
def test_tf32_where_it_is_allowed(device):
    network, x = build('Res2Net', device), image(device=device)
    with torch.no_grad(), torch.backends.cudnn.flags(enabled=True, allow_tf32=True):
        outs = fuse(copy.deepcopy(network))(x)
        expected = network.double()(x.double())
    assert_close(outs, tuple(y.float() for y in expected), to=5e-3)


def gradient(network, x):
    x = x.clone().requires_grad_()
    return torch.autograd.grad(sum(m.square().mean() for m in maps(network(x))), x)[0]


def assert_gradient(network, x, expected):
    # Of float64: in float32 a ReLU's argument of nearly 0 may change its sign.
    tolerances = dict(rtol=1e-7, atol=1e-7 * float(expected.abs().max()))
    torch.testing.assert_close(gradient(network, x), expected, **tolerances)


@every_network
@on_every_device
def test_gradients_still_reach_the_input(name, device):
    network, x = build(name, device).double(), image(name, device=device).double()
    expected = gradient(network, x)
    assert_gradient(fuse(network), x, expected)


@every_network
@on_every_device
def test_computes_in_half_precision_and_gives_what_it_was_given(name, device):
    network = build(name, device)
    x = image(name, device=device)
    half = torch.float16 if name == 'DCN' and COMPILED_OPS else torch.bfloat16
    with torch.no_grad():
        expected = network(x)
        outs = fuse(network, half)(x)
    assert {p.dtype for p in network.parameters()} == {half}
    assert_close(outs, expected, to=4e-2 if name == 'GN' else 2e-2)  # GN is not fused


@on_every_device
@pytest.mark.parametrize('cuda_graph', [False, True])
def test_can_be_fused_twice_copied_saved_and_changed(device, cuda_graph):
    network = build('Res2Net', device)
    x = image(device=device)
    with torch.no_grad():
        expected = network(x)
        network = fuse(network, cuda_graph=cuda_graph)
        network(x)
        state = {k: v.clone() for k, v in network.state_dict().items()}
        assert fuse(network) is network and network.state_dict().keys() == state.keys()
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
    model.load_state_dict({}, strict=False)  # such as a head's alone
    with pytest.raises(RuntimeError, match=r'call fuse\(\) before they are loaded'):
        nn.ModuleDict(dict(backbone=build('Res2Net'))).load_state_dict(inferring, strict)


@pytest.mark.parametrize('dtype', ['bfloat16', torch.int8, torch.float8_e4m3fn])
def test_a_type_that_nothing_can_be_computed_in(dtype):
    network = build('Res2Net')
    state = network.state_dict().keys()
    with pytest.raises(TypeError, match='dtype=.*is no type to compute in'):
        fuse(network, dtype)
    assert network.state_dict().keys() == state


def operators(function):
    with torch.profiler.profile() as profile:
        function()
    return {event.key for event in profile.key_averages()}


def by_onednn(function):
    return 'mkldnn::_convolution_pointwise' in operators(function)


def lays_out(function):
    return any('reorder' in op for op in operators(function))


@every_network
@on_every_device
def test_what_hooks_hold_is_not_overwritten(name, device):
    network, x = build(name, device), image(name, device=device)
    blocks = [n for n, m in network.named_modules() if isinstance(m, Bottle2neck)]

    def look(modules, before=False):
        held = {}

        def hook(module, args, out=None, n=None):
            seen = args if before else maps(out)
            held[n] = [(t, t.clone()) for t in seen if torch.is_tensor(t)]

        register = 'register_forward_pre_hook' if before else 'register_forward_hook'
        return held, [getattr(m, register)(partial(hook, n=n)) for n, m in modules]

    with torch.no_grad():
        plain, handles = look(network.named_modules())
        expected = network(x)
        for handle in handles:
            handle.remove()
        fused = fuse(network, cuda_graph=True)
        fused(x)
        for before in (False, True):
            held, handles = look(fused.network.named_modules(), before)
            assert not by_onednn(lambda: assert_close(fused(x), expected))
            for n, pairs in held.items():
                if 'channel_add_conv' not in n:  # mmcv's plugin has a ReLU that works in place
                    assert all(torch.equal(*pair) for pair in pairs), n
            if not before:
                assert set(blocks) <= set(held)
                for block in blocks:
                    a, b = held[block][0][0], plain[block][0][1]
                    assert (a - b).abs().max() <= 1e-5 * b.abs().max()
            held.clear()
            fused(x)
            assert held  # no graph is replayed
            for handle in handles:
                handle.remove()
        assert by_onednn(lambda: fused(x)) == (
            device == 'cpu' and name != 'GN' and torch.backends.mkldnn.is_available()
        )


@pytest.mark.parametrize('copied', [False, True])
def test_hooks_of_all_modules_and_of_a_copy(copied):
    fused, x = fuse(build('Res2Net')), image()
    fused = copy.deepcopy(fused) if copied else fused
    held = []

    def hook(module, args, out):
        held.extend((t, t.clone()) for t in maps(out))

    register = fused.layer1[0].register_forward_hook if copied else register_module_forward_hook
    handle = register(hook)
    with torch.no_grad():
        fused(x)
    handle.remove()
    assert held and all(torch.equal(*pair) for pair in held)


def test_hooks_of_one_thread_slow_no_other():
    with watched(), ThreadPoolExecutor(1) as other:
        assert not inferring(image()) and other.submit(inferring, image()).result()


def test_hooks_of_what_is_replaced_are_gone():
    network = build('Res2Net')
    network.register_forward_hook(lambda *_: None)  # stays
    network.layer1[0].register_forward_hook(lambda *_: None)
    network.layer2[0].conv1.register_forward_pre_hook(lambda *_: None)
    network.bn1.register_full_backward_hook(lambda *_: None)
    with pytest.warns(UserWarning, match='3 hooks are gone .* register hooks after it'):
        fuse(network)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        fuse(build('DCN'))


def with_silu(network):
    for module in list(network.modules()):
        for name, child in module.named_children():
            if type(child) is nn.ReLU:
                setattr(module, name, nn.SiLU())
    return network


@pytest.mark.parametrize('name', ['Res2Net', 'v1b', 'SE', 'DLA', 'Big-Little', 'CIFAR'])
@pytest.mark.parametrize('where', ['everywhere', 'stem', 'one block'])
def test_other_activations_are_computed(name, where):
    network, x = build(name), image()
    if where == 'everywhere':
        with_silu(network)
    elif where == 'stem' and hasattr(network, 'relu'):
        network.relu = nn.LeakyReLU(0.1)
    else:
        next(m for m in network.modules() if isinstance(m, Bottle2neck)).relu = nn.ReLU6()
    with torch.no_grad():
        expected = network(x)
        assert_close(fuse(network)(x), expected)


def test_what_a_derived_class_computes_otherwise_stays_as_it_is():
    class Gray(Res2Net):
        def forward_stem(self, x):
            return super().forward_stem(x.expand(-1, 3, -1, -1))

    class Named(Res2Net):
        def forward(self, x, scale=1):
            return dict(last=super().forward(scale * x)[-1])

    class Pooled(Res2Net):
        """Whose forward is Res2Net's own, of another stem."""

        def __init__(self, **arguments):
            super().__init__(**arguments)
            self.conv1 = nn.Sequential(nn.AvgPool2d(2), self.conv1)

    small = dict(depth=(1, 1, 1, 1), base_channels=16, stem_channels=16)
    x = image('', 1, 1, 40, 50)
    gray = nn.Sequential(randomize(Gray(**small)))
    with torch.no_grad(), pytest.warns(UserWarning, match='Gray has a forward of its own: it stays'):
        expected = gray(x)
        assert isinstance(fuse(gray)[0], Gray)
        assert_close(gray(x), expected, to=0)
    named = randomize(Named(**small))
    with pytest.warns(UserWarning, match='Named has a forward of its own'):
        assert fuse(named) is named
    assert named(x.expand(-1, 3, -1, -1), scale=2)['last'].shape == (1, 512, 2, 2)
    pooled, x = randomize(Pooled(**small)), image('', 1, 3, 40, 50)
    with torch.no_grad():
        expected = pooled(x)
        fused = fuse(pooled)
        assert isinstance(fused, FusedBackbone)
        assert_close(fused(x), expected)


@pytest.mark.parametrize('make', [
    partial(prune.l1_unstructured, name='weight', amount=0.5), partial(weight_norm, dim=0),
    spectral_norm, partial(parametrizations.weight_norm, dim=0),
])  # fmt: skip
@pytest.mark.filterwarnings('ignore:.*weight_norm.* is deprecated')
def test_weights_that_hooks_compute_are_those_that_were_loaded(make):
    network, trained, x = build('Res2Net'), build('Res2Net'), image()
    for net in (network, trained):
        for conv in (net.conv1, net.layer1[0].conv1, net.layer2[0].convs[0]):
            make(conv)
    with torch.no_grad():
        for p in trained.parameters():
            p.mul_(1.5)
        expected = trained(x)
        network.load_state_dict(trained.state_dict())
        with warnings.catch_warnings():
            warnings.simplefilter('error')
            fused = fuse(network.train())  # where spectral norm's hook would change the weights
        assert_close(fused(x), expected, to=1e-4)


def test_a_part_alone_has_tangents():
    part, x = fuse(build('Res2Net')).conv1, image()
    part.relu = False  # linear, but for the bias
    with torch.no_grad():
        _, tangent = torch.func.jvp(part, (x,), (torch.ones_like(x),))
        expected = part(torch.ones_like(x)) - part(torch.zeros_like(x))
    torch.testing.assert_close(tangent, expected, rtol=1e-4, atol=1e-4)


@every_network
def test_in_inference_mode(name):
    x = image(name)
    with torch.inference_mode():
        network = build(name)
        expected = network(x)
        fused = fuse(network)
        assert_close(fused(x), expected)
    of_ordinary = gradient(fuse(build(name)), x)
    assert (gradient(fused, x) - of_ordinary).abs().max() <= 1e-3 * of_ordinary.abs().max()
    with torch.inference_mode():
        assert_close(copy.deepcopy(fused)(x), expected)
        fused.to(torch.float64).float()
        assert_close(fused(x), expected)
        for p in fused.parameters():
            p.mul_(0.5)
        assert not torch.allclose(maps(fused(x))[0], maps(expected)[0], rtol=1e-3)


@pytest.mark.parametrize('name', ['Res2Net', 'Big-Little', 'plugins', 'GN'])
def test_transforms_of_torch_func(name):
    network, x = build(name).double(), image('', 1, 3, 40, 33).double()
    fused = fuse(copy.deepcopy(network))
    several = torch.stack([x, 2 * x], -1)

    def tangents(network):
        with forward_ad.dual_level():
            outs = network(forward_ad.make_dual(x, torch.ones_like(x)))
            return tuple(forward_ad.unpack_dual(out).tangent.contiguous() for out in outs)

    for transform in (
        lambda network: torch.func.jvp(network, (x,), (torch.ones_like(x),))[1],
        lambda network: torch.func.vmap(network, in_dims=-1)(several),
        tangents,
    ):
        expected = [out.contiguous() for out in transform(network)]
        assert_close(tuple(transform(fused)), tuple(expected), to=1e-9)


@pytest.mark.parametrize('cuda_graph', [False, True])
@on_every_device
def test_input_that_is_refused(cuda_graph, device):
    fused = fuse(build('Res2Net', device), cuda_graph=cuda_graph)
    with torch.no_grad():
        with pytest.raises(TypeError, match='must be of floating point, and these are torch.uint8'):
            fused(image(device=device).byte())
        for shape in ((1, 4, 32, 32), (3, 32, 32), (3, 1, 32, 32)):
            with pytest.raises(ValueError, match=re.escape(f'(N, 3, H, W), and these are {shape}')):
                fused(torch.zeros(shape, device=device))


def test_other_sizes_follow_one_another():
    network = build('Res2Net')
    with torch.no_grad():
        sizes = ((1, 3, 64, 64), (3, 3, 33, 47), (1, 3, 128, 96), (1, 3, 64, 64))
        expected = [network(image('', *size)) for size in sizes]
        network = fuse(network)
        for size, maps_ in zip(sizes, expected):
            assert_close(network(image('', *size)), maps_)
        # Weights are laid out once for each shape.
        assert not lays_out(lambda: [network(image('', *size)) for size in sizes])
        assert by_onednn(lambda: network(image())) == torch.backends.mkldnn.is_available()


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason='needs oneDNN')
def test_weights_are_kept_for_some_shapes(monkeypatch):
    monkeypatch.setattr(cpu, 'SHAPES', 2)
    network = fuse(build('Res2Net'))
    with torch.no_grad():
        sizes = [(1, 3, side, 64) for side in (64, 97, 64, 33, 64, 97)]
        again = [lays_out(partial(network, image('', *size))) for size in sizes]
    assert again == [True, True, False, True, False, True]  # 97 was the least recently used


@pytest.mark.parametrize('name', ['Res2Net', 'Big-Little', 'one stage'])
@pytest.mark.parametrize('dtype', [None, torch.bfloat16])
@on_every_device
def test_feature_maps_have_the_memory_format_of_the_image(name, dtype, device):
    network = fuse(build(name, device), dtype)
    x = image(name, device=device)
    with torch.no_grad():
        first = network(x)
        last = network(x.to(memory_format=torch.channels_last))
    assert_close(first, first)  # contiguous
    for a, b in zip(maps(first), maps(last)):
        assert torch.equal(a, b) and b.is_contiguous(memory_format=torch.channels_last)


def test_feature_maps_whose_rows_are_larger_than_a_cache():
    x = image('', 1, 1024, 2, 65).contiguous(memory_format=torch.channels_last)
    out = cpu.channels_first(x, torch.float32)
    assert x[:, :, :1].nbytes > cpu.CACHED and out.is_contiguous() and torch.equal(out, x)


@pytest.mark.parametrize('name', ['Res2Net', 'DLA', 'Big-Little'])
def test_feature_maps_of_one_pixel(name):
    network = build(name)
    x = image(name, 1, 3, 16, 9)
    with torch.no_grad():
        expected = network(x)
        assert_close(fuse(network)(x), expected)


def test_exports_in_inference_form():
    network = fuse(build('v1b'))
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
    for network in (model.backbone, model.shared_head):
        assert isinstance(network, FusedBackbone)
    assert isinstance(model.norm, nn.BatchNorm2d)
    other = ResNet(50)
    state = other.state_dict().keys()
    assert fuse(other) is other and other.state_dict().keys() == state


def test_traces_and_compiles_without_a_word():
    fused, x = fuse(build('Res2Net')), image()
    with torch.no_grad(), warnings.catch_warnings():
        expected = fused(x)
        warnings.simplefilter('error')
        warnings.filterwarnings('ignore', '.*torch.jit.trace')
        assert_close(torch.jit.trace(fused, x)(x), expected)
        assert_close(torch.compile(fused, backend='eager', fullgraph=True)(x), expected)


def test_without_onednn():
    network = build('Res2Net')
    x = image()
    with torch.no_grad(), torch.backends.mkldnn.flags(enabled=False):
        expected = network(x)
        assert_close(fuse(network)(x), expected)


@every_network
def test_loads_its_own_weights(name):
    network = fuse(build(name))
    result = network.load_state_dict(network.state_dict())
    assert not result.missing_keys and not result.unexpected_keys


def test_a_network_that_is_there_twice_is_fused_once():
    class Pair(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = self.second = build('Res2Net')
            self.third = nn.ModuleList([self.first, self])  # and a circle

    model = fuse(Pair(), torch.bfloat16)
    assert isinstance(model.first, FusedBackbone) and model.first is model.second is model.third[0]
    assert_close(model.second(image()), model.first(image()))


def test_what_others_wrote_is_left_alone():
    class Halved(Bottle2neck):
        def forward(self, x, shortcut=None):
            return super().forward(x, shortcut) / 2

    class Gate(nn.Sequential):
        def forward(self, x):
            return x * self[1](self[0](x)).sigmoid()

    network = build('plugins')
    network.layer1[1].__class__ = Halved
    block = network.layer4[2]
    name = block.plugins['after_conv3'][0]
    setattr(block, name, randomize(Gate(nn.Conv2d(512, 512, 1), nn.BatchNorm2d(512))))
    x = image()
    with torch.no_grad():
        expected = network(x)
        assert_close(fuse(network)(x), expected)


def test_a_normalization_without_statistics_is_not_folded():
    norm_cfg = dict(type='BN', track_running_stats=False)
    network, x = Res2Net(depth=(1,), num_stages=1, out_indices=(0,), norm_cfg=norm_cfg).eval(), image()
    with torch.no_grad():
        expected = network(x)
        assert_close(fuse(network)(x), expected)


def test_a_network_that_mmengine_has_folded():
    network = build('Res2Net')
    x = image()
    with torch.no_grad():
        expected = network(x)
        turn_on_efficient_conv_bn_eval(nn.ModuleDict(dict(backbone=network)), 'backbone')
        assert_close(fuse(network, torch.bfloat16)(x), expected, to=2e-2)


def test_attributes_are_the_networks():
    network = build('Res2Net')
    described = network.out_channels, network.out_strides, network.out_indices
    fused = copy.deepcopy(fuse(network))
    assert (fused.out_channels, fused.out_strides, fused.out_indices) == described
    with pytest.raises(AttributeError, match='no_such_thing'):
        _ = fused.no_such_thing


@pytest.fixture
def cudnn(monkeypatch):
    """Calls of cuDNN's fused convolutions, which a CPU computes by PyTorch's."""
    calls = []

    def relu(x, weight, bias, stride, padding, dilation, groups):
        calls.append('relu')
        return F.conv2d(x, weight, bias, stride, padding, dilation, groups).relu()

    def add_relu(x, weight, residual, alpha, bias, stride, padding, dilation, groups):
        calls.append('add_relu')
        return (F.conv2d(x, weight, bias, stride, padding, dilation, groups) + alpha * residual).relu()

    monkeypatch.setattr(cpu, 'has_onednn', lambda x: False)
    monkeypatch.setattr(cuda, 'has_cudnn', lambda x: True)
    monkeypatch.setattr(torch, 'cudnn_convolution_relu', relu)
    monkeypatch.setattr(torch, 'cudnn_convolution_add_relu', add_relu)
    return calls


@every_network
def test_by_cudnn_with_aligned_splits(name, cudnn):
    network = build(name)
    x = image(name)
    with torch.no_grad():
        expected = network(x)
        fused = fuse(network)
        for block in fused.modules():
            if isinstance(block, FusedBottle2neck) and block.can_align():
                width = block.width
                block.width = cuda.align(block.conv1, block.convs, block.conv3, block.scales)
                assert block.width == 32 * math.ceil(width / 32)
                assert (
                    block.conv1.weight.shape[0] == block.conv3.weight.shape[1] == block.scales * block.width
                )
        assert_close(fused(x), expected)
    gated = name in ('GN', 'SE', 'plugins', 'CIFAR')  # something stands before the residual
    assert ('add_relu' in cudnn) != gated


class Replays:
    """Stands for capture(), which a CPU can't: what was captured, and how often each ran."""

    def __init__(self, monkeypatch):
        self.shapes, self.ran = [], []
        monkeypatch.setattr(cuda, 'capture', self.capture)
        stream = types.SimpleNamespace(cuda_stream=0, synchronize=lambda: None)
        monkeypatch.setattr(torch.cuda, 'current_stream', lambda device: stream)
        monkeypatch.setattr(torch.cuda, 'graph_pool_handle', lambda: None)
        monkeypatch.setattr(torch.cuda, 'Stream', lambda device: None)

    def capture(self, network, x, dtype, channels_last, pool, side):
        self.shapes.append(tuple(x.shape))
        if x.shape[2] == 1:
            return None

        def replay(x):
            self.ran.append(tuple(x.shape))
            return network(x.to(dtype))

        return replay


def test_graphs_are_of_shapes_and_bounded_in_number(monkeypatch):
    replays = Replays(monkeypatch)
    graphs = cuda.Graphs(nn.Conv2d(3, 4, 1), limit=2)
    a, b, c = (torch.rand(1, 3, size, 8) for size in (8, 9, 10))
    for x in (a, b, a, c, a, b):
        torch.testing.assert_close(graphs(x, torch.float32), graphs.network(x))
    assert [shape[2] for shape in replays.ran] == [8, 9, 8, 10, 8, 9]
    assert [shape[2] for shape in replays.shapes] == [8, 9, 10, 9]  # 9 was the least recently used


def test_nothing_is_captured_after_a_failure(monkeypatch):
    replays = Replays(monkeypatch)
    graphs = cuda.Graphs(nn.Conv2d(3, 4, 1))
    for size in (8, 1, 9, 1, 8):
        x = torch.rand(1, 3, size, 8)
        torch.testing.assert_close(graphs(x.double(), torch.float32), graphs.network(x))
    assert [shape[2] for shape in replays.shapes] == [8, 1]
    assert [shape[2] for shape in replays.ran] == [8, 8]


def test_graphs_notice_other_weights(monkeypatch):
    replays = Replays(monkeypatch)
    graphs = cuda.Graphs(nn.Conv2d(3, 4, 1))
    x = torch.rand(1, 3, 8, 8)
    graphs(x, torch.float32)
    with torch.no_grad():
        graphs.network.weight.mul_(2)  # in place: a graph reads the same memory
    graphs(x, torch.float32)
    assert len(replays.shapes) == 1
    graphs.network.weight.data = torch.rand(4, 3, 1, 1)
    graphs(x, torch.float32)
    graphs.network.bias = nn.Parameter(torch.rand(4))
    torch.testing.assert_close(graphs(x, torch.float32), graphs.network(x))
    assert len(replays.shapes) == 3


def test_graphs_notice_whether_tf32_is_allowed(monkeypatch):
    replays = Replays(monkeypatch)
    graphs = cuda.Graphs(nn.Conv2d(3, 4, 1))
    for allowed in (True, False, True):
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=allowed):
            graphs(torch.rand(1, 3, 8, 8), torch.float32)
    assert len(replays.shapes) == 2 and len(replays.ran) == 3


def test_graphs_are_neither_copied_nor_saved():
    fused = fuse(build('Res2Net'), cuda_graph=True)
    fused.graphs._replays['a shape'] = lambda x: None
    again = copy.deepcopy(fused)
    assert again.graphs.network is again.network is not fused.network and not again.graphs._replays
    buffer = io.BytesIO()
    torch.save(fused, buffer)
    buffer.seek(0)
    loaded = torch.load(buffer, weights_only=False)
    assert loaded.graphs.network is loaded.network and not loaded.graphs._replays
    x = image()
    assert_close(loaded(x), fused(x))  # on a CPU without graphs


@pytest.mark.parametrize('name', NETWORKS)
@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
@pytest.mark.parametrize('mode', [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize('device', [pytest.param('cuda', marks=GPU)])
def test_a_graphs_replay_equals_the_eager_form(name, dtype, mode, device):
    eager = fuse(build(name, device), dtype)
    graphed = copy.deepcopy(eager)
    graphed.graphs = cuda.Graphs(graphed.network)
    sizes = ((2, 256, 7, 9), (1, 256, 8, 8)) if name == 'one stage' else ((2, 3, 75, 98), (1, 3, 64, 64))
    images = [image('', *size, device=device) for size in (*sizes, sizes[0])]
    with mode():
        outs = [graphed(x) for x in images]  # no replay overwrites what another gave
        for x, out in zip(images, outs):
            for a, b in zip(maps(out), maps(eager(x)), strict=True):
                torch.testing.assert_close(a, b, rtol=0, atol=0)
    assert len(graphed.graphs._replays) == 2


@pytest.mark.parametrize('device', [pytest.param('cuda', marks=GPU)])
def test_graphs_of_two_streams_do_not_meet(device):
    eager = fuse(build('Res2Net', device))
    graphed = copy.deepcopy(eager)
    graphed.graphs = cuda.Graphs(graphed.network)
    images = [image(device=device) * factor for factor in (1, 2)]
    streams = [torch.cuda.Stream() for _ in images]
    torch.cuda.synchronize()
    with torch.no_grad():
        for _ in range(20):
            outs = []
            for x, stream in zip(images, streams):
                with torch.cuda.stream(stream):
                    outs.append(graphed(x))
        torch.cuda.synchronize()
        for x, out in zip(images, outs):
            torch.testing.assert_close(out, eager(x), rtol=0, atol=0)


@pytest.mark.gpu
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason='needs two GPUs')
@pytest.mark.parametrize('cuda_graph', [False, True])
def test_on_another_gpu_than_the_current_one(cuda_graph):
    network, x = build('Res2Net', 'cuda:1'), image(device='cuda:1')
    with torch.no_grad():
        expected = network(x)
        assert_close(fuse(network, torch.bfloat16, cuda_graph)(x), expected, to=2e-2)


@pytest.mark.parametrize('device', [pytest.param('cuda', marks=GPU)])
def test_a_block_has_as_many_kernels_as_convolutions(device):
    block = fuse(build('Res2Net', device), torch.bfloat16).network.layer1[1]
    x = image('', 1, 64, 32, 32, device=device).to(torch.bfloat16, memory_format=torch.channels_last)
    with torch.no_grad():
        block(x)
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
            block(x)
            torch.cuda.synchronize()
    kernels = [event.name for event in profile.events() if event.device_type.name == 'CUDA']
    assert len(kernels) == 4, kernels  # of scale 3


class NoFloat64(torch.Tensor):
    """A tensor on a device without float64, as Apple's GPU is: it says 'meta', and is computed on the CPU."""

    @staticmethod
    def __new__(cls, data):
        if data.dtype is torch.float64:
            raise TypeError('no float64 here')
        self = cls._make_wrapper_subclass(cls, data.shape, data.stride(), dtype=data.dtype, device='meta')
        self.on_cpu = data
        return self

    __torch_dispatch__ = None


class Device(TorchDispatchMode):
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        there = any(isinstance(x, NoFloat64) for x in tree_leaves((args, kwargs)))
        if 'device' in kwargs:
            there = torch.device(kwargs['device']).type == 'meta'
            kwargs['device'] = torch.device('cpu')
        args, kwargs = tree_map_only(NoFloat64, lambda x: x.on_cpu, (args, kwargs))
        out = func(*args, **kwargs)
        return tree_map_only(torch.Tensor, NoFloat64, out) if there else out


def test_convolutions_are_folded_on_devices_without_float64():
    torch.manual_seed(0)
    conv, norm = nn.Conv2d(3, 4, 3), randomize(nn.BatchNorm2d(4)).eval()
    x = torch.rand(1, 3, 8, 8)
    expected = norm(conv(x)).detach()
    with Device():
        for module in (conv, norm):
            for name, parameter in module.named_parameters():
                setattr(module, name, nn.Parameter(NoFloat64(parameter.detach()), requires_grad=False))
            for name, buffer in module.named_buffers():
                setattr(module, name, NoFloat64(buffer))
        with pytest.raises(TypeError, match='float64'):
            conv.weight.double()
        fused = FusedConv2d(conv, norm)
        assert fused.weight.device.type == 'meta'
        torch.testing.assert_close(fused(NoFloat64(x)).on_cpu, expected, rtol=1e-5, atol=1e-5)


def test_a_network_without_data():
    with torch.device('meta'):
        network, x = Res2Net(depth=(1, 1, 1, 1)), torch.empty(1, 3, 64, 64)
    assert [tuple(out.shape) for out in fuse(network)(x)] == [tuple(out.shape) for out in network.eval()(x)]
