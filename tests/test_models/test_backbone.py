"""What the networks have in common."""

import copy

import pytest
import torch
from benchmark import memory
from helpers import assert_close, image, on_every_device, randomize
from torch import nn

from res2net_mm.checkpoints import CheckpointError, load_pretrained
from res2net_mm.models import BLRes2Net, Res2Layer, Res2Net, Res2NetDLA, Res2NeXtCIFAR

SMALL = dict(base_channels=16, scales=3, base_width=8)
NETWORKS = {  # class: arguments, names of the stem, names of the stages
    Res2Net: (
        dict(depth=(2, 1, 1, 2), stem_channels=16, deep_stem=True, avg_down=True, with_se=True, **SMALL),
        ('conv1', 'bn1'),
        ('layer1', 'layer2', 'layer3', 'layer4'),
    ),
    Res2NetDLA: (
        dict(depth=(1, 2, 1, 1), **SMALL),
        ('base_layer', 'level0', 'level1'),
        ('level2', 'level3', 'level4', 'level5'),
    ),
    BLRes2Net: (dict(depth=(2, 3, 2, 2), **SMALL), ('conv1',), ('layer1', 'layer2', 'layer3', 'layer4')),
    Res2NeXtCIFAR: (
        dict(depth=(2, 1, 2), groups=2, with_se=True, **SMALL),
        ('conv1', 'bn1'),
        ('layer1', 'layer2', 'layer3'),
    ),
}
every_network = pytest.mark.parametrize('network', NETWORKS)


def build(network, **arguments):
    return network(**NETWORKS[network][0], **arguments)


