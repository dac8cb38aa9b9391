"""What hooks do to a model before it is trained or tested."""

import types

import pytest
import torch
from helpers import assert_close, on_every_device
from networks import NETWORKS
from torch import nn

from res2net_mm.engine import ChannelsLastHook, CompileHook, CudaGraphHook, FuseHook
from res2net_mm.errors import UserError


@pytest.fixture
def runner():
    """What the hooks see of mmengine's Runner."""
    model = nn.ModuleDict(dict(backbone=NETWORKS['Res2Net'](), neck=nn.Conv2d(64, 8, 3)))
    return types.SimpleNamespace(model=model)


@pytest.mark.parametrize('hook, option', [
    (ChannelsLastHook(), '--channels-last'), (CompileHook(), '--compile'), (CudaGraphHook(), '--cuda-graph'),
    (FuseHook(half=True), '--half'), (FuseHook(cuda_graph=True), '--cuda-graph'),
])  # fmt: skip
def test_what_is_for_other_networks_is_refused(hook, option):
    runner = types.SimpleNamespace(model=nn.ModuleDict(dict(backbone=nn.Conv2d(3, 8, 3))), hooks=[])
    start = getattr(hook, 'before_test' if isinstance(hook, FuseHook) else 'before_train')
    with pytest.raises(UserError, match=f'^{option} is for this package.s networks, of which the model has'):
        start(runner)
    assert not getattr(hook, 'fused', False) and getattr(hook, 'dtype', torch.float32) is torch.float32


def test_a_network_that_cannot_be_fused_has_no_half(runner):
    class Doubled(type(runner.model['backbone'])):
        def forward(self, x):
            return super().forward(2 * x)

    runner.model['backbone'].__class__ = Doubled
    runner.hooks = []
    hook = FuseHook(half=True)
    with pytest.warns(UserWarning, match='Doubled has a forward of its own'):
        with pytest.raises(UserError, match='--half is for .* of which the model has none that can be fused'):
            hook.before_test(runner)
    assert not hook.fused and hook.dtype is torch.float32


@pytest.mark.parametrize('has_network', [True, False])
def test_what_a_test_records_of_fusing(runner, has_network):
    runner.hooks = []
    if not has_network:
        del runner.model['backbone']
    hook = FuseHook(half=has_network)
    hook.before_test(runner)
    assert (hook.fused, hook.dtype is torch.float32) == (has_network, not has_network)


@on_every_device
def test_channels_last_inside_channels_first_outside(runner, device):
    dtype = torch.float64 if device == 'cpu' else torch.float32  # cuDNN has no channels last for the other
    x = torch.rand(2, 3, 64, 64).to(device, dtype)
    expected = runner.model.to(device, dtype).eval()['backbone'](x)
    ChannelsLastHook().before_train(runner)
    network, neck = runner.model['backbone'], runner.model['neck']
    assert network.conv1.weight.is_contiguous(memory_format=torch.channels_last)
    assert neck.weight.is_contiguous()
    inside = []
    network.layer1.register_forward_hook(lambda module, args, out: inside.append(out))
    outs = network(x)
    assert all(out.is_contiguous() for out in outs)
    assert_close(outs, expected)
    assert inside[0].is_contiguous(memory_format=torch.channels_last) and not inside[0].is_contiguous()


def test_networks_are_compiled_and_nothing_else(runner, monkeypatch):
    compiled = []
    monkeypatch.setattr(nn.Module, 'compile', lambda module: compiled.append(module))
    CompileHook().before_train(runner)
    assert compiled == [runner.model['backbone']]


def test_networks_are_compiled_for_their_training_alone(runner, monkeypatch):
    network, x, calls = runner.model['backbone'], torch.rand(2, 3, 64, 64), []
    own = network._call_impl

    def compile(module):
        module._compiled_call_impl = lambda *args: calls.append(args) or own(*args)

    monkeypatch.setattr(nn.Module, 'compile', compile)
    CompileHook().before_train(runner)
    assert network.train()(x)[0].requires_grad and len(calls) == 1
    assert network.eval()(x)[0].requires_grad and len(calls) == 1
