"""What is computed again in the backward pass instead of kept."""

import copy
from contextlib import nullcontext

import pytest
import torch
from helpers import randomise
from mmdet.models.backbones import Res2Net as MMDetRes2Net

from res2net_mm.benchmark import memory
from res2net_mm.models import BLRes2Net, Res2Layer, Res2Net, Res2NetDLA, Res2NeXtCIFAR, backbone
from res2net_mm.models.recompute import offer, recomputing

SMALL = dict(base_channels=16, scales=3, base_width=8)
NETWORKS = {
    'Res2Net': lambda **kw: Res2Net((1, 2, 1, 1), stem_channels=16, **SMALL, **kw),
    'v1b': lambda **kw: Res2Net((1, 2, 1, 1), stem_channels=16, deep_stem=True, avg_down=True, **SMALL, **kw),
    'DLA': lambda **kw: Res2NetDLA((1, 2, 1, 1), **SMALL, **kw),
    'Big-Little': lambda **kw: BLRes2Net((2, 3, 2, 2), **SMALL, **kw),
    'CIFAR': lambda **kw: Res2NeXtCIFAR((2, 1, 2), groups=2, with_se=True, **SMALL, **kw),
    'frozen': lambda **kw: Res2Net(
        (1, 2, 1, 1), frozen_stages=1, norm_cfg=dict(type='BN', requires_grad=False), **SMALL, **kw
    ),
}


def image(*size):
    return torch.rand(*size, generator=torch.Generator().manual_seed(1))


def step(network, x):
    """A training step: outputs, gradients, and what the running statistics are afterwards."""
    x = x.clone().requires_grad_()
    outs = network(x)
    sum(out.square().mean() for out in outs).backward()
    grads = [p.grad for p in (x, *network.parameters()) if p.grad is not None]
    return [*outs, *grads, *network.buffers()]


@pytest.mark.parametrize('memory_format', [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize('norm_eval', [False, True])
@pytest.mark.parametrize('name', NETWORKS)
def test_steps_are_the_same_to_the_bit(name, norm_eval, memory_format, monkeypatch):
    network = randomise(NETWORKS[name](norm_eval=norm_eval)).to(memory_format=memory_format)
    network.train()
    twin = copy.deepcopy(network)
    x = image(2, 3, 75, 66)
    results = step(network, x)
    monkeypatch.setattr(backbone, 'recomputing', nullcontext)
    for a, b in zip(results, step(twin, x), strict=True):
        assert torch.equal(a, b)


def test_norm_eval_equals_batch_norm_that_is_not_folded(monkeypatch):
    network = randomise(NETWORKS['Res2Net'](norm_eval=True)).double()
    network.train()
    twin = copy.deepcopy(network)
    x = image(2, 3, 75, 66).double()
    results = step(network, x)
    monkeypatch.setattr('res2net_mm.models.conv_norm.can_fold', lambda *_: False)
    for a, b in zip(results, step(twin, x), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-12)


def kept(network, x):
    network.train()
    return memory(lambda: network(x))[1]


@pytest.mark.parametrize(('norm', 'most'), [('learns', 0.8), ('frozen', 0.55)])
def test_keeps_less_than_mmdet(norm, most):
    arguments = dict(norm_eval=norm == 'frozen', norm_cfg=dict(type='BN', requires_grad=norm != 'frozen'))
    ours = Res2Net(50, deep_stem=True, avg_down=True, **arguments)
    theirs = MMDetRes2Net(depth=50, scales=4, base_width=26, **arguments)
    x = image(1, 3, 128, 128)
    assert kept(ours, x) < most * kept(theirs, x)


def test_backward_twice_and_second_derivatives():
    network = NETWORKS['Res2Net']().double()
    network.train()
    x = image(2, 3, 64, 64).double().requires_grad_()
    out = network(x)[-1].square().mean()
    first = torch.autograd.grad(out, x, retain_graph=True)[0]
    assert torch.equal(torch.autograd.grad(out, x, create_graph=True)[0], first)
    (grad,) = torch.autograd.grad(out, x, create_graph=True)
    (second,) = torch.autograd.grad(grad.square().sum(), x)
    twin = copy.deepcopy(network)
    x2 = x.detach().clone().requires_grad_()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backbone, 'recomputing', nullcontext)
        (grad,) = torch.autograd.grad(twin(x2)[-1].square().mean(), x2, create_graph=True)
        (expected,) = torch.autograd.grad(grad.square().sum(), x2)
    torch.testing.assert_close(second, expected)


def test_autocast():
    network = randomise(NETWORKS['Res2Net']())
    network.train()
    twin = copy.deepcopy(network)
    x = image(2, 3, 64, 64)
    with torch.autocast('cpu', torch.bfloat16):
        outs = network(x)
    sum(out.float().square().mean() for out in outs).backward()
    with pytest.MonkeyPatch.context() as patch, torch.autocast('cpu', torch.bfloat16):
        patch.setattr(backbone, 'recomputing', nullcontext)
        outs = twin(x)
    sum(out.float().square().mean() for out in outs).backward()
    for a, b in zip(network.parameters(), twin.parameters(), strict=True):
        assert torch.equal(a.grad, b.grad)


def test_a_recipe_is_used_once_for_all_that_wait_for_its_result():
    made = []

    def double(x):
        made.append(1)
        return 2 * x

    x = image(3).requires_grad_()
    with recomputing():
        y = offer(2 * x.exp(), double, x.exp())
        z = y * y.sin()
    z.sum().backward(retain_graph=True)
    assert len(made) == 1
    z.sum().backward()
    assert len(made) == 2
    expected = x.detach().clone().requires_grad_()
    y = 2 * expected.exp()
    (y * y.sin()).sum().backward()
    torch.testing.assert_close(x.grad, 2 * expected.grad)


def test_a_recipe_lives_no_longer_than_its_tensor():
    x = image(1000).requires_grad_()
    with recomputing():
        offer(x * 2, lambda: pytest.fail('the recipe of a tensor that is gone'))
        other = x * 3  # may well lie where the other lay
        out = other * other
    out.sum().backward()
    torch.testing.assert_close(x.grad, 18 * x.detach())


def test_a_stage_alone_recomputes_too():
    head = Res2Layer(**{**SMALL, 'base_channels': 32})
    x = image(4, 512, 14, 14)
    with_recipes = kept(head, x)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('res2net_mm.models.res2net.recomputing', nullcontext)
        assert with_recipes < 0.9 * kept(head, x)


def test_nothing_changes_where_nothing_is_kept():
    with torch.no_grad(), recomputing():
        x = image(3)
        assert offer(x, None) is x
