import argparse
from pathlib import Path

import pytest
from mmengine.config import Config, DictAction
from mmengine.config import utils as config_utils

from res2net_mm.cfg_options import CfgOptions
from res2net_mm.config import check_option, load_config
from res2net_mm.errors import UserError
from res2net_mm.toolboxes import ONEDL, how_to_install

CONFIGS = Path(__file__).parents[1] / 'configs'
FPN = str(CONFIGS / 'faster_rcnn_r2n50_fpn_coco.py')


def test_a_shipped_config_is_a_base_from_any_folder(tmp_path):
    (tmp_path / 'mine.py').write_text(
        "_base_ = 'res2net_mm::faster_rcnn_r2n50_fpn_coco.py'\nmodel = dict(backbone=dict(depth=101))\n"
    )
    mine = Config.fromfile(tmp_path / 'mine.py')
    assert mine.model.backbone.depth == 101
    shipped = load_config('res2net_mm::faster_rcnn_r2n50_fpn_coco.py')
    mine.model.backbone.depth = 50
    assert mine.model == shipped.model == Config.fromfile(FPN).model


def test_a_misspelt_base_says_what_comes_nearest(tmp_path):
    (tmp_path / 'mine.py').write_text("_base_ = 'res2net_mm::faster_rcnn_r2n50_fpn_coc.py'\n")
    with pytest.raises(UserError, match=r'config not found: .*_coc\.py\nDid you mean .*_r2n50_fpn_coco\.py'):
        load_config(str(tmp_path / 'mine.py'))


@pytest.mark.parametrize(
    'base, listed',
    [('_base_/default_runtime.py', False), ('faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py', True)],
)
def test_other_packages_bases_still_resolve(base, listed, tmp_path, monkeypatch):
    read = []
    load = config_utils.load
    monkeypatch.setattr(config_utils, 'load', lambda path: read.append(path) or load(path))
    (tmp_path / 'mine.py').write_text(f"_base_ = 'mmdet::{base}'\n")
    assert Config.fromfile(tmp_path / 'mine.py').default_scope == 'mmdet'
    assert bool(read) == listed  # in metafiles, which are slow to read


@pytest.mark.parametrize(
    'option,value',
    [
        ('model.backbone.depth', 101),
        ('model.backbone.init_cfg', None),
        # not in the config, but the class takes it
        ('model.backbone.with_cp', True),
        ('model.backbone.init_cfg.prefix', 'backbone.'),
        ('model.backbone.init_cfg.input_conv', 'sum'),
        ('model.backbone.init_cfg.partial', True),
        ('default_hooks.checkpoint.save_best', 'auto'),
        ('optim_wrapper.accumulative_counts', 4),
        ('optim_wrapper.optimizer.nesterov', True),
        ('optim_wrapper.clip_grad.max_norm', 35),
        ('train_dataloader.pin_memory', True),
        ('train_dataloader.dataset.indices', 8),
        ('train_dataloader.dataset.pipeline.2.scale', (1000, 600)),
        ('randomness.seed', 0),
        ('optim_wrapper.paramwise_cfg.norm_decay_mult', 0),
        ('param_scheduler.1.convert_to_iter_based', True),
        ('model.test_cfg.rcnn.mask_thr_binary', 0.4),
        ('model.test_cfg.rcnn.nms.class_agnostic', True),
        ('find_unused_parameters', True),
        ('default_hooks.ema.type', 'EMAHook'),
        ('model.backbone.dcn.type', 'DCNv2'),
        ('load_from', 'x.pth'),
        ('custom_hooks', []),
        ('env_cfg.dist_cfg.timeout', 60),
    ],
)
def test_options_that_the_config_or_its_classes_know(option, value):
    found = load_config(FPN, {option: value})
    for part in option.split('.'):
        found = found[int(part) if part.isdigit() else part]
    assert found == value


@pytest.mark.parametrize(
    'option,message',
    [
        ('model.backbone.dept', r'model.backbone has no .dept.; did you mean model.backbone.depth\?'),
        ('model.backbone.frozen_stage', 'did you mean model.backbone.frozen_stages'),
        ('modle.backbone.depth', r'the config has no .modle.; did you mean model\?'),
        ('model.backbon.depth', 'model has no .backbon.; did you mean model.backbone'),
        ('optim_wrapper.optimiser.lr', 'did you mean optim_wrapper.optimizer'),
        ('optim_wrapper.optimizer.momentun', 'did you mean optim_wrapper.optimizer.momentum'),
        ('model.test_cfg.rcnn.score_threshold', 'did you mean model.test_cfg.rcnn.score_thr'),
        ('train_dataloader.batchsize', 'did you mean train_dataloader.batch_size'),
        ('train_dataloader.dataset.pipeline.9.scale', 'pipeline is a list of 5; .9. is no index'),
        ('train_dataloader.dataset.pipeline.x.scale', '.x. is no index'),
        ('self', "the config has no 'self'"),
        ('model.backbone.stride', r'did you mean model.backbone.strides\?'),
        ('model.backbone.planes', r'model.backbone has no .planes.'),
        ('model.backbone.xyz', 'It has: .*avg_down.*zero_init_residual'),
    ],
)
def test_unknown_options_name_the_nearest_key(option, message):
    with pytest.raises(UserError, match=message):
        load_config(FPN, {option: 1})


