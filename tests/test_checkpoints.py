import argparse
import email.message
import functools
import hashlib
import io
import os
import pathlib
import pickle
import re
import urllib.error
import urllib.request
from collections import OrderedDict

import numpy as np
import pytest
import timm
import torch
from helpers import assert_close, on_every_device, randomize
from mmengine.logging import HistoryBuffer
from mmengine.runner.checkpoint import CheckpointLoader

from res2net_mm import checkpoints
from res2net_mm.checkpoints import (
    CheckpointError,
    describe,
    download,
    load_pretrained,
    loading,
    read_checkpoint,
    safe_loading,
)
from res2net_mm.checkpoints.download import RELEASE_URL
from res2net_mm.checkpoints.naming import authors_name, find_state_dict
from res2net_mm.fused import fuse
from res2net_mm.models import BLRes2Net, Res2Layer, Res2Net, Res2NetDLA, Res2NeXtCIFAR

TINY = dict(depth=(1, 2, 1, 1), base_channels=16, stem_channels=16, scales=3, base_width=8)
V1B = dict(deep_stem=True, avg_down=True)


def tiny(**arguments):
    return randomize(Res2Net(**TINY, **arguments))


def with_classifier(state_dict):
    return {**state_dict, 'fc.weight': torch.zeros(10, 512), 'fc.bias': torch.zeros(10)}


def prefixed(prefix, state_dict):
    return {prefix + k: v for k, v in state_dict.items()}


def renamed(state_dict, *rules):
    for pattern, replacement in rules:
        state_dict = {re.sub(pattern, replacement, k): v for k, v in state_dict.items()}
    return state_dict


def mmdets(v1b):
    """The authors' v1b under mmdet's and mmseg's names."""
    return renamed(v1b, (r'^conv1\.', 'stem.'), (r'^bn1\.', 'stem.7.'))


def mmpretrains(v1b):
    """The authors' v1b under mmpretrain's names."""
    return renamed(
        v1b,
        (r'^conv1\.([036])\.', lambda m: f'stem.{int(m[1]) // 3}.conv.'),
        (r'^conv1\.([14])\.', lambda m: f'stem.{int(m[1]) // 3}.bn.'),
        (r'^bn1\.', 'stem.2.bn.'),
    )


def trash(state_dict):
    """Weights of the same shapes that must not be the ones loaded."""
    return {k: torch.full_like(v, 7) for k, v in state_dict.items()}


LAYOUTS = {
    'authors': lambda s: with_classifier(s),
    'authors, no classifier': lambda s: s,
    'data parallel': lambda s: prefixed('module.', with_classifier(s)),
    'state_dict wrapper': lambda s: {'state_dict': with_classifier(s), 'epoch': 100, 'best_acc1': 78.0},
    'wrapped twice': lambda s: {'model': {'state_dict': prefixed('module.', s)}},
    'timm, EMA beside': lambda s: {'state_dict': trash(s), 'state_dict_ema': with_classifier(s), 'epoch': 1},
    'mmpretrain': lambda s: {
        'meta': {'epoch': 100},
        'state_dict': {**prefixed('backbone.', s), 'head.fc.weight': torch.zeros(10, 512)},
    },
    'mmengine, EMA swapped': lambda s: {
        'state_dict': prefixed('backbone.', s),
        'ema_state_dict': {**prefixed('module.backbone.', trash(s)), 'steps': torch.tensor(3)},
    },
    'old mmcv, EMA in the state dict': lambda s: {
        'state_dict': {
            **prefixed('backbone.', s),
            **{'ema_backbone_' + k.replace('.', '_'): v for k, v in trash(s).items()},
        }
    },
    'detector': lambda s: {
        'state_dict': {
            **prefixed('backbone.', s),
            'neck.lateral_convs.0.conv.weight': torch.zeros(4, 64, 1, 1),
            'rpn_head.rpn_conv.weight': torch.zeros(4, 4, 3, 3),
        },
        'message_hub': {'log_scalars': {'train/loss': HistoryBuffer([1.0], [1])}},
    },
    'distributed detector': lambda s: {'state_dict': prefixed('module.backbone.', s)},
    'net': lambda s: {'net': with_classifier(s), 'acc': 93.0, 'epoch': 100},
    'params, EMA beside': lambda s: {'params': trash(s), 'params_ema': s},
    'ema beside': lambda s: {'model': trash(s), 'ema': {'decay': 0.99, 'module': s}, 'updates': 3},
    'no weights in ema': lambda s: {'params': s, 'ema': {'decay': 0.99}, 'teacher': None},
    'state_dict before a trained one': lambda s: {'student': trash(s), 'state_dict': s},
    'self-distilled': lambda s: {
        'student': prefixed('module.backbone.', trash(s)),
        'teacher': {**prefixed('backbone.', s), 'head.last_layer.weight': torch.zeros(4, 4)},
        'optimizer': {'state': {0: {'momentum_buffer': torch.zeros(4)}}},
    },
    'before num_batches_tracked': lambda s: {k: v for k, v in s.items() if 'num_batches' not in k},
}


@on_every_device
def test_weights_saved_on_one_device_give_their_outputs_on_another(device, tmp_path):
    source = tiny().to(device)
    torch.save(source.state_dict(), tmp_path / 'file.pth')
    assert {value.device.type for value in read_checkpoint(tmp_path / 'file.pth').values()} == {'cpu'}
    x = torch.rand(1, 3, 64, 96).to(device)
    for before in ('cpu', device):
        loaded = Res2Net(**TINY).to(before).eval()
        load_pretrained(loaded, tmp_path / 'file.pth')
        with torch.no_grad():
            assert_close(loaded.to(device)(x), source(x), exact=True)


@pytest.mark.parametrize('v1b', [False, True], ids=['v1', 'v1b'])
@pytest.mark.parametrize('layout', LAYOUTS)
def test_layouts_in_the_wild(layout, v1b, tmp_path):
    source = tiny(**V1B if v1b else {})
    torch.save(LAYOUTS[layout](source.state_dict()), tmp_path / 'file.pth')
    loaded = Res2Net(**TINY, **V1B if v1b else {})
    loaded.init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'file.pth'))
    loaded.init_weights()
    for name, value in source.state_dict().items():
        if 'num_batches' not in name:
            assert torch.equal(loaded.state_dict()[name], value), name


