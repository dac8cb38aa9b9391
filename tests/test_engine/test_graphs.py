"""Training by CUDA graphs against training without: on a GPU, and on a CPU by a stand-in for graphs."""

import copy
import gc
import types
from contextlib import nullcontext
from dataclasses import dataclass

import pytest
import torch
from helpers import COMPILED_OPS, GPU, each_on_a_cpu, on_every_device, smooth
from networks import NETWORKS
from torch import Tensor, nn

from res2net_mm.engine import ChannelsLastHook, CompileHook, CudaGraphHook, graphs
from res2net_mm.engine.graphs import Pair
from res2net_mm.fused import cuda

on_a_gpu = pytest.mark.parametrize('device', [pytest.param('cuda', marks=GPU)])
NOT_CAPTURED = [] if COMPILED_OPS else ['DCN']  # torchvision's kernel runs on another stream


class OnAGpu(Tensor):
    """Images on a CPU that say they are on a GPU."""

    is_cuda = True


def learning(network: nn.Module) -> list[nn.Parameter]:
    return [p for p in network.parameters() if p.requires_grad]


def stand_in(network: nn.Module, call, x: Tensor, *_) -> Pair:
    """A pair of what a CPU has for graphs: functions that write where the graphs would."""
    images, live = x.as_subclass(Tensor).clone(), []
    parameters = learning(network)
    kept = [buffer.clone() for buffer in network.buffers()]
    outs = call(images)
    for buffer, before in zip(network.buffers(), kept):
        buffer.data.copy_(before)
    is_tuple = isinstance(outs, tuple)
    outs = outs if is_tuple else [outs]
    learned = [out.requires_grad for out in outs]
    static = [out.detach() * torch.nan for out in outs]
    out_grads = [out for out, learns in zip(static, learned) if learns]
    out_grads, grads = ([tensor.detach() * torch.nan for tensor in of] for of in (out_grads, parameters))

    def forward():
        with torch.enable_grad():
            new = call(images)
        live[:] = new if is_tuple else [new]
        for out, value in zip(static, live):
            out.copy_(value.detach())

    def backward():
        new = torch.autograd.grad([out for out in live if out.requires_grad], parameters, out_grads)
        for grad, value in zip(grads, new):
            grad.copy_(value)

    forward, backward = (types.SimpleNamespace(replay=function) for function in (forward, backward))
    return Pair(images, forward, static, learned, out_grads, backward, grads, is_tuple)


@dataclass
class Counter:
    """A hook that can't be hashed."""

    seen: list

    def __call__(self, *args):
        self.seen.append(1)


@pytest.fixture
def captured(monkeypatch, device):
    """The shapes of images that were captured, on a CPU by the stand-in; None where one could not be."""
    shapes, own = [], graphs.capture
    if device == 'cpu':
        own = stand_in
        monkeypatch.setattr(torch.cuda, 'current_stream', lambda device: None)
        monkeypatch.setattr(torch.cuda, 'synchronize', lambda device: None)
        monkeypatch.setattr(torch.cuda, 'graph_pool_handle', lambda: None)
        monkeypatch.setattr(torch.cuda, 'Stream', lambda device: None)

    def capture(network, call, x, *where):
        pair = own(network, call, x, *where)
        shapes.append(tuple(x.shape) if pair else None)
        return pair

    monkeypatch.setattr(graphs, 'capture', capture)
    return shapes


def image(device: str, size: int = 64, n: int = 2, channels: int = 3) -> Tensor:
    x = torch.rand(n, channels, size, size, generator=torch.Generator().manual_seed(size)).to(device)
    return x if x.is_cuda else x.as_subclass(OnAGpu)


def pair_of(name: str, device: str) -> tuple[nn.Module, nn.Module]:
    """A network by graphs, and the same without."""
    torch.manual_seed(0)
    network = NETWORKS[name]().to(device).train()
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d) and layer.weight.detach().abs().max() == 0:
            nn.init.constant_(layer.weight, 0.5)  # else half of the gradients are zero
    eager = copy.deepcopy(network)
    CudaGraphHook().before_train(types.SimpleNamespace(model=network))
    return network, eager


def loss_of(outs: Tensor | tuple[Tensor, ...]) -> Tensor:
    outs = outs if isinstance(outs, tuple) else [outs]
    return sum((out.as_subclass(Tensor).float() ** 2).mean() * (i + 1) for i, out in enumerate(outs))