def test_config_not_found_names_the_nearest():
    with pytest.raises(UserError, match='config not found.*\n.*faster_rcnn_r2n50_fpn_coco.py'):
        load_config(str(CONFIGS / 'faster_rcnn_r2n50_fpn_coc.py'))
    with pytest.raises(UserError, match='config not found'):
        load_config('res2net_mm::nothing.py')
    with pytest.raises(UserError, match=r'Did you mean res2net_mm::faster_rcnn_r2n50_coco\.py\?'):
        load_config('res2net_mm::faster_rcnn_r2n50_coc.py')
    with pytest.raises(UserError, match=r'README.md is no config: its name must end in \.py'):
        load_config(str(CONFIGS.resolve().parent / 'README.md'))


def parse(*values):
    parser = argparse.ArgumentParser()
    parser.add_argument('--cfg-options', nargs='+', action=CfgOptions)
    return parser.parse_args(['--cfg-options', *values]).cfg_options


@pytest.mark.parametrize('option', ['model.backbone.depth', '=50'])
def test_an_option_without_a_key_or_a_value_is_a_usage_error(option, capsys):
    with pytest.raises(SystemExit) as error:
        parse(option)
    assert error.value.code == 2
    assert f'argument --cfg-options: {option!r} is not of the form KEY=VALUE' in capsys.readouterr().err


def test_an_option_inside_of_none():
    data = load_config(
        'res2net_mm::faster_rcnn_r2n50_coco.py',
        {f'train_dataloader.dataset.{where}backend_args.backend': 'local' for where in ('', 'pipeline.0.')},
    ).train_dataloader.dataset
    assert data.backend_args == data.pipeline[0].backend_args == dict(backend='local')


def test_option_values():
    options = parse('a=/my files/x.pth', 'b=[1,(2,3)]', 'c=1e-3', 'd=None', '--cfg-options', 'e=1,2', 'c=x=y')
    assert options == dict(a='/my files/x.pth', b=[1, (2, 3)], c='x=y', d=None, e=[1, 2])


@pytest.mark.parametrize(
    'value',
    [
        '', 'a', '50', '-1', '+1', ' 1 ', '1_000', '.5', '1e-3', 'nan', '-inf', '0x10', 'None', 'none',
        'True', 'true', 'FALSE', 'a=b', 'f(a)', 'a[0]', 'img_{:05}.jpg', "it's", 'a/b.pth', '/data/a(b/c',
        'a,b', '1,2', 'a, b', 'True,None,x', 'a,', ',1', 'a,,b', '/a,/b', 'a/x,b/y', '/a,', 's3://a, s3://b',
        '[]', '()', '[,]', '[a]', '(1)', '(1,)', '[a,]', '[ a , b ]', '(1000, 600)', '[-1,.5,1e5]',
        '[(a,b),(c,d)]', '((1,2),(3,4))', '[[]]', '[[],()]', '[[1,(2,[3])],4]', 'a,[b,c]', 'a,(b,c),d',
        "'a'", '"a"', "['a','b']", """("a",'b')""", "'a','b'", "''", "['a','']", '"it\'s"', "'it's'",
        "[it's,b]", 'res2net://res2net50_26w_4s', '[/data/a,/data/b]', '(a/x,b/y)', '{a}/x', '(1)/x',
        "/a,'b','c'", 'C:\\x',
    ],
)  # fmt: skip
def test_values_that_mmengine_reads(value):
    assert repr(parse(f'x={value}')['x']) == repr(DictAction._parse_iterable(value))