@pytest.mark.parametrize('names', [mmdets, mmpretrains])
@pytest.mark.parametrize('prefix', ['', 'backbone.', 'module.backbone.'])
def test_names_of_other_projects(names, prefix, tmp_path):
    source = tiny(**V1B)
    torch.save({'state_dict': prefixed(prefix, names(source.state_dict()))}, tmp_path / 'file.pth')
    loaded = Res2Net(**TINY, **V1B)
    load_pretrained(loaded, tmp_path / 'file.pth')
    for name, value in source.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value), name


@pytest.mark.parametrize('names', [mmdets, mmpretrains])
def test_a_whole_model_of_another_project_loads_by_mmengine(names):
    from mmengine.runner.checkpoint import load_state_dict

    source = tiny(**V1B)
    model = torch.nn.ModuleDict({'backbone': Res2Net(**TINY, **V1B), 'neck': torch.nn.Linear(2, 2)})
    theirs = {**prefixed('backbone.', names(source.state_dict())), 'neck.weight': torch.ones(2, 2)}
    theirs['neck.bias'] = torch.ones(2)
    load_state_dict(model, theirs, strict=True)
    for name, value in source.state_dict().items():
        assert torch.equal(model.backbone.state_dict()[name], value), name
    model.load_state_dict(theirs)


@pytest.mark.parametrize('names, prefix, said', [
    (mmdets, 'backbone.', True), (mmdets, '', False), (mmpretrains, 'backbone.', False),
])  # fmt: skip
def test_what_mmdets_own_network_computes_otherwise_is_said(
    names, prefix, said, logged, tmp_path, monkeypatch
):
    warned, remark = [], "trained with MMDetection's own Res2Net, which here is pool_at_stride_1=False"
    monkeypatch.setattr('res2net_mm.checkpoints.naming.print_log', lambda line, *_: warned.append(line))
    theirs = prefixed(prefix, names(tiny(**V1B).state_dict()))
    torch.save(theirs, tmp_path / 'file.pth')
    with pytest.raises(CheckpointError) as error:
        load_pretrained(Res2Net(**TINY), tmp_path / 'file.pth')
    assert 'deep_stem=True' in str(error.value) and (remark in str(error.value)) == said
    load_pretrained(Res2Net(**TINY, **V1B), tmp_path / 'file.pth')
    assert (remark in logged[0]) == said
    if prefix:
        for changed in ({}, dict(pool_at_stride_1=False)):
            warned.clear()
            torch.nn.ModuleDict(dict(backbone=Res2Net(**TINY, **V1B, **changed))).load_state_dict(theirs)
            assert warned == [f'The weights were {remark}'] * (said and not changed)


def test_a_mask_head_is_no_res2net():
    names = dict.fromkeys(['backbone.stem.7.weight', 'backbone.layer1.0.conv2.weight'], torch.zeros(1))
    names['roi_head.mask_head.convs.0.conv.weight'] = torch.zeros(1)  # of a Mask R-CNN with ResNet-50-D
    assert find_state_dict(names)[2] == ''


def test_the_aliases_are_the_names_that_the_toolboxes_use():
    mmdet_backbones = pytest.importorskip('mmdet.models.backbones')
    mmpretrain_backbones = pytest.importorskip('mmpretrain.models.backbones')
    authors = set(Res2Net(**V1B).state_dict())
    for network in (mmdet_backbones.Res2Net(depth=50), mmpretrain_backbones.Res2Net(depth=50)):
        assert {authors_name(k) for k in network.state_dict()} == authors


def test_safetensors(tmp_path):
    from safetensors.torch import save_file

    source = timm.create_model('res2net50_26w_4s')
    save_file(source.state_dict(), tmp_path / 'model.safetensors')
    loaded = Res2Net()
    load_pretrained(loaded, tmp_path / 'model.safetensors')
    assert torch.equal(loaded.layer4[2].conv3.weight, source.layer4[2].conv3.weight)
    (tmp_path / 'cut.safetensors').write_bytes((tmp_path / 'model.safetensors').read_bytes()[:5000])
    with pytest.raises(CheckpointError, match='cut off'):
        load_pretrained(loaded, tmp_path / 'cut.safetensors')


def test_explicit_prefix(tmp_path):
    teacher, student = tiny(), tiny()
    state = {
        **prefixed('teacher.', teacher.state_dict()),
        **prefixed('student.', trash(student.state_dict())),
    }
    torch.save(state, tmp_path / 'file.pth')
    loaded = Res2Net(**TINY)
    load_pretrained(loaded, tmp_path / 'file.pth', prefix='teacher.')
    assert torch.equal(loaded.conv1.weight, teacher.conv1.weight)
    with pytest.raises(CheckpointError, match="begins with 'nobody.'"):
        load_pretrained(loaded, tmp_path / 'file.pth', prefix='nobody')


NESTED = {
    'student': lambda s: {'teacher': trash(s), 'student': prefixed('module.backbone.', s)},
    'student.': lambda s: {'state_dict': {**prefixed('teacher.', trash(s)), **prefixed('student.', s)}},
    'student.module': lambda s: {'teacher': trash(s), 'student': prefixed('module.', s)},
    'nets.generator': lambda s: {'nets': {'generator': {'state_dict': s}, 'critic': trash(s)}},
    'nets.generator.encoder': lambda s: {'nets': {'generator': prefixed('encoder.', s), 'critic': trash(s)}},
    'critic': lambda s: {'model': {'generator': trash(s), 'critic': s}},
    'a.b': lambda s: {'a.b': s, 'a': trash(s)},
    'params': lambda s: {'params_ema': trash(s), 'params': s},
    '': lambda s: {'model': s},
}


@pytest.mark.parametrize('prefix', NESTED)
def test_a_prefix_names_dicts_and_beginnings_of_names(prefix, tmp_path):
    source = tiny()
    torch.save(NESTED[prefix](source.state_dict()), tmp_path / 'file.pth')
    init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'file.pth'), prefix=prefix)
    loaded = Res2Net(**TINY, init_cfg=init_cfg)
    loaded.init_weights()
    assert torch.equal(loaded.layer4[0].conv3.weight, source.layer4[0].conv3.weight)


