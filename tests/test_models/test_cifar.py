import pytest
import torch
from helpers import assert_close, image, on_every_device, randomize
from torch import nn
from torch.nn import functional as F

from res2net_mm.models import Bottle2neck, Res2NeXtCIFAR

RESNEXT = dict(scales=1, base_width=64)
TABLE_4 = [  # arguments, parameters without a classifier, the table's millions
    (dict(), 24_258_432, 24.3),
    (dict(groups=8, base_width=25), 33_802_736, 33.8),
    (dict(scales=6), 36_698_880, 36.7),
    (dict(groups=8, **RESNEXT), 34_416_448, 34.4),
    (dict(groups=16, **RESNEXT), 68_144_960, 68.1),
]
SE_RATIO_16 = [  # the table: 26.0, 34.0, 36.9 and 35.1 M
    (dict(), 24_780_240),
    (dict(groups=8, base_width=25), 34_324_544),
    (dict(scales=6), 37_220_688),
    (dict(groups=8, **RESNEXT), 34_938_256),
]


def parameters(**arguments):
    with torch.device('meta'):
        return sum(p.numel() for p in Res2NeXtCIFAR(**arguments).parameters())


@pytest.mark.parametrize('arguments,count,millions', TABLE_4)
def test_sizes_are_table_4s(arguments, count, millions):
    assert parameters(**arguments) == count
    assert round(count / 1e6, 1) == millions


@pytest.mark.parametrize('arguments,count', SE_RATIO_16)
def test_sizes_with_se(arguments, count):
    assert parameters(**arguments, with_se=True) == count


@on_every_device
@pytest.mark.parametrize('hierarchical', [False, True])
def test_a_stage_s_first_block_has_a_convolution_on_every_split(hierarchical, device):
    block = randomize(Bottle2neck(256, 64, first=not hierarchical, conv_last_split=True, scales=3))
    block, x = block.to(device), image(2, 256, 7, 9).to(device)
    splits = F.relu(block.bn1(block.conv1(x))).chunk(3, 1)
    outs = []
    for i, (conv, bn) in enumerate(zip(block.convs, block.bns)):
        y = splits[i] + outs[-1] if i and hierarchical else splits[i]
        outs.append(F.relu(bn(conv(y))))
    assert len(outs) == (2 if hierarchical else 3)
    outs.extend(splits[len(outs) :])
    assert_close(block(x), F.relu(block.bn3(block.conv3(torch.cat(outs, 1))) + x))
    assert block.pool is None


@on_every_device
def test_scale_1_is_resnext(device):
    torchvision = pytest.importorskip('torchvision')
    theirs = torchvision.models.ResNet(
        torchvision.models.resnet.Bottleneck, [3, 3, 3, 1], groups=4, width_per_group=16
    )
    theirs.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
    theirs.maxpool = nn.Identity()
    theirs.layer4 = nn.Identity()
    randomize(theirs)
    ours = Res2NeXtCIFAR(scales=1, groups=4, base_width=16).eval()
    ours.load_state_dict(
        {
            k.replace('conv2.', 'convs.0.').replace('bn2.', 'bns.0.'): v
            for k, v in theirs.state_dict().items()
            if not k.startswith('fc.')
        }
    )
    ours, theirs, x = ours.to(device), theirs.to(device), image(2, 3, 16, 16).to(device)
    with torch.no_grad():
        expected = theirs.layer1(theirs.relu(theirs.bn1(theirs.conv1(x))))
        outs = ours(x)
        assert_close(outs[0], expected)
        assert_close(outs[2], theirs.layer3(theirs.layer2(expected)))


@pytest.mark.parametrize('depth,blocks', [(29, 9), (11, 3), (38, 12), ((1, 2), 3)])
def test_depths(depth, blocks):
    with torch.device('meta'):
        network = Res2NeXtCIFAR(depth, out_indices=(0,))
    assert sum(name.endswith('conv3') for name, _ in network.named_modules()) == blocks


def test_widths():
    with torch.device('meta'):
        network = Res2NeXtCIFAR(groups=8, base_width=25)
    widths = [network.get_submodule(f'layer{i}.0').convs[0].weight.shape[:2] for i in (1, 2, 3)]
    assert widths == [(200, 25), (400, 50), (800, 100)]


@pytest.mark.parametrize(
    'arguments,message',
    [
        (dict(depth=30), r'depth=30: .* take 9 \* n \+ 2, such as 20, 29 or 38'),
        (dict(depth=2), 'depth=2: .* take 9'),
        (dict(depth=(3, 0, 3)), r'depth=\(3, 0, 3\)'),
        (dict(depth=()), r'depth=\(\)'),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with torch.device('meta'), pytest.raises(ValueError, match=message):
        Res2NeXtCIFAR(**arguments)
