import pytest
import timm
import torch
from helpers import assert_close, image, on_every_device, randomize

from res2net_mm.checkpoints import CheckpointError, describe, load_pretrained
from res2net_mm.models import Res2Net, Res2NetDLA

NETWORKS = {  # timm's name: our arguments, parameters in the authors' file, with a 1000-way classifier
    'dla60_res2net': (dict(), 21_145_544),
    'dla60_res2next': (dict(base_width=4, groups=8), 17_330_456),
}
every_network = pytest.mark.parametrize('name', NETWORKS)


def as_the_authors_have_it(state_dict):
    """The authors' layout: timm's and, unused, a projection in the trees that hold others."""
    unused = {}
    for tree, c_in, c_out in (('level3', 128, 256), ('level4', 256, 512), ('level4.tree1', 256, 512)):
        unused[f'{tree}.project.0.weight'] = torch.zeros(c_out, c_in, 1, 1)
        for statistic in ('weight', 'bias', 'running_mean', 'running_var'):
            unused[f'{tree}.project.1.{statistic}'] = torch.zeros(c_out)
    return {**state_dict, **unused}


@on_every_device
@every_network
def test_equals_timm_with_the_same_weights(name, device, tmp_path):
    theirs = randomize(timm.create_model(name))
    torch.save(theirs.state_dict(), tmp_path / 'timm.pth')
    init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'timm.pth'))
    ours = Res2NetDLA(**NETWORKS[name][0], init_cfg=init_cfg).eval()
    ours.init_weights()
    assert ours.state_dict().keys() == {k for k in theirs.state_dict() if not k.startswith('fc.')}
    ours, theirs, x = ours.to(device), theirs.to(device), image(2, 3, 96, 64).to(device)
    with torch.no_grad():
        expected = theirs.forward_intermediates(x, [2, 3, 4, 5], intermediates_only=True)
        assert_close(ours(x), expected, exact=True)


@every_network
def test_parameter_counts_are_the_published_ones(name):
    arguments, published = NETWORKS[name]
    with torch.device('meta'):
        network = Res2NetDLA(**arguments)
        classifier = torch.nn.Conv2d(1024, 1000, 1)
        theirs = as_the_authors_have_it(dict(network.named_parameters()))
    used = sum(p.numel() for p in network.parameters()) + sum(p.numel() for p in classifier.parameters())
    unused = sum(v.numel() for k, v in theirs.items() if '.project.' in k and 'running' not in k)
    unused -= sum(p.numel() for k, p in network.named_parameters() if '.project.' in k)
    assert used + unused == published
    assert unused == 297_472


@every_network
def test_the_authors_layout_loads_whole(name, tmp_path):
    source = randomize(timm.create_model(name))
    torch.save(as_the_authors_have_it(source.state_dict()), tmp_path / 'authors.pth')
    loaded = Res2NetDLA(**NETWORKS[name][0])
    load_pretrained(loaded, tmp_path / 'authors.pth')
    for key, value in loaded.state_dict().items():
        assert torch.equal(value, source.state_dict()[key]), key


def test_the_other_network_s_file_says_what_would_fit(tmp_path):
    torch.save(timm.create_model('dla60_res2next').state_dict(), tmp_path / 'file.pth')
    with pytest.raises(CheckpointError, match='build the model with base_width=4, groups=8.'):
        load_pretrained(Res2NetDLA(), tmp_path / 'file.pth')


def test_other_networks_files_are_refused(tmp_path):
    torch.save(timm.create_model('res2net50_26w_4s').state_dict(), tmp_path / 'res2net.pth')
    torch.save(timm.create_model('dla34').state_dict(), tmp_path / 'dla34.pth')
    for name, message in (
        ('res2net', 'it is of a Res2Net with depth=50, scales=4, base_width=26.*, not of a Res2NetDLA'),
        ('dla34', 'it is not of a Res2NetDLA; its parameters are base_layer'),
    ):
        with pytest.raises(CheckpointError, match=message):
            load_pretrained(Res2NetDLA(), tmp_path / f'{name}.pth')


def test_its_files_are_refused_by_res2net(tmp_path):
    torch.save(timm.create_model('dla60_res2next').state_dict(), tmp_path / 'dla.pth')
    message = 'it is of a Res2NetDLA with depth=60, scales=4, base_width=4, groups=8.*, not of a Res2Net'
    with pytest.raises(CheckpointError, match=message):
        load_pretrained(Res2Net(), tmp_path / 'dla.pth')


def test_missing_and_left_over_parameters_are_errors(tmp_path):
    small = dict(depth=(1, 1, 3, 1), base_channels=16, scales=3, base_width=8)
    network = Res2NetDLA(**small)
    state = network.state_dict()
    for content, message in (
        ({k: v for k, v in state.items() if k != 'level4.tree2.tree2.root.bn.bias'}, 'missing: level4.tree2'),
        ({**state, 'level4.extra.weight': torch.zeros(1)}, 'left over: level4.extra.weight'),
        ({**state, 'level2.tree2.project.0.weight': torch.zeros(1)}, 'left over: level2.tree2.project'),
    ):
        torch.save(content, tmp_path / 'file.pth')
        with pytest.raises(CheckpointError, match=message):
            load_pretrained(network, tmp_path / 'file.pth')


@every_network
def test_describe(name):
    with torch.device('meta'):
        found = describe(timm.create_model(name).state_dict())
    arguments = dict(base_width=28, groups=1, **dict(depth=(1, 2, 3, 1), scales=4, in_channels=3))
    assert found == {**arguments, **NETWORKS[name][0], 'type': 'Res2NetDLA', 'base_channels': 64}


@pytest.mark.parametrize(
    'arguments,message',
    [
        (dict(depth=34), 'depth=34.*take 60'),
        (dict(depth=(1, 0, 1, 1)), r'depth=\(1, 0, 1, 1\)'),
        (dict(strides=(2, 2, 2)), r'strides has 3 entries: \(2, 2, 2\)'),
        (dict(dilations=(1,)), 'dilations has 1 entries'),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with torch.device('meta'), pytest.raises(ValueError, match=message):
        Res2NetDLA(**arguments)