@pytest.fixture
def logged(monkeypatch):
    """What loading logs."""
    lines = []
    monkeypatch.setattr(loading, 'print_log', lambda line, **_: lines.append(line))
    return lines


def test_which_of_several_wrappers_was_taken_is_said(logged, tmp_path):
    path = tmp_path / 'file.pth'
    state = tiny().state_dict()
    torch.save({'net': {'student': trash(state), 'params': trash(state), 'teacher': state}}, path)
    load_pretrained(Res2Net(**TINY), path)
    remark = "('net.teacher' of it was taken; there is prefix='net.params' or 'net.student', too)"
    assert len(logged) == 1 and remark in logged[0]
    with pytest.raises(CheckpointError, match='scales=4') as error:
        load_pretrained(Res2Net(**{**TINY, 'scales': 4}), path)
    assert remark in str(error.value)
    load_pretrained(Res2Net(**TINY), path, prefix='net.student')
    assert 'taken' not in logged[1]


def test_unknown_wrappers(tmp_path):
    torch.save({'epoch': 1, 'generator': tiny().state_dict()}, tmp_path / 'file.pth')
    with pytest.raises(CheckpointError, match="keys are epoch, generator; if .* network: prefix='generator'"):
        load_pretrained(Res2Net(**TINY), tmp_path / 'file.pth')
    with pytest.raises(CheckpointError, match="begins with 'encoder.'; they are conv1.weight, "):
        load_pretrained(Res2Net(**TINY), tmp_path / 'file.pth', prefix='generator.encoder')


def test_a_c4_detector_gives_all_four_stages(tmp_path):
    source = tiny()
    state = {
        ('roi_head.shared_head.' if k.startswith('layer4') else 'backbone.') + k: v
        for k, v in source.state_dict().items()
    }
    torch.save({'state_dict': state}, tmp_path / 'c4.pth')
    whole = Res2Net(**TINY)
    load_pretrained(whole, tmp_path / 'c4.pth')
    head = Res2Layer(**{k: v for k, v in TINY.items() if k != 'stem_channels'})
    load_pretrained(head, tmp_path / 'c4.pth')
    for network in (whole, head):
        for name, value in network.state_dict().items():
            assert torch.equal(value, source.state_dict()[name]), name


def test_what_is_left_out_and_new_is_logged(tmp_path, logged):
    torch.save(with_classifier(tiny().state_dict()), tmp_path / 'file.pth')
    network = Res2Net(
        **{**TINY, 'depth': (1, 2, 1)},
        num_stages=3,
        out_indices=(2,),
        plugins=[dict(cfg=dict(type='ContextBlock', ratio=0.25), position='after_conv3')],
    )
    load_pretrained(network, tmp_path / 'file.pth')
    (line,) = logged
    assert 'left out: fc, layer4' in line and 'newly initialized: layer1.0.context_block' in line


MISMATCHES = {
    'width': (dict(base_width=10), 'base_width=10', 'base_width=8'),
    'scale': (dict(scales=4), 'scales=4', 'scales=3'),
    'depth': (dict(depth=(1, 1, 1, 1)), r'depth=\(1, 1, 1, 1\)', r'depth=\(1, 2, 1, 1\)'),
    'cardinality': (dict(groups=2), 'groups=2', 'groups=1'),
    'stem': (dict(deep_stem=True), 'deep_stem=True', 'deep_stem=False'),
    'projection': (dict(avg_down=True), 'avg_down=True', 'avg_down=False'),
    'stem width': (dict(stem_channels=24), 'stem_channels=24', 'stem_channels=16'),
    'planes': (dict(base_channels=8), 'base_channels=8', 'base_channels=16'),
    'input': (dict(in_channels=4), 'in_channels=4', 'in_channels=3'),
    'SE': (dict(with_se=True), 'with_se=True', 'with_se=False'),
}


@pytest.mark.parametrize('what', MISMATCHES)
def test_a_file_of_another_network_says_what_it_has_and_what_would_fit(what, tmp_path):
    arguments, theirs, ours = MISMATCHES[what]
    path = tmp_path / 'file.pth'
    torch.save({'state_dict': prefixed('backbone.', Res2Net(**{**TINY, **arguments}).state_dict())}, path)
    network = Res2Net(**TINY)
    before = {k: v.clone() for k, v in network.state_dict().items()}
    with pytest.raises(CheckpointError) as error:
        load_pretrained(network, path)
    message = str(error.value)
    assert re.search(rf'it has [^.]*{theirs}.*the model has [^.]*{ours}', message), message
    assert re.search(rf'build the model with [^.]*{theirs}', message), message
    assert message.startswith(str(path))
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())


def test_the_fitting_arguments_do_fit(tmp_path):
    source = timm.create_model('res2net50_14w_8s')
    torch.save(source.state_dict(), tmp_path / 'file.pth')
    with pytest.raises(CheckpointError, match='build the model with scales=8, base_width=14.'):
        load_pretrained(Res2Net(), tmp_path / 'file.pth')
    load_pretrained(Res2Net(scales=8, base_width=14), tmp_path / 'file.pth')
    with pytest.raises(CheckpointError, match='build the model with scales=8, base_width=14.'):
        load_pretrained(Res2Layer(), tmp_path / 'file.pth')


@pytest.mark.parametrize('name,arguments', [
    ('res2net101_26w_4s', dict(depth=(3, 4, 23, 3), scales=4, base_width=26, groups=1, deep_stem=False)),
    ('res2next50', dict(depth=(3, 4, 6, 3), scales=4, base_width=4, groups=8, avg_down=False)),
    ('res2net50d', dict(deep_stem=True, avg_down=True, stem_channels=64, base_channels=64)),
])  # fmt: skip
def test_describe(name, arguments):
    with torch.device('meta'):
        found = describe(timm.create_model(name).state_dict())
    assert {k: found[k] for k in arguments} == arguments


def test_describe_something_else():
    with torch.device('meta'):
        assert describe(timm.create_model('resnet50').state_dict()) == {}
    assert describe({'layer1.0.convs.0.weight': torch.zeros(1)}) == {}