@pytest.mark.parametrize(
    'value,read',
    [
        # in quotes it is a string
        ("('traffic light','dog')", ('traffic light', 'dog')),
        ("('0','1')", ('0', '1')),
        ("'1'", '1'),
        ('"None"', 'None'),
        ("['true',true]", ['true', True]),
        ("'[1,2]'", '[1,2]'),
        ('[\'a,b\', "c)"]', ['a,b', 'c)']),
        ('["it\'s (1), or not"]', ["it's (1), or not"]),
        ("' a '", ' a '),
        (r"'C:\new, x'", r'C:\new, x'),
        ('\'"a"\'', '"a"'),
        ("'{a}'", '{a}'),
        # words keep their spaces, within lists and outside
        ('traffic light', 'traffic light'),
        ('[traffic light, dog]', ['traffic light', 'dog']),
        ('traffic light,dog', ['traffic light', 'dog']),
        ('[\n  (a b,\t1),\n]', [('a b', 1)]),
        # paths keep what is theirs
        ('"/data/a,b (1)/coco"', '/data/a,b (1)/coco'),
        ('/data/a,b (1)/coco', '/data/a,b (1)/coco'),
        ('/data/a (1, 2)/coco', '/data/a (1, 2)/coco'),
        ('/data/a, b', '/data/a, b'),
        ("/data/dogs' (1", "/data/dogs' (1"),
        ('./a,b', './a,b'),
        ('data/a (1)/b', 'data/a (1)/b'),
        ('data/a(1,2)/b', 'data/a(1,2)/b'),
        ('(a)/(b)', '(a)/(b)'),
        ('https://x.org/y?a=1,2', 'https://x.org/y?a=1,2'),
        (r'C:\a, b\new', r'C:\a, b\new'),
        (r'C:\Program Files (x86)\a', r'C:\Program Files (x86)\a'),
        (r'C:/a,b', r'C:/a,b'),
        (r'C:\a,D:\b', [r'C:\a', r'D:\b']),
        (r'..\a,b', r'..\a,b'),
        ('[/data/x (1)/y,/b]', ['/data/x (1)/y', '/b']),
        ("/a b,'/c,d'", ['/a b', '/c,d']),
        # lists without brackets of lists
        ('(a,b),(c,d)', [('a', 'b'), ('c', 'd')]),
    ],
)
def test_values_that_mmengine_misreads(value, read):
    assert repr(parse(f'x={value}')['x']) == repr(read)


@pytest.mark.parametrize(
    'value',
    [
        '(1,2', '[1,2', '1,2)', '[(a]', '([a)]', '[(a)', 'a(b', 'a)', 'a{b', '[', '(/a,/b', '/a,/b)', '[/a',
        "'a", 'a"', "[a,'b]", "['a' 'b']", "'a' 'b'", "'a'/b", '"/data/a b/x', 'say "a,b" c', '["a",b"]',
        '{}', '{a:1}', '[{a:1,b:2}]', "{'a': '/x'}", 'dict(a=1)', 'dict(a=1,b=/x)', '[dict(type="X"),1]',
        'f(a,b)', '[f(a,b)]', '(a)(b)', '[1,2](3)', '[(1)(2)]', '[1][2]',
        '[dict(cfg=dict(type="X"),position="y")]', pytest.param('[' * 1000 + ']' * 1000, id='deep'),
    ],
)  # fmt: skip
def test_a_value_that_cannot_be_read_is_a_usage_error(value, capsys):
    with pytest.raises(SystemExit) as error:
        parse('a=1', f'model.x={value}', 'b=2')
    assert error.value.code == 2
    text = capsys.readouterr().err
    assert text.count('error: ') == 1
    assert f'argument --cfg-options: model.x={value}: ' in text and 'write the rest in a config' in text


def test_class_names_reach_the_config():
    classes = ('traffic light', '0')
    options = parse("train_dataloader.dataset.metainfo.classes=('traffic light','0')")
    assert load_config(FPN, options).train_dataloader.dataset.metainfo.classes == classes


def test_options_of_dicts_without_a_class():
    cfg = Config(dict(randomness=dict(seed=0), train_dataloader=dict(batch_size=2)))
    check_option(cfg, 'randomness.deterministic')
    check_option(cfg, 'train_dataloader.num_workers')
    with pytest.raises(UserError, match='did you mean randomness.seed'):
        check_option(cfg, 'randomness.sed')
    with pytest.raises(UserError, match='did you mean train_dataloader.num_workers'):
        check_option(cfg, 'train_dataloader.num_worker')


@pytest.mark.parametrize('name', ['faster_rcnn_r2n50_coco.py', 'faster_rcnn_r50_coco.py'])
def test_a_shared_head_starts_as_its_backbone_does(name):
    file = str(CONFIGS / name)
    model = load_config(file).model
    assert model.roi_head.shared_head.init_cfg == model.backbone.init_cfg
    model = load_config(file, {'model.backbone.init_cfg': None}).model
    assert model.roi_head.shared_head.init_cfg is None
    model = load_config(file, {'model.backbone.init_cfg.checkpoint': 'x.pth'}).model
    assert model.roi_head.shared_head.init_cfg.checkpoint == 'x.pth'
    options = {'model.backbone.init_cfg': None, 'model.roi_head.shared_head.init_cfg.checkpoint': 'y.pth'}
    assert load_config(file, options).model.roi_head.shared_head.init_cfg.checkpoint == 'y.pth'