def compare(network: nn.Module, eager: nn.Module, to: float = 1e-3) -> None:
    """Compare gradients and statistics, by the largest value of each tensor."""
    pairs = [(a.grad, b.grad) for a, b in zip(network.parameters(), eager.parameters())]
    pairs += [*zip(network.buffers(), eager.buffers())]
    for a, b in pairs:
        assert (a is None) == (b is None)
        if a is not None:
            torch.testing.assert_close(a, b, rtol=0, atol=to * max(1e-3, float(b.abs().max())))


def is_by_graphs(loss: Tensor) -> bool:
    """Whether a loss has its backward from a graph."""
    nodes, seen = [loss.grad_fn], set()
    while nodes:
        node = nodes.pop()
        if node is not None and node not in seen:
            seen.add(node)
            nodes += [following for following, _ in node.next_functions]
    return any('_Replay' in node.name() for node in seen)


@pytest.mark.parametrize('amp', [False, True])
@pytest.mark.parametrize('name', NETWORKS)
@on_every_device
def test_trains_as_without(name, amp, device, captured):
    if device == 'cpu' and (amp or name in NOT_CAPTURED):
        pytest.skip('the stand-in knows no autocast, and captures all')
    network, eager = pair_of(name, device)
    size, channels = (8, 256) if name == 'one stage' else (64, 3)
    a, b = image(device, size, 2, channels), image(device, 2 * size, 1, channels)
    expected = pytest.warns(match='could not be captured') if name in NOT_CAPTURED else nullcontext()
    with expected:
        for i, x in enumerate((a, a, b, a, b, a)):
            eager.load_state_dict(network.state_dict())
            by_graphs = step(network, x, amp)
            step(eager, x, amp)
            compare(network, eager, 5e-2 if amp else 1e-3)
            assert by_graphs == (name not in NOT_CAPTURED and i not in (0, 2))
            with torch.no_grad():
                for p in network.parameters():
                    p -= 0.01 * p.grad
    assert captured == ([None] if name in NOT_CAPTURED else [a.shape, b.shape])


def step(network: nn.Module, x: Tensor, amp: bool = False) -> bool:
    """Compute new gradients; return whether graphs did."""
    network.zero_grad()
    with torch.autocast('cuda', torch.bfloat16, enabled=amp):
        loss = loss_of(network(x))
    loss.backward()
    return is_by_graphs(loss)


def warm(network: nn.Module, *images: Tensor) -> None:
    """Have the graphs of some images captured, and replayed once."""
    for x in images:
        assert not step(network, x)
        assert step(network, x)


def warm_pair(device: str, *images: Tensor) -> tuple[nn.Module, nn.Module]:
    """A network whose graphs are captured, and the same without."""
    network, eager = pair_of('Res2Net', device)
    warm(network, *images)
    eager.load_state_dict(network.state_dict())
    return network, eager


@pytest.fixture
def no_cuda(monkeypatch):
    """CUDA's calls that do nothing: what is captured runs once."""
    stream = types.SimpleNamespace(wait_stream=lambda other: None)
    monkeypatch.setattr(graphs, 'capturing', nullcontext)
    monkeypatch.setattr(torch.cuda, 'current_stream', lambda device: stream)
    monkeypatch.setattr(torch.cuda, 'stream', nullcontext)
    monkeypatch.setattr(torch.cuda, 'graph', lambda graph, **_: nullcontext())
    monkeypatch.setattr(torch.cuda, 'CUDAGraph', object)
    return stream


@pytest.mark.parametrize('collects', [True, False])
def test_the_stream_and_the_collector_of_garbage_come_back_after_a_failure(collects, monkeypatch):
    current = ['the stream']
    monkeypatch.setattr(torch.cuda, 'device', nullcontext)
    monkeypatch.setattr(torch.cuda, 'current_stream', lambda: current[-1])
    monkeypatch.setattr(torch.cuda, 'set_stream', current.append)
    (gc.enable if collects else gc.disable)()
    try:
        with pytest.raises(RuntimeError, match='no capture'), cuda.capturing('cuda:0'):
            assert not gc.isenabled()
            current.append('another one')
            raise RuntimeError('no capture')
        assert current[-1] == 'the stream' and gc.isenabled() == collects
    finally:
        gc.enable()