def test_missing_and_left_over_parameters_are_errors(tmp_path):
    state = tiny().state_dict()
    network = Res2Net(**TINY)

    def message(state):
        torch.save(state, tmp_path / 'file.pth')
        with pytest.raises(CheckpointError) as error:
            load_pretrained(network, tmp_path / 'file.pth')
        return str(error.value)

    lacking = {k: v for k, v in state.items() if k not in ('layer2.1.bn3.bias', 'bn1.running_var')}
    assert '2 parameters are missing: bn1.running_var, layer2.1.bn3.bias' in message(lacking)
    assert 'left over: layer1.0.extra.weight' in message({**state, 'layer1.0.extra.weight': torch.zeros(1)})
    assert 'left over: attention.weight' in message({**state, 'attention.weight': torch.zeros(1)})
    assert 'of another shape: layer3.0.bn3.bias (1,) for (256,)' in message(
        {**state, 'layer3.0.bn3.bias': torch.zeros(1)}
    )


def test_not_a_res2net(tmp_path):
    torch.save(timm.create_model('resnet18').state_dict(), tmp_path / 'resnet.pth')
    with pytest.raises(CheckpointError, match='not of a Res2Net; its parameters are conv1.weight'):
        load_pretrained(Res2Net(**TINY), tmp_path / 'resnet.pth')


@pytest.mark.parametrize(
    'content,message',
    [
        ({}, 'empty dict'),
        ({'epoch': 3, 'arch': 'res2net'}, 'holds no parameters; its keys are epoch, arch'),
        ([1, 2], 'no state dict, but a list'),
        (torch.zeros(3), 'no state dict, but a Tensor'),
    ],
)
def test_a_file_without_a_state_dict(content, message, tmp_path):
    torch.save(content, tmp_path / 'file.pth')
    with pytest.raises(CheckpointError, match=message):
        load_pretrained(Res2Net(**TINY), tmp_path / 'file.pth')


