import pytest
import torch
from helpers import assert_close, on_every_device, randomize
from torch import nn
from torch.nn import functional as F

from res2net_mm.models import Bottle2neck


@on_every_device
@pytest.mark.parametrize('scales', [2, 3, 4, 6, 8])
@pytest.mark.parametrize('first', [False, True])
def test_computes_equation_1(scales, first, device):
    block = randomize(Bottle2neck(256, 64, scales=scales, base_width=12, first=first)).to(device)
    x = torch.rand(2, 256, 9, 11).to(device)

    splits = F.relu(block.bn1(block.conv1(x))).chunk(scales, 1)
    outs = []
    for i in range(scales - 1):
        y = splits[i] if first or i == 0 else splits[i] + outs[-1]
        y = F.conv2d(y, block.convs[i].weight, padding=1)
        outs.append(F.relu(block.bns[i](y)))
    outs.append(F.avg_pool2d(splits[-1], 3, 1, 1) if first else splits[-1])
    expected = F.relu(block.bn3(block.conv3(torch.cat(outs, 1))) + x)

    assert_close(block(x), expected)


@on_every_device
@pytest.mark.parametrize('stride', [1, 2])
def test_scale_1_is_the_plain_bottleneck(stride, device):
    torchvision = pytest.importorskip('torchvision')
    downsample = nn.AvgPool2d(stride)
    plain = randomize(torchvision.models.resnet.Bottleneck(256, 64, stride, downsample))
    block = Bottle2neck(256, 64, scales=1, base_width=64, stride=stride, downsample=downsample).eval()
    weights = {
        k.replace('conv2.', 'convs.0.').replace('bn2.', 'bns.0.'): v for k, v in plain.state_dict().items()
    }
    block.load_state_dict(weights)
    x = torch.rand(2, 256, 8, 8).to(device)
    assert_close(block.to(device)(x), plain.to(device)(x))


def test_last_split_of_a_first_block_is_pooled_at_stride_1_unless_told_otherwise():
    x = torch.rand(1, 256, 8, 8)
    ours = randomize(Bottle2neck(256, 64, first=True))
    mmdets = Bottle2neck(256, 64, first=True, pool_at_stride_1=False).eval()
    mmdets.load_state_dict(ours.state_dict())
    assert mmdets.pool is None and torch.equal(ours.pool(x), F.avg_pool2d(x, 3, 1, padding=1))
    assert not torch.allclose(ours(x), mmdets(x))
    # With a stride there is no choice.
    strided = Bottle2neck(256, 64, first=True, stride=2, pool_at_stride_1=False)
    assert torch.equal(strided.pool(x), F.avg_pool2d(x, 3, 2, padding=1))


def test_expansion_is_what_the_block_has():
    for expansion in (2, 4):
        block = Bottle2neck(128, 64, expansion=expansion, downsample=nn.Conv2d(128, 64 * expansion, 1))
        assert block.expansion == expansion and block.conv3.out_channels == 64 * expansion


def test_cardinality_divides_the_convolutions():
    block = Bottle2neck(256, 64, base_width=4, groups=8)
    assert block.convs[0].weight.shape == (32, 4, 3, 3)
    assert block.conv1.out_channels == 4 * 32


@pytest.mark.parametrize(
    'base_width,planes,width', [(26, 64, 26), (18, 128, 36), (14, 512, 112), (13, 32, 6)]
)
def test_width_is_floored(base_width, planes, width):
    assert Bottle2neck(256, planes, base_width=base_width).width == width
    assert Bottle2neck(256, planes, base_width=base_width, groups=3).width == 3 * width  # of each group


@on_every_device
def test_se_stands_right_before_the_residual_connection(device):
    block = randomize(Bottle2neck(256, 64, with_se=True, se_ratio=8)).to(device)
    seen = {}
    block.bn3.register_forward_hook(lambda module, args, output: seen.update(before=output.clone()))
    x = torch.rand(2, 256, 8, 8).to(device)
    out = block(x)
    gate = block.se.fc2(F.relu(block.se.fc1(seen['before'].mean((2, 3), keepdim=True)))).sigmoid()
    assert block.se.fc1.out_channels == 256 // 8
    assert_close(out, F.relu(seen['before'] * gate + x))


def test_a_position_of_plugins_that_is_none():
    with pytest.raises(ValueError, match='after_conv4'):
        Bottle2neck(256, 64, plugins=[dict(cfg=dict(type='ContextBlock'), position='after_conv4')])


def test_plugins_stand_where_they_are_asked_for():
    plugins = [
        dict(cfg=dict(type='ContextBlock', ratio=0.25, postfix=f'_{i}'), position=f'after_conv{i}')
        for i in (1, 2, 3)
    ]
    block = randomize(Bottle2neck(256, 64, plugins=plugins))
    order = []
    for name, layer in block.named_children():
        layer.register_forward_hook(lambda *_, name=name: order.append(name))
    block(torch.rand(1, 256, 8, 8))
    order = [name for name in order if name != 'relu']
    assert order == [
        'conv1', 'bn1', 'context_block_1', 'context_block_2',
        'conv3', 'bn3', 'context_block_3',
    ]  # fmt: skip
    assert block.context_block_2.in_channels == 4 * 26


def test_two_plugins_of_one_name_are_refused():
    plugin = dict(cfg=dict(type='ContextBlock', ratio=0.25), position='after_conv3')
    with pytest.raises(ValueError, match='postfix'):
        Bottle2neck(256, 64, plugins=[plugin, plugin])