def test_capturing_leaves_the_network_as_it_is(no_cuda):
    network, eager = pair_of('Res2Net', 'cpu')
    network._compiled_call_impl = None
    x = image('cpu').as_subclass(Tensor)
    for net in (network, eager):
        step(net, x)
        net.frozen_stages = 1
        net.train()
    loss = loss_of(network(x))
    loss_of(eager(x)).backward()
    pair = graphs.capture(network, network._call_impl, x, None, no_cuda)
    loss.backward()  # another forward's: what it saved is as it was
    compare(network, eager, 0)
    assert pair.learned == [False, True, True, True] and pair.is_tuple and not pair.outs[1].requires_grad
    torch.testing.assert_close([*pair.outs], [*eager(x)])
    for p, grad in zip(learning(network), pair.grads, strict=True):
        assert grad.shape == p.shape and not grad.any()  # of output gradients that are zero


def test_what_cannot_be_captured_is_left_as_it_is(no_cuda):
    network, eager = pair_of('Res2Net', 'cpu')
    calls = []

    def call(x):
        calls.append(x)
        if len(calls) == 4:
            raise RuntimeError('not while capturing')
        return network._call_impl(x)

    with pytest.warns(
        match=r'Res2Net trains without CUDA graphs, from images of \(2, 3, 64, 64\).*not while capturing'
    ):
        assert graphs.capture(network, call, image('cpu').as_subclass(Tensor), None, no_cuda) is None
    compare(network, eager, 0)


@on_every_device
def test_gradients_are_accumulated(device, captured):
    a, b = image(device), image(device, 96)
    network, eager = warm_pair(device, a, b)
    for net in (network, eager):
        net.zero_grad()
        for x in (a, b, a):
            loss = loss_of(net(x))
            loss.backward()
        assert is_by_graphs(loss) == (net is network)
    compare(network, eager)


@on_every_device
def test_two_forwards_before_the_backward(device, captured):
    a, b = image(device), image(device, 96)
    network, eager = warm_pair(device, a, b)
    for net in (network, eager):
        net.zero_grad()
        losses = [loss_of(net(x)) for x in (a, a, b)]
        sum(losses).backward()
        assert [is_by_graphs(loss) for loss in losses] == [net is network, False, False]
    compare(network, eager)
    assert step(network, a)


@on_every_device
def test_a_forward_without_a_backward_is_forgotten(device, captured):
    x = image(device)
    network, _ = warm_pair(device, x)
    outs = network(x)
    assert not step(network, x)  # a backward may come
    del outs
    assert step(network, x)
    with torch.no_grad():
        assert not network(x)[0].requires_grad


@on_every_device
def test_one_backward_a_forward(device, captured):
    x = image(device)
    network, _ = warm_pair(device, x)
    loss = loss_of(network(x))
    loss.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match='one backward a forward'):
        loss.backward()


@on_every_device
def test_weights_do_not_change_before_the_backward(device, captured):
    x = image(device)
    network, _ = warm_pair(device, x)
    loss = loss_of(network(x))
    with torch.no_grad():
        network.layer2[0].conv1.weight.mul_(2)
    with pytest.raises(RuntimeError, match='modified by an inplace operation'):
        loss.backward()
    assert step(network, x)


@on_every_device
def test_outputs_and_gradients_are_kept(device, captured):
    a = image(device)
    network, _ = warm_pair(device, a)
    loss = loss_of(outs := network(a))
    network.zero_grad()
    loss.backward()
    kept = [*outs, *(p.grad for p in network.parameters())]
    before = [tensor.detach().clone() for tensor in kept]
    with torch.no_grad():
        for p in network.parameters():
            p.mul_(1.01)
    assert step(network, a)
    for tensor, value in zip(kept, before):
        torch.testing.assert_close(tensor.detach(), value, rtol=0, atol=0)


@on_every_device
def test_outputs_without_a_gradient(device, captured):
    x = image(device)
    network, eager = warm_pair(device, x)
    for net in (network, eager):
        net.zero_grad()
        loss_of(net(x)[1]).backward()
    for (name, p), q in zip(network.named_parameters(), eager.parameters()):
        if name.startswith(('layer3', 'layer4')):  # a graph computes these all the same, from zeros
            assert q.grad is None and not p.grad.any()
        else:
            assert p.grad.any()
    assert is_by_graphs(loss_of(network(x)))


