"""Wrong arguments, all kinds for all networks, and networks drawn at random: named, or they work."""

import copy
import inspect
import math
import random

import numpy as np
import pytest
import torch
from helpers import GPU, on_every_device, randomize
from mmengine.config import ConfigDict
from mmengine.model.weight_init import PretrainedInit
from networks import NETWORKS as SMALL_NETWORKS
from torch import nn

from res2net_mm.fused import fuse
from res2net_mm.models import BLRes2Net, Bottle2neck, DSSHead, Res2Layer, Res2Net, Res2NetDLA, Res2NeXtCIFAR
from res2net_mm.models.bottle2neck import BLOCK_ARGUMENTS

SMALL = dict(base_channels=16, scales=3, base_width=8)
NETWORKS = {
    Res2Net: dict(depth=(2, 1, 1, 3), stem_channels=16, **SMALL),
    Res2NeXtCIFAR: dict(depth=(2, 1, 2), groups=2, **SMALL),
    Res2NetDLA: dict(depth=(1, 2, 1, 1), **SMALL),
    BLRes2Net: dict(depth=(2, 3, 2, 2), **SMALL),
    Res2Layer: dict(depth=(2, 1, 1, 3), **SMALL),
    DSSHead: dict(in_channels=(4, 8, 8, 8, 8), channels=(4, 4, 4, 4, 4)),
    Bottle2neck: dict(in_channels=64, planes=16, **SMALL),
}
BACKBONES = [network for network in NETWORKS if network not in (DSSHead, Bottle2neck)]
every_backbone = pytest.mark.parametrize('network', BACKBONES)
VALUES = [
    None, 'x', '', b'x', 'caffe', 2.5, 4.0, 1j, -1, 0, 2**31, 10**30, math.nan, math.inf, -math.inf, True,
    False, (), [], (1,), (1,) * 9, [1, 2, 2, 2], range(4), {1, 2}, object(), ((1,),) * 4, ('1',) * 4,
    (0,) * 4, (-1,) * 4, (2.5,) * 4, (None,) * 4, (True,) * 4, (math.nan,) * 4, (10**30,) * 4, [None], ['x'],
    {}, {'x': 1}, {'type': None}, {'type': 'x'}, {'type': 5}, [{'type': 'Pretrained'}],
    {'type': 'Pretrained'}, {'type': 'Pretrained', 'checkpoint': 5}, {'type': 'BN', 'num_features': 'x'},
    {'type': 'GN', 'num_groups': 7}, {'type': 'DCNv2', 'deform_groups': 0},
    [{}], [{'type': 'x'}], [{'x': 1}], [{'position': 'after_conv2'}], [{'cfg': 5, 'position': 'after_conv2'}],
    [{'cfg': {}, 'position': 'after_conv2'}], [{'cfg': {'type': 'x'}, 'position': 'after_conv2'}],
    [{'cfg': {'type': 'ContextBlock', 'ratio': 0}, 'position': 'after_conv2'}], [{'cfg': {'type': 'x'}}],
    np.int64(2), np.float64(2.5), np.bool_(True), np.array([1, 2, 2, 2]), torch.tensor(2),
]  # fmt: skip


def arguments(network):
    own = inspect.signature(network).parameters.keys()
    return sorted(own - {'block'} | {*BLOCK_ARGUMENTS, 'pretrained'}) if 'block' in own else own


CASES = [(network, name, value) for network in NETWORKS for name in arguments(network) for value in VALUES]


def run(network):
    """Initialize a network and compute something small."""
    network.init_weights()
    network.eval()
    convs = [m.in_channels for m in network.modules() if isinstance(m, nn.Conv2d)]
    with torch.no_grad():
        if isinstance(network, DSSHead):
            return network([torch.rand(1, c, s, s) for c, s in zip((4, 8, 8, 8, 8), (32, 16, 8, 4, 2))])
        x = torch.rand(1, convs[0], 7, 9)
        return network(x, torch.zeros(1)) if isinstance(network, Bottle2neck) else network(x)


def check(cases):
    works = 0
    for network, name, value in cases:
        case = f'{network.__name__}({name}={value!r})'
        try:
            built = network(**{**NETWORKS[network], name: value})
        except (TypeError, ValueError) as error:
            start, _, message = str(error).partition(': ')
            # Or what it doesn't go with: channels, or the number of stages.
            named = any(word in message for word in (name.rstrip('s'), 'num_groups', 'stage'))
            assert start == network.__name__ and named, f'{case}: {error}'
        except Exception as error:
            raise AssertionError(case) from error
        else:
            try:
                run(built)
            except Exception as error:
                raise AssertionError(f'{case} was built') from error
            works += 1
    return works


