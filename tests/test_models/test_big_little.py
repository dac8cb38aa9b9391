import pytest
import torch
from helpers import assert_close, image, on_every_device, randomize
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from res2net_mm.models import BLRes2Net, Bottle2neck

PLAIN = dict(scales=1, base_width=64)  # bL-ResNet
TINY = dict(depth=(2, 3, 2, 1), base_channels=16, scales=3, base_width=8)


def on_meta(**arguments):
    with torch.device('meta'):
        return BLRes2Net(**arguments)


def parameters(network, classes=1000):
    return sum(p.numel() for p in network.parameters()) + classes * (2048 + 1)


def test_size_and_cost_of_bl_resnet50_are_the_published_ones():
    network = on_meta(**PLAIN).eval()
    assert parameters(network) == 26_694_568  # Chen et al.: 26.69 M
    with FlopCounterMode(display=False) as counter, torch.device('meta'):
        network(torch.empty(1, 3, 224, 224))
    assert counter.get_total_flops() / 2e9 == pytest.approx(2.85, abs=0.01)


def test_size_of_blres2net50():
    assert parameters(on_meta()) == 26_845_561


def test_alpha_divides_the_little_branch_s_planes_and_beta_its_depth():
    def little(**arguments):
        branch = on_meta(**PLAIN, **arguments).layer3[1].little
        return len(branch) - 1, branch[0].convs[0].out_channels, branch[-1].conv.weight.shape[:2]

    assert little() == (1, 128, (1024, 512))
    assert little(alpha=4) == (1, 64, (1024, 256))
    assert little(alpha=1) == (1, 256, (1024, 1024))
    assert little(beta=2) == (2, 128, (1024, 512))
    assert little(beta=1) == (5, 128, (1024, 512))


def test_stages_hold_the_blocks_of_their_resolution():
    network = on_meta()
    blocks = [3, 4, 6]
    modules = [network.layer1[0], network.layer2[1], network.layer3[1]]
    assert [len(module.big) + 1 for module in modules] == blocks
    strides = [network.layer2[0], network.layer3[0], network.layer3[2]]
    assert [block.convs[0].stride[0] for block in strides] == [2, 2, 1]
    assert [len(stage) for stage in (network.layer1, network.layer2, network.layer3, network.layer4)] == [
        1, 2, 3, 3,
    ]  # fmt: skip


@on_every_device
def test_the_branches_are_added_before_the_relu(device):
    module = randomize(BLRes2Net(**TINY)).layer2[1].to(device)
    x = image(2, 64, 9, 11).to(device) - 0.5
    big, little = module.big(x), module.little(x)
    assert big.shape == (2, 128, 5, 6) and little.shape == (2, 128, 9, 11)
    assert big.min() < 0 and little.min() < 0
    rows, columns = torch.arange(9) * 5 // 9, torch.arange(11) * 6 // 11  # nearest
    assert_close(module(x), F.relu(little + big[:, :, rows][:, :, :, columns]))


def test_at_output_stride_8():
    network = randomize(BLRes2Net(**TINY, strides=(1, 2, 1, 1), dilations=(1, 1, 2, 4)))
    outs = network(image(2, 3, 75, 98))
    assert [tuple(out.shape[2:]) for out in outs] == [(19, 25), (10, 13), (10, 13), (10, 13)]
    little, big = network.layer3[1].little, network.layer3[1].big
    assert little[0].convs[0].dilation == big[0].convs[0].dilation == (2, 2)
    stages = network.layer3, network.layer4  # where a stride was, the dilation is that of before it
    assert [stage[0].convs[0].dilation for stage in stages] == [(1, 1), (2, 2)]


def test_only_blocks_with_a_stride_begin_a_stage():
    blocks = [block for block in on_meta().modules() if isinstance(block, Bottle2neck)]
    assert sum(block.is_first for block in blocks) == 6  # three big branches, three stages behind them
    assert all(block.is_first == (block.convs[0].stride == (2, 2)) for block in blocks)
    assert all(block.is_first == (block.pool is not None) for block in blocks)


@pytest.mark.parametrize(
    'arguments,message',
    [
        (dict(depth=18), 'depth=18'),
        (dict(depth=(3, 4, 6)), r'depth=\(3, 4, 6\) must be four stages'),
        (dict(depth=(3, 1, 6, 3)), r'depth=\(3, 1, 6, 3\).*at least 2'),
        (dict(alpha=3), 'alpha=3 does not divide base_channels=64'),
        (dict(strides=(1, 2, 2)), r'strides has 3 entries: \(1, 2, 2\)'),
        (dict(strides=(2, 2, 2, 2)), r'strides=\(2, 2, 2, 2\): the first must be 1'),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with torch.device('meta'), pytest.raises(ValueError, match=message):
        BLRes2Net(**arguments)