def test_files_that_are_no_checkpoints(tmp_path):
    def message(content):
        path = tmp_path / 'file.pth'
        path.write_bytes(content)
        with pytest.raises(CheckpointError) as error:
            read_checkpoint(path)
        assert str(path) in str(error.value)
        return str(error.value)

    buffer = io.BytesIO()
    torch.save(tiny().state_dict(), buffer)
    whole = buffer.getvalue()
    legacy = io.BytesIO()
    torch.save(tiny().state_dict(), legacy, _use_new_zipfile_serialization=False)
    assert 'is empty (0 bytes)' in message(b'')
    for length in (len(whole) // 2, len(whole) - 30, 100):
        assert 'cut off or damaged' in message(whole[:length])
    legacy = legacy.getvalue()
    for length in range(1, len(legacy) - 8, len(legacy) // 50):
        assert re.search('cut off or damaged|no PyTorch checkpoint', message(legacy[:length]))
    for text in (b'<!doctype html><title>404 Not Found</title>', b'aaaa', b'('):
        assert re.search('web page|cut off or damaged', message(text))
    with pytest.raises(CheckpointError, match=f'not found: {tmp_path}/none.pth'):
        read_checkpoint(tmp_path / 'none.pth')
    with pytest.raises(CheckpointError, match=rf'not found: {tmp_path} \(a folder\)'):
        read_checkpoint(tmp_path)


class Hostile:
    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


class Private:
    def __reduce__(self):
        return getattr, (HistoryBuffer, '__init__')


@pytest.mark.parametrize('read', [read_checkpoint, CheckpointLoader.load_checkpoint])
@pytest.mark.parametrize('legacy', [False, True])
def test_pickled_code_is_never_executed(read, legacy, tmp_path):
    path, sign = tmp_path / 'hostile.pth', tmp_path / 'executed'
    torch.save(
        {'state_dict': tiny().state_dict(), 'meta': Hostile(f'touch {sign}')},
        path,
        _use_new_zipfile_serialization=not legacy,
    )
    with safe_loading(), pytest.raises(CheckpointError, match=r'asks to run \w+.system, .* not executed'):
        read(str(path))
    assert not sign.exists()


def test_of_a_log_only_public_methods_are_named(tmp_path):
    torch.save({'state_dict': {}, 'meta': Private()}, tmp_path / 'x.pth')
    with pytest.raises(CheckpointError, match=r'asks to run builtins.getattr'):
        read_checkpoint(tmp_path / 'x.pth')


def test_pickled_code_behind_other_addresses_is_not_executed(tmp_path, monkeypatch):
    path, sign = tmp_path / 'hostile.pth', tmp_path / 'executed'
    torch.save({'state_dict': tiny().state_dict(), 'meta': Hostile(f'touch {sign}')}, path)
    monkeypatch.setattr('mmengine.runner.checkpoint.get_torchvision_models', lambda: {'resnet50': str(path)})
    with pytest.raises(CheckpointError, match='not executed'):
        read_checkpoint('torchvision://resnet50')
    with safe_loading(), pytest.raises(CheckpointError, match='not executed'):
        CheckpointLoader.load_checkpoint('torchvision://resnet50')
    assert not sign.exists()


def test_the_config_in_a_checkpoint_is_not_handed_to_be_executed(tmp_path):
    torch.save({'state_dict': {}, 'meta': {'config': 'import os', 'epoch': 1}}, tmp_path / 'x.pth')
    with safe_loading():
        assert CheckpointLoader.load_checkpoint(str(tmp_path / 'x.pth'))['meta'] == {'epoch': 1}


def test_safe_loading_leaves_mmengine_as_it_was():
    import mmengine.runner.checkpoint as loader

    before = dict(CheckpointLoader._schemes), loader.load_from_local, loader.load_from_http
    with safe_loading():
        assert loader.load_from_local is not before[1]
    assert (dict(CheckpointLoader._schemes), loader.load_from_local, loader.load_from_http) == before


def test_unknown_kinds_of_addresses():
    for address in ('htp://x/y.pth', 'file:///x.pth'):
        with pytest.raises(CheckpointError, match='no such kind of address'):
            read_checkpoint(address)


def test_timms_training_checkpoints_are_read(tmp_path):
    source = tiny()
    content = {
        'epoch': 3,
        'arch': 'res2net50_26w_4s',
        'state_dict': source.state_dict(),
        'args': argparse.Namespace(lr=0.1, output=pathlib.PosixPath('out')),
        'metric': 78.0,
    }
    torch.save(content, tmp_path / 'timm.pth')
    loaded = Res2Net(**TINY)
    load_pretrained(loaded, tmp_path / 'timm.pth')
    assert torch.equal(loaded.conv1.weight, source.conv1.weight)


def test_two_networks_in_one_file_must_be_told_apart(tmp_path):
    state = {
        **prefixed('student.backbone.', tiny().state_dict()),
        **prefixed('teacher.backbone.', tiny().state_dict()),
    }
    torch.save(state, tmp_path / 'file.pth')
    with pytest.raises(CheckpointError, match="under 'student.backbone.' and 'teacher.backbone.'.*prefix="):
        load_pretrained(Res2Net(**TINY), tmp_path / 'file.pth')
    load_pretrained(Res2Net(**TINY), tmp_path / 'file.pth', prefix='teacher.backbone')


@pytest.fixture(params=['this', 'before 2.6'])
def reader(request, monkeypatch):
    """PyTorch's reader, or that of older versions, which admits what the user names by its own name alone."""
    if request.param != 'this':
        monkeypatch.setattr(
            'torch._weights_only_unpickler._get_user_allowed_globals',
            lambda: {f'{x.__module__}.{x.__name__}': x for x in torch.serialization.get_safe_globals()},
        )


def test_training_checkpoints_of_mmengine_are_read(reader, tmp_path):
    content = {
        'meta': dict(epoch=1, cfg='x = 1', dataset_meta=dict(classes=('a',), sigmas=np.zeros(3, np.float32))),
        'state_dict': OrderedDict(a=torch.zeros(2)),
        'message_hub': {
            'log_scalars': {'train/loss': HistoryBuffer([1.0, 2.0], [1, 1])},
            'runtime_info': {'epoch': 1, 'score': np.float64(0.5), 'seed': np.int64(3)},
        },
        'optimizer': torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1).state_dict(),
        'param_schedulers': [{'last_step': 3}],
    }
    torch.save(content, tmp_path / 'epoch_1.pth')
    read = read_checkpoint(tmp_path / 'epoch_1.pth')
    assert read['message_hub']['log_scalars']['train/loss'].mean() == 1.5
    assert read['meta']['dataset_meta']['sigmas'].dtype == np.float32
    assert pickle.loads(pickle.dumps(read['meta']))['dataset_meta']['sigmas'].__class__ is np.ndarray


class Written:
    def __init__(self, *reduced):
        self.reduced = reduced

    def __reduce__(self):
        return self.reduced


POINTER = b'A' * 8
RECONSTRUCT = np.empty(0).__reduce__()[0]


def array(dtype, state):
    dtype = Written(np.dtype, (dtype, False, True), (3, '|', *state, 0))
    return Written(RECONSTRUCT, (np.ndarray, (0,), b'b'), (1, (1,), dtype, False, POINTER))


@pytest.mark.parametrize('content', [
    array('O8', (None, None, None, -1, -1)),
    array('V8', (None, ('a',), dict(a=(np.dtype('O'), 0)), 8, 1)),
    array('V8', ((np.dtype('O'), (1,)), None, None, 8, 1)),
    Written(np.ndarray, ((1,), np.dtype('O'), POINTER)),
])  # fmt: skip
@pytest.mark.parametrize('admitted', [[], [np.ndarray, np.dtype, RECONSTRUCT, type(np.dtype('O'))]])
def test_bytes_are_not_taken_for_objects(admitted, content, reader, tmp_path):
    """NumPy would follow a checkpoint's numbers as addresses."""
    torch.save({'state_dict': {}, 'meta': content}, tmp_path / 'x.pth')
    before = list(torch.serialization.get_safe_globals())
    torch.serialization.add_safe_globals(admitted)
    try:
        with pytest.raises(CheckpointError, match=r'numpy\.dtype'):
            read_checkpoint(tmp_path / 'x.pth')
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(before)


def test_arrays_are_made_and_filled_once(reader, tmp_path):
    """Else they would show memory that is others'."""
    dtype = Written(np.dtype, ('f8', False, True), (3, '<', None, None, None, -1, -1, 0))
    torch.save({'meta': Written(np.ndarray, ((1000,), dtype))}, tmp_path / 'x.pth')
    assert read_checkpoint(tmp_path / 'x.pth')['meta'].size == 0
    torch.save({'meta': np.arange(2.0)}, tmp_path / 'x.pth', _use_new_zipfile_serialization=False)
    content = (tmp_path / 'x.pth').read_bytes()
    twice, places = re.subn(rb'(.*tq(.)b)', rb'\1h\2b', content, flags=re.S)  # the last state once more
    assert places == 1
    (tmp_path / 'x.pth').write_bytes(twice)
    with pytest.raises(CheckpointError):
        read_checkpoint(tmp_path / 'x.pth')


@pytest.mark.parametrize('module', [b'numpy.core.', b'numpy._core.'])
def test_arrays_of_either_numpy_are_read(module, reader, tmp_path):
    buffer = io.BytesIO()
    torch.save({'state_dict': {}, 'meta': np.arange(2.0)}, buffer, _use_new_zipfile_serialization=False)
    written, names = re.subn(rb'numpy\._?core\.(?=multiarray\n)', module, buffer.getvalue())
    assert names == 1
    (tmp_path / 'x.pth').write_bytes(written)
    assert read_checkpoint(tmp_path / 'x.pth')['meta'].tolist() == [0, 1]


@pytest.mark.parametrize('module', [b'pathlib', b'pathlib._local'])
def test_paths_of_any_python_are_read(module, reader, tmp_path):
    buffer, path = io.BytesIO(), pathlib.PosixPath('a/b')
    torch.save({'state_dict': {}, 'meta': path}, buffer, _use_new_zipfile_serialization=False)
    written, names = re.subn(rb'pathlib(\._local)?(?=\nPosixPath\n)', module, buffer.getvalue())
    assert names == 1
    (tmp_path / 'x.pth').write_bytes(written)
    assert read_checkpoint(tmp_path / 'x.pth')['meta'] == path


def test_what_the_user_admits_stays_admitted(tmp_path):
    torch.save({'state_dict': {}, 'meta': argparse.Namespace(a=1)}, tmp_path / 'x.pth')
    torch.serialization.add_safe_globals([argparse.Namespace, pathlib.PurePosixPath])
    before = list(torch.serialization.get_safe_globals())
    read_checkpoint(tmp_path / 'x.pth')
    assert set(torch.serialization.get_safe_globals()) == set(before)


# How a first convolution's weights of RGB become those of other channels.
ADAPTED = {
    ('sum', 1): lambda r, g, b: [r + g + b],
    ('mean', 1): lambda r, g, b: [r + g + b],
    ('mean', 4): lambda r, g, b: [(r + g + b) / 4] * 4,
    ('mean', 6): lambda r, g, b: [(r + g + b) / 6] * 6,
    ('repeat', 1): lambda r, g, b: [3 * r],
    ('repeat', 2): lambda r, g, b: [r * 3 / 2, g * 3 / 2],
    ('repeat', 4): lambda r, g, b: [r * 3 / 4, g * 3 / 4, b * 3 / 4, r * 3 / 4],
    ('repeat', 6): lambda r, g, b: [r / 2, g / 2, b / 2, r / 2, g / 2, b / 2],
}
NETWORKS = {
    'stem': (functools.partial(Res2Net, **TINY), 'conv1.weight'),
    'deep stem': (functools.partial(Res2Net, **TINY, **V1B), 'conv1.0.weight'),
    'DLA': (functools.partial(Res2NetDLA, base_channels=16), 'base_layer.0.weight'),
    'Big-Little': (functools.partial(BLRes2Net, base_channels=16, depth=(2, 2, 2, 1)), 'conv1.0.conv.weight'),
    'CIFAR': (functools.partial(Res2NeXtCIFAR, depth=11), 'conv1.weight'),
}


@pytest.mark.parametrize('how,channels', ADAPTED)
def test_the_first_convolution_is_adapted_to_other_images(how, channels, tmp_path, logged):
    source = tiny()
    torch.save(source.state_dict(), tmp_path / 'file.pth')
    init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'file.pth'), input_conv=how)
    loaded = Res2Net(**TINY, in_channels=channels, init_cfg=init_cfg)
    loaded.init_weights()
    expected = torch.stack(ADAPTED[how, channels](*source.conv1.weight.unbind(1)), 1)
    torch.testing.assert_close(loaded.conv1.weight, expected)
    assert torch.equal(loaded.layer4[0].conv3.weight, source.layer4[0].conv3.weight)
    assert f"; conv1.weight by input_conv='{how}'" in logged[0]


