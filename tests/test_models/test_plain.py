"""The networks are plain PyTorch: what people do with a ResNet works."""

import copy
import io

import pytest
import torch
from helpers import GPU, assert_close, on_every_device, randomize, smooth
from mmengine.model.efficient_conv_bn_eval import turn_on_efficient_conv_bn_eval
from networks import NETWORKS
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations, prune

TRACEABLE = [name for name in NETWORKS if name != 'DCN']  # mmcv's op is not
every_network = pytest.mark.parametrize('name', NETWORKS)
every_traceable_network = pytest.mark.parametrize('name', TRACEABLE)
both_modes = pytest.mark.parametrize('training', [True, False])


def build(name, training=False):
    torch.manual_seed(0)
    return randomize(NETWORKS[name]()).train(training)


def image(name, *size):
    shape = (2, 256, 7, 9) if name == 'one stage' else (2, 3, 64, 96)
    return torch.rand(*shape, generator=torch.Generator().manual_seed(1))


def feature_maps(out):
    return out if isinstance(out, tuple) else (out,)


def assert_equal(outs, expected):
    for a, b in zip(feature_maps(outs), feature_maps(expected), strict=True):
        assert torch.equal(a, b)


def loss(network, x):
    return sum(out.square().mean() for out in feature_maps(network(x)))


def convs(network):
    return [m for m in network.modules() if isinstance(m, nn.Conv2d)]


@pytest.mark.parametrize('device', [pytest.param('cuda', marks=GPU)])
@every_network
def test_computes_on_a_gpu_what_it_does_on_a_cpu(name, device):
    network = build(name)
    on_gpu = copy.deepcopy(network).to(device)
    x = image(name)
    with torch.no_grad():
        outs = feature_maps(on_gpu(x.to(device)))
        expected = feature_maps(network.double()(x.double()))
    assert_close(outs, [out.to(device, torch.float32) for out in expected])

    on_gpu.double()  # in which no ReLU's argument changes its sign
    for each in (network, on_gpu):
        loss(each.train(), x.to(next(each.parameters()))).backward()
    theirs = dict(network.named_parameters())
    for key, parameter in on_gpu.named_parameters():
        assert_close(parameter.grad.cpu(), theirs[key].grad)
    assert_close([v.cpu() for v in on_gpu.state_dict().values()], network.state_dict().values())


@on_every_device
@every_network
def test_channels_last_has_the_same_gradients(name, device):
    network = smooth(build(name, training=True)).to(device)
    last = copy.deepcopy(network).to(memory_format=torch.channels_last)
    for each in (network, last):
        loss(each, image(name).to(device)).backward()
    grads, expected = ([p.grad for p in each.parameters()] for each in (last, network))
    least = 1e-3 * max(float(grad.abs().max()) for grad in expected)  # a bias before BN has rounding's alone
    for a, b in zip(grads, expected):
        torch.testing.assert_close(a, b, rtol=0, atol=2e-3 * max(least, float(b.abs().max())))


@every_network
def test_no_average_pooling_pads(name, monkeypatch):
    """With padding its gradients are wrong in channels last on a GPU, see PyTorch's issue 188344."""
    paddings, own = [], F.avg_pool2d

    def avg_pool2d(x, kernel_size, stride=None, padding=0, *others, **more):
        paddings.append(padding)
        return own(x, kernel_size, stride, padding, *others, **more)

    monkeypatch.setattr(F, 'avg_pool2d', avg_pool2d)
    build(name)(image(name))
    assert not any(paddings) and (paddings or name in ('ResNet', 'CIFAR'))


@both_modes
@every_network
def test_hooks_see_every_layer_and_nobody_overwrites_what_they_saw(name, training):
    network = build(name, training)
    seen, before = [], []
    layers = [
        m for m in network.modules() if isinstance(m, (nn.Conv2d, nn.BatchNorm2d, nn.GroupNorm, nn.ReLU))
    ]
    of_the_network = [m for m in layers if not _in_plugin(network, m)]
    for layer in of_the_network:
        layer.register_forward_pre_hook(lambda m, args: before.append((m, args[0], args[0].clone())))
        layer.register_forward_hook(lambda m, args, out: seen.append((m, out, out.clone())))
    network(image(name))
    for calls in (before, seen):
        assert {m for m, _, _ in calls} == set(of_the_network)
        assert all(torch.equal(tensor, copied) for _, tensor, copied in calls)