def test_each_wrong_argument_is_named_or_works():
    assert 10 < check(random.Random(0).sample(CASES, 800)) < 80


@pytest.mark.slow
def test_each_of_all_wrong_arguments_is_named_or_works():
    assert 200 < check(CASES) < 400


WEIGHTS = dict(type='Pretrained', checkpoint='x.pth')


@every_backbone
@pytest.mark.parametrize(
    'given, message',
    [
        (dict(scales=2.5), r'scales=2.5 must be a whole number from 1 to 65536, such as 4'),
        (dict(scales=True), 'scales=True must be a whole number'),
        (dict(base_width=-4), 'base_width=-4 must be'),
        (dict(groups=10**30), 'groups=10{30} must be'),
        (dict(with_se='False'), "with_se='False' must be True or False, such as False"),
        (dict(depth=(1, True, 1, 1)), r'depth=\(1, True, 1, 1\) must be'),
        (dict(depth=(1, 1, 1, 2.0)), r'depth=\(1, 1, 1, 2.0\) must be'),
        (dict(norm_cfg='BN'), r"norm_cfg='BN' must be a dict or None, such as dict\(type='BN'\)"),
        (dict(norm_cfg=dict(num_groups=2)), 'norm_cfg={.num_groups.: 2}: .*must contain the key "type"'),
        (dict(conv_cfg=dict(type='Conf')), 'conv_cfg={.type.: .Conf.}: .*in registry'),
        (dict(plugins=[dict(position='after_conv1')]), "a plugin's cfg=None must be a dict"),
        (dict(init_cfg='x.pth'), r"init_cfg='x.pth' must be a dict .*such as dict\(type='Pretrained', check"),
        (dict(init_cfg=dict(type='Pretrained')), r"has no checkpoint; take dict\(type='Pretrained', check"),
        (dict(init_cfg=[dict(type=PretrainedInit)]), 'has no checkpoint'),
        (dict(init_cfg=dict(type='Pretrained', checkpoint=5)), 'has no checkpoint'),
        (dict(init_cfg=WEIGHTS | dict(prefx='a')), "init_cfg has no 'prefx'; did you mean 'prefix'"),
        (dict(init_cfg=WEIGHTS | dict(module='a')), "init_cfg has no 'module'"),
        (dict(init_cfg=WEIGHTS | dict(partial='yes')), "init_cfg.partial='yes' must be True or False"),
        (dict(init_cfg=WEIGHTS | dict(input_conv=3)), 'init_cfg.input_conv=3 must be a string or None'),
        (dict(init_cfg=dict(type='Kaimng')), 'init_cfg={.type.: .Kaimng.}: .*Kaimng is not in'),
        (dict(init_cfg=dict(type='Kaiming', layr='Conv2d')), "init_cfg=.*argument 'layr'"),
        (
            dict(pretrained='open-mmlab://resnet50_v1c'),
            r"pretrained='open-mmlab://resnet50_v1c' must be None, in model .*; .* init_cfg=dict\(type='Pr",
        ),
    ],
)
def test_what_an_argument_must_be(network, given, message):
    with torch.device('meta'), pytest.raises(ValueError, match=f'^{network.__name__}: .*{message}'):
        network(**given)


def test_the_head_s_threshold():
    for value in (-0.1, 1.1, math.nan, '0.5', True):
        with pytest.raises(ValueError, match='^DSSHead: threshold='):
            DSSHead(**NETWORKS[DSSHead], threshold=value)


@every_backbone
def test_numpy_s_numbers_lists_and_configs_are_taken(network):
    given = {k: np.array(v, np.int64)[()] for k, v in NETWORKS[network].items()}
    given['depth'] = list(given['depth'])
    cfg = ConfigDict(
        given, with_se=np.bool_(True), dcn={}, conv_cfg={}, norm_cfg=dict(type='BN'), init_cfg=[]
    )
    torch.manual_seed(0)
    expected = network(**NETWORKS[network], with_se=True, norm_cfg=dict(type='BN'))
    torch.manual_seed(0)
    ours = network(**cfg, pretrained=None)
    assert repr(ours) == repr(expected)
    outs = []
    for built in (ours, expected):
        torch.manual_seed(0)
        outs.append(run(built))
    torch.testing.assert_close(*outs, rtol=0, atol=0)
    assert all(type(n) is int for n in getattr(ours, 'out_channels', ()) + getattr(ours, 'out_strides', ()))