@pytest.mark.parametrize('how,channels', [('sum', 1), ('mean', 4), ('mean', 6), ('repeat', 6)])
def test_equal_channels_give_what_they_gave(how, channels, tmp_path):
    source = tiny()
    torch.save(source.state_dict(), tmp_path / 'file.pth')
    loaded = Res2Net(**TINY, in_channels=channels)
    load_pretrained(loaded, tmp_path / 'file.pth', input_conv=how)
    gray = torch.rand(1, 1, 64, 64)
    with torch.no_grad():
        for ours, theirs in zip(
            loaded.eval()(gray.expand(1, channels, 64, 64)), source.eval()(gray.expand(1, 3, 64, 64))
        ):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('network', NETWORKS)
def test_every_networks_first_convolution_is_found(network, tmp_path):
    build, name = NETWORKS[network]
    source = build().state_dict()
    torch.save({'state_dict': prefixed('backbone.', source)}, tmp_path / 'file.pth')
    with pytest.raises(CheckpointError, match="Or adapt its first conv.*init_cfg=.*input_conv='mean'"):
        load_pretrained(build(in_channels=4), tmp_path / 'file.pth')
    for how in ('mean', 'repeat', 'new'):
        model = build(in_channels=4)
        expected = {
            'mean': source[name].mean(1, keepdim=True).expand(-1, 4, -1, -1) * 3 / 4,
            'repeat': source[name][:, [0, 1, 2, 0]] * 3 / 4,
            'new': model.state_dict()[name].clone(),
        }[how]
        load_pretrained(model, tmp_path / 'file.pth', input_conv=how)
        for key, value in model.state_dict().items():
            torch.testing.assert_close(value, expected if key == name else source[key])


def test_adapting_the_first_convolution_refuses_and_leaves_alone(tmp_path, logged):
    path = tmp_path / 'file.pth'
    source = tiny()
    torch.save(source.state_dict(), path)
    with pytest.raises(CheckpointError, match="input_conv='avg' is none of 'sum', 'mean', 'repeat', 'new'"):
        load_pretrained(Res2Net(**TINY), path, input_conv='avg')
    with pytest.raises(CheckpointError, match="input_conv='sum' is for in_channels=1, .* are 4"):
        load_pretrained(Res2Net(**TINY, in_channels=4), path, input_conv='sum')
    with pytest.raises(CheckpointError, match=r"input_conv='sum'"):  # the option for gray images
        load_pretrained(Res2Net(**TINY, in_channels=1), path)
    with pytest.raises(CheckpointError) as error:  # what else differs is no image's
        load_pretrained(Res2Net(**{**TINY, 'scales': 4}, in_channels=4), path, input_conv='mean')
    assert 'build the model with scales=3.' in str(error.value) and 'in_channels' not in str(error.value)
    for how in loading.ADAPTATIONS:
        same, stage = Res2Net(**TINY), Res2Layer(**{k: v for k, v in TINY.items() if k != 'stem_channels'})
        load_pretrained(same, path, input_conv=how)
        load_pretrained(stage, path, input_conv=how)
        assert torch.equal(same.conv1.weight, source.conv1.weight)
    assert not any('input_conv' in line for line in logged)


def partially(path, **arguments):
    """A small network that was loaded in part, and what it was before."""
    init_cfg = dict(type='Pretrained', checkpoint=str(path), partial=True)
    network = Res2Net(**{**TINY, **arguments}, init_cfg=init_cfg)
    network.init_weights()
    return network


