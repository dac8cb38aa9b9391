"""What hooks do to a model before it is trained or tested."""

import types

import pytest
import torch
from helpers import assert_close, on_every_device
from networks import NETWORKS
from torch import nn

from res2net_mm.engine import ChannelsLastHook, CompileHook


@pytest.fixture
def runner():
    """What the hooks see of mmengine's Runner."""
    model = nn.ModuleDict(dict(backbone=NETWORKS['Res2Net'](), neck=nn.Conv2d(64, 8, 3)))
    return types.SimpleNamespace(model=model)


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