def _in_plugin(network, layer):
    """mmcv's plugins have in-place activations of their own."""
    return any(
        layer is m
        for block in network.modules()
        for names in (getattr(block, 'plugins', None) or {}).values()
        for plugin in names
        for m in getattr(block, plugin).modules()
    )


@pytest.mark.parametrize('norm_eval', [True, False])
@every_network
def test_pruned_weights_stay_pruned(name, norm_eval):
    network = build(name)
    network.norm_eval = norm_eval
    network.train()
    by_hand = copy.deepcopy(network)
    for conv, other in zip(convs(network), convs(by_hand)):
        prune.l1_unstructured(conv, 'weight', 0.5)
        other.weight.data *= conv.weight_mask
    x = image(name)
    assert_equal(network(x), by_hand(x))
    loss(network, x).backward()
    loss(by_hand, x).backward()
    for conv, other in zip(convs(network), convs(by_hand)):
        torch.testing.assert_close(conv.weight_orig.grad, other.weight.grad * conv.weight_mask)


@pytest.mark.parametrize('norm_eval', [True, False])
@pytest.mark.parametrize('parametrize', [parametrizations.weight_norm, parametrizations.spectral_norm])
@every_network
def test_weights_can_be_parametrized(name, parametrize, norm_eval):
    network = build(name)
    network.norm_eval = norm_eval
    network.train()
    x = image(name)
    expected = copy.deepcopy(network)(x)
    for conv in convs(network):
        if type(conv) is nn.Conv2d and conv.weight.norm() > 0:
            parametrize(conv)
    outs = network(x)
    if parametrize is parametrizations.weight_norm:  # which computes the same
        for out, plain in zip(feature_maps(outs), feature_maps(expected), strict=True):
            torch.testing.assert_close(out, plain, rtol=1e-3, atol=1e-4 * float(plain.abs().max()))
    loss(network, x).backward()
    originals = [p for n, p in network.named_parameters() if 'parametrizations.weight.original' in n]
    assert len(originals) >= 4 and all(p.grad.isfinite().all() for p in originals)


@both_modes
@every_traceable_network
def test_traces_by_fx(name, training):
    network = build(name, training)
    other = copy.deepcopy(network)
    x = image(name)
    assert_equal(torch.fx.symbolic_trace(network)(x), other(x))


@both_modes
@every_traceable_network
def test_compiles_without_a_graph_break(name, training):
    network = build(name, training)
    other = copy.deepcopy(network)
    x = image(name)
    torch._dynamo.reset()
    backend = 'aot_eager' if name == 'with_cp' else 'eager'  # which fails at recomputed BN in PyTorch 2.15
    step = torch.compile(loss, backend=backend, fullgraph=True)
    value, expected = step(network, x), loss(other, x)
    assert torch.equal(value, expected)
    value.backward()
    expected.backward()
    for p, q in zip(network.parameters(), other.parameters(), strict=True):
        assert (p.grad is None and q.grad is None) or torch.equal(p.grad, q.grad)


@every_network
def test_copies_and_pickles(name):
    network = build(name)
    x = image(name)
    expected = network(x)
    assert_equal(copy.deepcopy(network)(x), expected)
    file = io.BytesIO()
    torch.save(network, file)
    file.seek(0)
    assert_equal(torch.load(file, weights_only=False)(x), expected)


@every_traceable_network
def test_second_derivatives(name):
    network = build(name).double()
    x = image(name).double()[:1].requires_grad_()
    (grad,) = torch.autograd.grad(loss(network, x), x, create_graph=True)
    (second,) = torch.autograd.grad(grad.square().sum(), x)
    assert second.isfinite().all() and second.any()


@pytest.mark.parametrize('name', [name for name in TRACEABLE if name != 'GN'])
def test_mmengines_efficient_conv_bn_eval(name):
    """The config key of that name: where BN uses its statistics in training, it is folded."""
    network = build(name).double()
    network.norm_eval = True
    network.train()
    other = copy.deepcopy(network)
    turn_on_efficient_conv_bn_eval(nn.ModuleDict(dict(backbone=network)), 'backbone')
    called = []
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    for norm in norms:
        norm.register_forward_hook(lambda m, *_: called.append(m))
    x = image(name).double()
    for a, b in zip(feature_maps(network(x)), feature_maps(other(x)), strict=True):
        torch.testing.assert_close(a, b)
    assert norms and not called
    loss(network, x).backward()
    loss(other, x).backward()
    for p, q in zip(network.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(p.grad, q.grad)