def test_options_make_a_dict_of_none():
    file = str(CONFIGS.parent / 'demo/configs/faster_rcnn_r2n50_fpn_coco.py')
    options = {'model.backbone.init_cfg.type': 'Pretrained', 'model.backbone.init_cfg.checkpoint': 'x.pth'}
    assert load_config(file, options).model.backbone.init_cfg == dict(type='Pretrained', checkpoint='x.pth')
    with pytest.raises(UserError, match="model.backbone.depth is 50, which has no 'x'"):
        load_config(file, {'model.backbone.depth.x': 1})


def test_arguments_of_a_new_type_are_checked_against_it():
    options = {
        'optim_wrapper.optimizer.betas': (0.9, 0.95),
        'optim_wrapper.optimizer.type': 'AdamW',
        'model.test_cfg.rcnn.nms.min_score': 0.1,
        'model.test_cfg.rcnn.nms.type': 'soft_nms',
    }
    assert load_config(FPN, options).optim_wrapper.optimizer.betas == (0.9, 0.95)
    with pytest.raises(UserError, match="optimizer has no 'betas'"):
        load_config(FPN, {'optim_wrapper.optimizer.betas': (0.9, 0.95)})


def test_a_toolbox_that_is_not_installed(tmp_path):
    (tmp_path / 'mine.py').write_text("default_scope = 'mmnone'\nmodel = dict(type='X')\n")
    with pytest.raises(UserError, match="default_scope is 'mmnone', but mmnone is not installed"):
        load_config(str(tmp_path / 'mine.py'), {'model.depth': 1})


def test_a_missing_base(tmp_path):
    (tmp_path / 'mine.py').write_text("_base_ = 'gone.py'\n")
    with pytest.raises(UserError, match='a base of .*mine.py was not found: .*gone.py'):
        load_config(str(tmp_path / 'mine.py'))


def test_a_base_of_a_toolbox_that_is_not_installed(tmp_path):
    (tmp_path / 'mine.py').write_text("_base_ = 'mmrotate::_base_/default_runtime.py'\n")
    with pytest.raises(UserError, match='mine.py needs a package that is missing: mmrotate is not installed'):
        load_config(str(tmp_path / 'mine.py'))
    assert how_to_install('mmrotate is not installed') == ''
    advice = how_to_install('mmdet is not installed, please install mmdet manually')
    assert advice.startswith('\nTo install it: pip install onedl-mmdetection ')
    assert how_to_install("'mmpose'").startswith('\nmake env')
    extras = (Path(__file__).parents[1] / 'pyproject.toml').read_text()
    for name, distributions in ONEDL.items():
        (line,) = (line for line in extras.splitlines() if line.startswith(f'{name} = ['))
        assert all(distribution in line for distribution in distributions.split())


def test_openmmlabs_toolboxes_are_not_mixed_with_onedls(tmp_path, monkeypatch):
    (tmp_path / 'mmengine-0.10.7.dist-info').mkdir()
    (tmp_path / 'mmengine-0.10.7.dist-info' / 'METADATA').write_text('Name: mmengine\nVersion: 0.10.7\n')
    monkeypatch.syspath_prepend(tmp_path)
    assert how_to_install('mmdet is not installed') == '\nTo install it: pip install mmdet'
    assert "'setuptools<81'" in how_to_install("No module named 'pkg_resources'")


def test_a_resnet_is_replaced_as_it_is(tmp_path):
    from mmengine.registry import MODELS

    (tmp_path / 'mine.py').write_text(
        "_base_ = 'mmdet::_base_/models/faster-rcnn_r50_fpn.py'\n"
        "model = dict(backbone=dict(type='res2net_mm.Res2Net', init_cfg=None))\n"
    )
    backbone = load_config(str(tmp_path / 'mine.py')).model.backbone
    assert backbone.style == 'pytorch'
    assert len(MODELS.build(backbone).stages) == 4


@pytest.mark.parametrize('option', ['data_root', 'train_pipeline.2.scale', 'vis_backends.0.type'])
def test_variables_of_the_config_files_are_refused(option):
    """Their effect is over when options come: mmengine would take the option and change nothing."""
    with pytest.raises(UserError, match='is a variable of the config files'):
        load_config(str(CONFIGS / 'faster_rcnn_r2n50_coco.py'), {option: 'x'})