PARTS = {  # arguments of the file's and of the model's network: parameters that start anew, that aren't used
    'fewer blocks': (dict(depth=(1, 1, 1, 1)), {}, r'layer2\.1\..*', None),
    'more blocks': (dict(depth=(1, 2, 1, 3)), {}, None, r'layer4\.[12]\..*'),
    'fewer stages': (dict(num_stages=2, out_indices=(1,)), {}, r'layer[34]\..*', None),
    'SE': (dict(with_se=True), {}, None, r'.*\.se\..*'),
    'another stem': (V1B, {}, r'conv1\..*|.*\.downsample\..*', r'conv1\..*|.*\.downsample\..*'),
    'other images': ({}, dict(in_channels=4), r'conv1\.weight', r'conv1\.weight'),
    'the same': ({}, {}, None, None),
}


@pytest.mark.parametrize('prefix', ['', 'backbone.'])
@pytest.mark.parametrize('what', PARTS)
def test_in_part_loads_what_fits_and_says_what_that_is(what, prefix, tmp_path, logged):
    theirs, ours, anew, unused = PARTS[what]
    source = randomize(Res2Net(**{**TINY, **theirs})).state_dict()
    torch.save({'state_dict': prefixed(prefix, source)}, tmp_path / 'file.pth')
    state = partially(tmp_path / 'file.pth', **ours).state_dict()
    new = [k for k in state if anew and re.fullmatch(anew, k)]
    for name, value in state.items():
        if name not in new:
            assert torch.equal(value, source[name]), name
        elif name.endswith('running_mean'):
            assert not value.any()
    left = sorted(prefix + k for k in source if unused and re.fullmatch(unused, k))
    (line,) = logged
    assert f'{len(state) - len(new)} of {len(state)} parameters and statistics from {tmp_path}' in line
    assert f'; loaded: {len(state) - len(new)} (' in line
    for title, names in (('newly initialized', new), ('unused of the file', left)):
        shown = f'; {title}: {len(names)}' + (f' ({", ".join(names[:6])}' if names else '')
        assert shown in line, line


def test_in_part_by_few_names_of_a_prefixed_file(tmp_path):
    source = tiny().state_dict()
    few = {k: v for k, v in source.items() if k.startswith('layer3.0.bn')}
    torch.save(
        {**prefixed('model.encoder.', few), 'head.bn1.num_batches_tracked': torch.tensor(3)}, tmp_path / 'x'
    )
    assert torch.equal(partially(tmp_path / 'x').layer3[0].bn3.weight, source['layer3.0.bn3.weight'])


def test_in_part_with_the_other_options(tmp_path, logged):
    path = tmp_path / 'file.pth'
    source = randomize(Res2Net(**{**TINY, 'depth': (1, 1, 1, 1)}))
    torch.save({'both': {'one': trash(source.state_dict()), 'other': source.state_dict()}}, path)
    network = Res2Net(**TINY, in_channels=1)
    load_pretrained(network, path, prefix='both.other', input_conv='sum', partial=True)
    torch.testing.assert_close(network.conv1.weight, source.conv1.weight.sum(1, keepdim=True))
    assert torch.equal(network.layer4[0].conv3.weight, source.layer4[0].conv3.weight)
    deformable = Res2Net(**TINY, dcn=dict(type='DCNv2'), stage_with_dcn=(False, True, True, True))
    load_pretrained(deformable, path, prefix='both.other', partial=True)
    convs = deformable.layer2[0].convs[0], source.layer2[0].convs[0]
    assert torch.equal(convs[0].weight, 2 * convs[1].weight)  # whose mask begins at 1/2


def test_in_part_refuses_what_doesnt_fit_at_all(tmp_path):
    path = tmp_path / 'file.pth'
    for state in (
        {'blocks.0.weight': torch.zeros(3), 'bn1.num_batches_tracked': torch.tensor(1)},
        {'conv1.weight': torch.zeros(2, 3, 7, 7)},
        {f'copy{i}.{k}': v for i in range(2) for k, v in tiny().state_dict().items()},
    ):
        torch.save(state, path)
        network = Res2Net(**TINY)
        before = {k: v.clone() for k, v in network.state_dict().items()}
        with pytest.raises(CheckpointError, match='nothing in it fits by name and shape|more than once'):
            load_pretrained(network, path, partial=True)
        assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())


def test_refusals_name_partial_where_it_would_help(tmp_path):
    def refusal(state, **arguments):
        torch.save(state, tmp_path / 'file.pth')
        with pytest.raises(CheckpointError) as error:
            load_pretrained(Res2Net(**{**TINY, **arguments}), tmp_path / 'file.pth')
        return str(error.value)

    state = tiny().state_dict()
    size = len(Res2Net(**{**TINY, 'depth': (1, 2, 1, 2)}).state_dict())
    option = r'Or load what fits, {} of {} parameters and statistics: init_cfg=dict\(..., partial=True\)\.'
    assert re.search(option.format(len(state), size), refusal(state, depth=(1, 2, 1, 2)))
    lacking = {k: v for k, v in state.items() if k != 'layer2.1.bn3.bias'}
    assert re.search(
        'missing: layer2.1.bn3.bias. ' + option.format(len(state) - 1, len(state)), refusal(lacking)
    )
    assert 'partial=' not in refusal(state, in_channels=4)  # but input_conv
    assert 'partial=' not in refusal(timm.create_model('resnet18').state_dict())


def test_newly_initialized_parameters_that_are_frozen_are_told(tmp_path, logged):
    torch.save(tiny().state_dict(), tmp_path / 'file.pth')
    load_pretrained(Res2Net(**TINY, in_channels=6), tmp_path / 'file.pth', input_conv='new')
    load_pretrained(Res2Net(**TINY, in_channels=6, frozen_stages=1), tmp_path / 'file.pth', input_conv='mean')
    assert len(logged) == 2
    load_pretrained(Res2Net(**TINY, in_channels=6, frozen_stages=1), tmp_path / 'file.pth', input_conv='new')
    assert logged[3] == 'frozen_stages keeps what is newly initialized from learning: conv1.weight'