@on_every_device
def test_what_a_graph_cannot_do_runs_as_before(device, captured):
    x = image(device)
    network, eager = warm_pair(device, x)
    assert is_by_graphs(loss_of(network(x)))
    seen = []
    for hook in (lambda *args: seen.append(1), Counter(seen)):
        handle = network.layer2.register_forward_hook(hook)
        assert not step(network, x) and seen.pop()
        handle.remove()
        assert step(network, x)
    for _ in range(2):
        assert not is_by_graphs(loss_of(network(x[:0])))
    images = x.clone().requires_grad_()
    loss_of(network(images)).backward()
    assert images.grad.any()
    eager.load_state_dict(network.state_dict())
    maps = [net.eval()(x) for net in (network, eager)]
    torch.testing.assert_close(*maps, rtol=1e-4, atol=1e-4)
    network.train()
    for p in network.parameters():
        p.requires_grad_(False)
    assert not network(x)[0].requires_grad
    assert len(captured) == 1


def test_graphs_wait_for_no_other_process():
    network = NETWORKS['Res2Net']()
    assert graphs.stands_alone(list(network.modules()))
    network = nn.SyncBatchNorm.convert_sync_batchnorm(network)
    assert not graphs.stands_alone(list(network.modules()))


@on_every_device
def test_notices_other_weights_and_modes(device, captured):
    x = image(device)
    network, eager = warm_pair(device, x)
    network.layer1[0].conv1.weight.data = network.layer1[0].conv1.weight.data * 2
    warm(network, x)
    for net in (network, eager):
        net.norm_eval = True
        net.train()
    warm(network, x)
    for net in (network, eager):
        net.frozen_stages = 1
        net.train()
    warm(network, x)
    eager.load_state_dict(network.state_dict())
    assert step(network, x)
    step(eager, x)
    compare(network, eager)
    assert [out.requires_grad for out in network(x)] == [False, True, True, True]  # of a frozen stage none
    assert len(captured) == 4


@pytest.mark.parametrize('device', ['cpu'])
def test_autocast_has_graphs_of_its_own(device, captured):
    x = image(device)
    network, _ = warm_pair(device, x)
    torch.set_autocast_enabled('cuda', True)  # torch.autocast refuses where there is no GPU
    try:
        losses = [loss_of(network(x)) for _ in range(2)]
    finally:
        torch.set_autocast_enabled('cuda', False)
    assert [*map(is_by_graphs, losses)] == [False, True]
    assert len(captured) == 2


@on_every_device
def test_captures_are_bounded_in_number(device, captured):
    network, _ = pair_of('Res2Net', device)
    network._compiled_call_impl._left = 3
    x = image(device)
    for _ in range(3):
        for learns in (True, False):
            network.conv1.weight.requires_grad_(learns)
            step(network, x), step(network, x)
    assert len(captured) == 3
    assert not step(network, x)


@on_every_device
def test_shapes_are_bounded_in_number(device, captured):
    network, _ = pair_of('Res2Net', device)
    network._compiled_call_impl.limit = 2
    warm(network, image(device), image(device, 96))
    assert not step(network, image(device, 128)) and not step(network, image(device, 128))
    assert step(network, image(device)) and len(captured) == 2


@on_every_device
def test_a_copy_is_without_graphs(device, captured):
    x = image(device)
    network, _ = warm_pair(device, x)
    again = copy.deepcopy(network)
    assert not step(again, x) and not step(again, x)
    assert step(network, x)


LAST, COMPILED = (ChannelsLastHook,), (CompileHook,)


@each_on_a_cpu('hooks', [LAST], [LAST, COMPILED, LAST + COMPILED])
def test_what_other_hooks_do_is_in_the_graph(hooks, device, captured):
    name, *size = ('one stage', 8, 2, 256) if CompileHook in hooks else ('Res2Net',)  # soon compiled
    network, eager = map(smooth, pair_of(name, device))
    network._compiled_call_impl = None
    for hook in (*hooks, CudaGraphHook):
        hook().before_train(types.SimpleNamespace(model=network))
    x = image(device, *size)
    warm(network, x)
    eager.load_state_dict(network.state_dict())
    assert step(network, x)
    step(eager, x)
    compare(network, eager)
    assert hooks is COMPILED or all(out.is_contiguous() for out in network(x))


@on_a_gpu
def test_gradients_meet_those_of_other_processes(device, captured, tmp_path):
    """They arrive where DistributedDataParallel waits for them."""
    network, eager = pair_of('Res2Net', device)
    torch.distributed.init_process_group('gloo', f'file://{tmp_path}/group', rank=0, world_size=1)
    try:
        wrapped = nn.parallel.DistributedDataParallel(network, broadcast_buffers=False)
        x = image(device)
        warm(wrapped, x)
        eager.load_state_dict(network.state_dict())
        assert step(wrapped, x)
        step(eager, x)
        compare(network, eager)
    finally:
        torch.distributed.destroy_process_group()