@every_network
def test_out_indices(network):
    arguments = dict(zero_init_residual=False)
    every = build(network, **arguments).eval()
    some = build(network, out_indices=(2, 0), **arguments).eval()
    some.load_state_dict(every.state_dict())
    x = image(2, 3, 45, 70)
    outs = every(x)
    assert isinstance(outs, tuple) and len(outs) == len(NETWORKS[network][2])
    for a, b in zip(some(x), (outs[0], outs[2]), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize('size', [(64, 96), (75, 98), (33, 1)])
@pytest.mark.parametrize(
    'network, channels, stride', [(Res2NetDLA, 32, 4), (BLRes2Net, 64, 4), (Res2NeXtCIFAR, 64, 1)]
)
def test_shapes(network, channels, stride, size):
    for i, out in enumerate(build(network)(image(2, 3, *size))):
        assert out.shape == (2, channels * 2**i, *(-(-n // (stride * 2**i)) for n in size))


@on_every_device
@pytest.mark.parametrize('size', [(96, 64), (75, 98)])
@pytest.mark.parametrize(
    'network, depth, first, rates',
    [(Res2NetDLA, (1, 1, 2, 2), 2, [1, 1] + [2] * 6), (BLRes2Net, (2, 3, 2, 3), 1, [1, 1] + [2] * 4)],
)
def test_at_output_stride_16_it_computes_the_same_more_densely(network, depth, first, rates, size, device):
    """The strided network's last maps are every second row and column of the dilated one's."""
    arguments = dict(SMALL, depth=depth)
    strided = randomize(network(**arguments))
    dilated = network(**arguments, strides=(first, 2, 2, 1), dilations=(1, 1, 1, 2)).eval()
    dilated.load_state_dict(strided.state_dict(), strict=True)
    x = image(2, 3, *size).to(device)
    with torch.no_grad():
        outs, expected = dilated.to(device)(x), strided.to(device)(x)
    assert outs[3].shape[2:] == outs[2].shape[2:] == expected[2].shape[2:]
    assert_close(outs[2], expected[2], exact=True)
    assert_close(outs[3][:, :, ::2, ::2], expected[3])
    last = getattr(dilated, NETWORKS[network][2][-1])
    assert [m.dilation[0] for m in last.modules() if getattr(m, 'kernel_size', 0) == (3, 3)] == rates


@every_network
def test_bad_stages_are_named(network):
    last = len(NETWORKS[network][2])
    for arguments, message in (
        (dict(out_indices=(last,)), rf'out_indices=\({last},\) must name stages from 0 to {last - 1}'),
        (dict(out_indices=()), r'out_indices=\(\)'),
        (dict(frozen_stages=last + 1), f'frozen_stages={last + 1} is not from -1 to {last}'),
        (dict(frozen_stages=-2), 'frozen_stages=-2'),
    ):
        with torch.device('meta'), pytest.raises(ValueError, match=message):
            build(network, **arguments)


@on_every_device
@every_network
@pytest.mark.parametrize('frozen_stages', [-1, 0, 1, 3])
def test_frozen_stages_neither_learn_nor_update_statistics(network, frozen_stages, device):
    _, stem, stages = NETWORKS[network]
    model = build(network, frozen_stages=frozen_stages, zero_init_residual=False)
    model.init_weights()
    model.to(device).train()
    before = copy.deepcopy(model.state_dict())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    out = sum(out.square().mean() for out in model(image(2, 3, 64, 64).to(device)))
    if out.requires_grad:
        out.backward()
        optimizer.step()
    learning = stages[max(frozen_stages, 0) :] + (stem if frozen_stages < 0 else ())
    changed = {k.split('.')[0] for k, v in model.state_dict().items() if not torch.equal(v, before[k])}
    assert changed == set(learning)


@on_every_device
@every_network
def test_norm_eval_keeps_statistics_but_learns(network, device):
    model = build(network, norm_eval=True).to(device).train()
    assert model.training
    before = copy.deepcopy(model.state_dict())
    sum(out.mean() for out in model(image(2, 3, 64, 64).to(device))).backward()
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert all(m.weight.grad is not None for m in model.modules() if isinstance(m, nn.BatchNorm2d))


@on_every_device
@every_network
def test_every_parameter_learns(network, device):
    model = build(network, zero_init_residual=False)
    model.init_weights()
    model.to(device)
    sum(out.square().mean() for out in model(image(2, 3, 64, 64).to(device))).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


@on_every_device
@every_network
def test_checkpointing_gives_equal_outputs_and_gradients_and_keeps_less(network, device):
    plain = build(network, zero_init_residual=False)
    plain.init_weights()
    recomputing = build(network, with_cp=True)
    recomputing.load_state_dict(plain.state_dict())

    def run(model):
        model.to(device, torch.float64)  # in which no ReLU's argument changes its sign
        x = image(2, 3, 64, 64).to(device, torch.float64).requires_grad_()
        model(x)  # a GPU's libraries allocate for themselves at their first use
        _, kept = memory(lambda: model(x), device)
        model.load_state_dict(plain.state_dict())
        outs = model(x)
        sum(out.square().mean() for out in outs).backward()
        return kept, [*outs, x.grad, *(p.grad for p in model.parameters())]

    (kept, expected), (kept_recomputing, results) = run(plain), run(recomputing)
    assert_close(results, expected)
    assert kept_recomputing < 0.8 * kept


@every_network
def test_zero_init_residual(network):
    model = build(network)
    model.init_weights()
    last = [m for name, m in model.named_modules() if name.endswith('bn3')]
    assert last and not any(m.weight.any() for m in last)
    learning = build(network, zero_init_residual=False)
    learning.init_weights()
    assert all(m.weight.eq(1).all() for m in learning.modules() if isinstance(m, nn.BatchNorm2d))


@every_network
def test_norm_and_input(network):
    norm_cfg = dict(type='GN', num_groups=2)
    model = build(network, norm_cfg=norm_cfg, conv_cfg=dict(type='ConvWS'), in_channels=1)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in model.modules())
    assert len(model(image(1, 1, 64, 64))) == len(NETWORKS[network][2])


@every_network
@pytest.mark.parametrize('prefix', ['', 'module.backbone.'])
def test_a_file_of_the_same_network_loads_whole(network, prefix, tmp_path):
    source = build(network)
    source.init_weights()
    state = {prefix + k: v for k, v in source.state_dict().items()}
    torch.save({'state_dict': {**state, 'head.fc.weight': torch.zeros(10, 256)}}, tmp_path / 'file.pth')
    loaded = build(network, init_cfg=dict(type='Pretrained', checkpoint=str(tmp_path / 'file.pth')))
    loaded.init_weights()
    for name, value in source.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value), name


@every_network
@pytest.mark.parametrize(
    'argument,theirs,ours',
    [('scales', 4, 3), ('base_width', 10, 8), ('base_channels', 32, 16), ('in_channels', 4, 3)],
)
def test_a_file_of_other_arguments_says_what_would_fit(network, argument, theirs, ours, tmp_path):
    arguments = {**NETWORKS[network][0], argument: theirs}
    torch.save(network(**arguments).state_dict(), tmp_path / 'file.pth')
    with pytest.raises(CheckpointError) as error:
        load_pretrained(build(network), tmp_path / 'file.pth')
    message = (
        f'it has {argument}={theirs}, the model has {argument}={ours}. '
        f'To use the file, build the model with {argument}={theirs}.'
    )
    assert message in str(error.value)


@every_network
def test_a_file_of_another_network_is_refused(network, tmp_path):
    for other in NETWORKS.keys() - {network}:
        torch.save(build(other).state_dict(), tmp_path / 'file.pth')
        message = f'it is of a {other.__name__} with .*scales=3.*, not of a {network.__name__}'
        with pytest.raises(CheckpointError, match=message):
            load_pretrained(build(network), tmp_path / 'file.pth')


@every_network
@pytest.mark.parametrize('scope', ['mmengine', 'mmdet', 'mmseg', 'mmpose', 'mmpretrain'])
def test_builds_by_name_in_every_toolbox(network, scope):
    registry = pytest.importorskip(f'{scope}.registry')
    cfg = dict(type=f'res2net_mm.{network.__name__}', **NETWORKS[network][0])
    assert isinstance(registry.MODELS.build(cfg), network)


@pytest.mark.parametrize('network', [Res2Net, Res2Layer, Res2NetDLA, BLRes2Net, Res2NeXtCIFAR])
def test_unknown_arguments_name_the_network_and_the_nearest(network):
    message = rf"{network.__name__} got an unexpected argument 'scale'; did you mean 'scales'\?"
    with pytest.raises(TypeError, match=message):
        network(scale=8)
    with pytest.raises(TypeError, match=f"{network.__name__} got an unexpected argument 'planes'"):
        network(planes=8)