def test_names_the_class_that_was_built():
    class Mine(Res2Net):
        pass

    with pytest.raises(ValueError, match='^Mine: scales=0 must'):
        Mine(scales=0)
    with pytest.raises(TypeError, match="^Mine: multiple values for argument 'depth'"):
        Mine(50, depth=50)
    with pytest.raises(TypeError, match="^Bottle2neck: missing a required argument: 'planes'"):
        Bottle2neck(64)


# ---- small images and drawn networks ---------------------------------------------------------------


def assert_fused_equals(network, sizes, channels=3, device='cpu'):
    network = randomize(network).to(device)
    fused = fuse(copy.deepcopy(network))
    for size in sizes:
        x = torch.rand(1, channels, *size, generator=torch.Generator().manual_seed(1)).to(device)
        with torch.no_grad():
            outs, expected = fused(x), network(x)
        if torch.is_tensor(outs):
            outs, expected = (outs,), (expected,)
        for i, (a, b) in enumerate(zip(outs, expected, strict=True)):
            assert b.isfinite().all()
            assert (a - b).abs().max() <= 1e-5 * b.abs().max(), size
            if hasattr(network, 'out_strides'):
                assert tuple(b.shape[1:]) == (
                    network.out_channels[i],
                    *(-(-n // network.out_strides[i]) for n in size),
                )


FEW = [(1, 1), (1, 7), (2, 3), (33, 1)]
ALL = [(n, m) for n in range(1, 41) for m in {1, n, 41 - n}]


@pytest.mark.parametrize(
    'sizes,device',
    [
        pytest.param(FEW, 'cpu', id='a few-cpu'),
        pytest.param(FEW, 'cuda', id='a few-cuda', marks=GPU),
        pytest.param(ALL, 'cpu', id='all-cpu', marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize('name', SMALL_NETWORKS)
def test_images_down_to_one_pixel(name, sizes, device):
    assert_fused_equals(SMALL_NETWORKS[name](), sizes, 256 if name == 'one stage' else 3, device)


@on_every_device
@pytest.mark.parametrize('name', SMALL_NETWORKS)
def test_learns_from_two_images_of_one_pixel(name, device):
    network = SMALL_NETWORKS[name]().to(device).train()
    outs = network(torch.rand(2, 256 if name == 'one stage' else 3, 1, 1).to(device))
    sum(out.square().sum() for out in (outs if isinstance(outs, tuple) else (outs,))).backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in network.parameters())


def draw(seed):
    """A network of random arguments, and its inputs' channels."""
    rng = random.Random(seed)

    def some(least, most, length=4):
        return [rng.randint(least, most) for _ in range(length)]

    def flag():
        return rng.random() < 0.5

    network = rng.choice(BACKBONES)
    stages = rng.randint(1, 4)
    base_channels = rng.choice([16, 24])
    given = dict(
        depth=some(1, 2, stages),
        base_channels=base_channels,
        scales=rng.randint(1, 5),
        base_width=rng.choice([4, 8, 13]),
        groups=rng.choice([1, 1, 2, 3]),
        with_se=flag(),
        se_ratio=rng.choice([1, 16, 1000]),
        pool_at_stride_1=flag(),
        with_cp=flag(),
        norm_cfg=rng.choice([None, dict(type='SyncBN'), dict(type='BN', eps=1e-3)]),
    )
    channels = 3
    if network is Res2Layer:
        stage = rng.randrange(stages)
        given |= dict(stage=stage, stride=rng.randint(1, 5), dilation=rng.randint(1, 3), avg_down=flag())
        channels = base_channels * 2 ** (stage + 1) if stage else base_channels
    else:
        given['out_indices'] = range(stages)
    if network in (Res2Net, Res2NetDLA):
        given |= dict(strides=some(1, 4), dilations=some(1, 4))
    if network is Res2Net:
        given |= dict(num_stages=stages, deep_stem=flag(), avg_down=flag(), contract_dilation=flag())
        given |= dict(out_stem=flag(), stem_channels=rng.choice([None, 1, 16]))
    if network is BLRes2Net:
        given |= dict(depth=some(2, 4), strides=[1, *some(1, 4, 3)], dilations=some(1, 4))
        given |= dict(alpha=rng.choice([1, 2]), beta=rng.choice([1, 2, 9]))
    return network(**given), channels, [(1, 1), *(some(1, 40, 2) for _ in range(3))]


@pytest.mark.parametrize('seeds', [range(8), pytest.param(range(8, 220), marks=pytest.mark.slow)])
def test_networks_drawn_at_random(seeds):
    for seed in seeds:
        torch.manual_seed(seed)
        network, channels, sizes = draw(seed)
        assert_fused_equals(network, sizes, channels)