class TestReleasedFiles:
    @pytest.fixture(autouse=True)
    def server(self, tmp_path, monkeypatch):
        """A file in place of the authors' server, and a folder in place of torch.hub's."""
        torch.save(tiny().state_dict(), tmp_path / 'served.pth')
        self.served = (tmp_path / 'served.pth').read_bytes()
        self.requests = []

        def urlopen(request, *args, **kwargs):
            self.requests.append(request.full_url)
            response = io.BytesIO(self.served)
            headers = email.message.Message()
            headers['Content-Length'] = str(len(self.served))
            response.info = lambda: headers
            return response

        monkeypatch.setattr(download, 'urlopen', urlopen)
        monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path / 'hub'))
        digest = hashlib.sha256(self.served).hexdigest()[:8]
        monkeypatch.setitem(checkpoints.RELEASED, 'res2net50_26w_4s', digest)
        self.path = tmp_path / 'hub' / 'checkpoints' / f'res2net50_26w_4s-{digest}.pth'
        self.monkeypatch = monkeypatch

    def unreachable(self, *args, **kwargs):
        raise urllib.error.URLError('Name or service not known')

    def test_downloaded_once_with_progress_and_verified(self, capsys):
        for _ in range(2):
            network = Res2Net(
                **TINY, init_cfg=dict(type='Pretrained', checkpoint='res2net://res2net50_26w_4s')
            )
            network.init_weights()
        assert self.requests == [RELEASE_URL + self.path.name]
        assert re.search(r'([\d.]+)/\1 MB', capsys.readouterr().err)
        assert self.path.read_bytes() == self.served

    def test_any_mmengine_loader_takes_the_scheme(self):
        assert 'layer1.0.conv1.weight' in CheckpointLoader.load_checkpoint('res2net://res2net50_26w_4s')

    def test_a_wrong_file_is_not_kept(self):
        self.served = self.served[:-10]
        with pytest.raises(CheckpointError, match='not the expected file'):
            read_checkpoint('res2net://res2net50_26w_4s')
        assert not self.path.exists()

    def test_a_damaged_file_on_disk_is_noticed(self):
        read_checkpoint('res2net://res2net50_26w_4s')
        self.path.write_bytes(self.served[:-10])
        with pytest.raises(CheckpointError, match='is damaged: its SHA-256 begins with .* Delete it'):
            read_checkpoint('res2net://res2net50_26w_4s')

    def test_no_network(self):
        self.monkeypatch.setattr(download, 'urlopen', self.unreachable)
        with pytest.raises(CheckpointError) as error:
            read_checkpoint('res2net://res2net50_26w_4s')
        assert 'Name or service not known' in str(error.value)
        assert str(self.path) in str(error.value)
        assert 'init_cfg=None' in str(error.value)

    def test_unknown_name(self):
        with pytest.raises(
            CheckpointError, match='res2net://res2net18: no such weights; there are res2net50'
        ):
            read_checkpoint('res2net://res2net18')

    def test_an_address_with_a_hash_in_its_name_is_verified(self):
        digest = hashlib.sha256(self.served).hexdigest()[:8]
        assert read_checkpoint(f'https://example.org/a/tiny-{digest}.pth?x=1')
        with pytest.raises(CheckpointError, match='not the expected file'):
            read_checkpoint('https://example.org/tiny-0000000a.pth')
        assert read_checkpoint('https://example.org/tiny-20230901.pth')  # a date
        assert read_checkpoint(f'https://elsewhere.org/tiny-{digest}.pth')  # the same content, by its hash
        assert len(self.requests) == 3

    def read_by_init_cfg(address):
        network = Res2Net(**TINY, init_cfg=dict(type='Pretrained', checkpoint=address))
        network.init_weights()
        return network.conv1.weight

    def read_as_the_tools_do(address):  # which load, resume and initialize other backbones by mmengine
        with safe_loading():
            return CheckpointLoader.load_checkpoint(address)['conv1.weight']

    @pytest.mark.parametrize('read', [read_by_init_cfg, read_as_the_tools_do])
    @pytest.mark.parametrize(
        'addresses',
        [
            ['https://a.org/one/epoch_1.pth', 'https://a.org/two/epoch_1.pth'],
            ['https://a.org/epoch_1.pth', 'http://b.org/epoch_1.pth'],
            ['https://a.org/get.pth?file=1', 'https://a.org/get.pth?file=2'],
            ['https://a.org/', 'https://b.org'],
        ],
    )
    def test_addresses_that_end_alike_are_files_of_their_own(self, read, addresses):
        weights = []
        for _ in range(2):
            for number, address in enumerate(addresses):
                state = {k: torch.full_like(v, number) for k, v in tiny().state_dict().items()}
                buffer = io.BytesIO()
                torch.save(state, buffer)
                self.served = buffer.getvalue()
                weights.append(read(address).unique().tolist())
        assert weights == [[0], [1], [0], [1]]
        assert self.requests == addresses  # each once

    def test_the_file_of_an_address_can_be_put_by_hand(self):
        self.monkeypatch.setattr(download, 'urlopen', self.unreachable)
        address = 'https://example.org/a/model.safetensors?download=true'
        with pytest.raises(CheckpointError) as error:
            read_checkpoint(address)
        (path,) = re.findall(r'Put the file at (\S+) by hand', str(error.value))
        assert re.fullmatch(r'model_[0-9a-f]{12}\.safetensors', pathlib.Path(path).name)
        safetensors_torch = pytest.importorskip('safetensors.torch')
        safetensors_torch.save_file(tiny().state_dict(), path)
        assert 'conv1.weight' in read_checkpoint(address)

    @pytest.mark.parametrize(
        'address', ['https://[x/y.pth', 'https://example.org/a b.pth', 'https://x:y/z.pth']
    )
    def test_malformed_addresses(self, address):
        self.monkeypatch.setattr(download, 'urlopen', urllib.request.urlopen)  # refuses before it connects
        with pytest.raises(CheckpointError, match=re.escape(address)):
            read_checkpoint(address)

    def test_the_longest_names_are_cut(self):
        assert read_checkpoint(f'https://example.org/{"x" * 300}.pth')


def test_released_names_are_well_formed():
    assert len(checkpoints.RELEASED) == 11
    assert all(re.fullmatch('[0-9a-f]{8}', digest) for digest in checkpoints.RELEASED.values())


def test_the_weights_of_a_fused_network_are_refused_as_such(tmp_path):
    fused = fuse(tiny())
    torch.save(dict(state_dict=prefixed('backbone.', fused.state_dict())), tmp_path / 'fused.pth')
    with pytest.raises(CheckpointError, match='it is of a fused network, whose BN layers are folded'):
        load_pretrained(Res2Net(**TINY), tmp_path / 'fused.pth')
