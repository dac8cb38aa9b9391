import re
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
import yaml
from forks import run_command, run_program

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope='module')
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp('wheel')
    command = [sys.executable, '-m', 'pip', 'wheel', ROOT, '-q', '-w', folder]
    result = run_command([*command, '--no-deps', '--no-build-isolation'], ROOT, {})
    assert result.returncode == 0, result.stderr
    with zipfile.ZipFile(next(folder.glob('res2net_mm-*.whl'))) as file:
        file.extractall(folder / 'site')
    return folder / 'site'


def test_a_wheel_carries_configs_and_tools(wheel):
    mim = wheel / 'res2net_mm' / '.mim'
    for folder in ('configs', 'tools'):
        carried = {p.relative_to(mim): p.read_bytes() for p in (mim / folder).rglob('*.*')}
        ours = {
            p.relative_to(ROOT): p.read_bytes() for p in (ROOT / folder).rglob('*.*') if p.suffix != '.pyc'
        }
        assert carried == ours and carried
    index = yaml.safe_load((mim / 'model-index.yml').read_text('utf-8'))
    assert index['Import'] and all((mim / file).is_file() for file in index['Import'])


def test_a_source_distribution_can_test_itself(tmp_path):
    run_program(f'from setuptools import build_meta; build_meta.build_sdist({str(tmp_path)!r})', ROOT)
    with tarfile.open(next(tmp_path.glob('*.tar.gz'))) as archive:
        carried = {Path(*Path(name).parts[1:]) for name in archive.getnames()}
    for folder in ('configs', 'demo', 'docs', 'requirements', 'res2net_mm', 'tests', 'tools'):
        ours = {
            p.relative_to(ROOT) for p in (ROOT / folder).rglob('*.*') if p.is_file() and p.suffix != '.pyc'
        }
        assert ours - carried == {p for p in ours if '.mim' in p.parts} and ours & carried
    assert {Path(p) for p in ('Makefile', 'model-index.yml', 'CHANGELOG.md', 'LICENSE')} <= carried


REFUSE_LINKS = """
import os
from setuptools import build_meta

def symlink(*_, **__):
    raise OSError('A required privilege is not held by the client')

os.symlink = symlink
build_meta.build_editable('.')
"""


def test_a_checkout_is_installed_where_no_links_can_be_made(tmp_path):
    run_program(f'from setuptools import build_meta; build_meta.build_sdist({str(tmp_path)!r})', ROOT)
    with tarfile.open(next(tmp_path.glob('*.tar.gz'))) as archive:
        archive.extractall(tmp_path)
    (checkout,) = tmp_path.glob('*/')
    built = run_program(REFUSE_LINKS, checkout)
    assert built.returncode == 0 and 'privilege' not in built.stderr, built.stderr
    found = run_program(
        'from res2net_mm.__main__ import CONFIGS, commands; print(CONFIGS, *commands())', checkout
    )
    configs, *tools = found.stdout.split()
    assert configs == str(checkout / 'configs') and {'train', 'test', 'predict'} <= {*tools}, found.stderr


def test_installing_a_wheel_makes_the_command(wheel, tmp_path):
    (entries,) = wheel.glob('*.dist-info/entry_points.txt')
    assert entries.read_text().split() == ['[console_scripts]', 'res2net-mm', '=', 'res2net_mm.__main__:main']
    command = [sys.executable, '-m', 'res2net_mm', 'publish-model', 'no.pth']
    result = run_command(command, tmp_path, {'PYTHONPATH': str(wheel)})
    assert result.returncode == 2 and result.stderr.startswith('res2net-mm publish-model: error: ')


def test_a_wheel_leaves_a_users_own_stack_alone(wheel):
    metadata = next(wheel.glob('*.dist-info/METADATA')).read_text()
    required = re.findall('^Requires-Dist: ([^;\n]*)$', metadata, re.MULTILINE)  # without an extra
    names = {re.match(r'[\w-]+', line)[0] for line in required}
    assert names == set('torch torchvision numpy markdown-it-py matplotlib pillow pyyaml rich'.split())


def test_a_wheels_configs_are_bases(wheel, tmp_path):
    (tmp_path / 'mine.py').write_text("_base_ = 'res2net_mm::faster_rcnn_r2n50_coco.py'\nwork_dir = 'x'\n")
    program = (
        'import res2net_mm; from mmengine.config import Config; '
        "cfg = Config.fromfile('mine.py'); print(res2net_mm.__file__, cfg.model.backbone.type, cfg.work_dir)"
    )
    printed = run_program(program, tmp_path, PYTHONPATH=str(wheel))
    expected = [f'{wheel}/res2net_mm/__init__.py', 'res2net_mm.Res2Net', 'x']
    assert printed.stdout.split()[-3:] == expected, printed.stderr


@pytest.mark.parametrize('first', ['res2net_mm', 'mmengine.hub'])
def test_a_wheels_configs_and_weights_are_found_by_mmengines_hub(wheel, tmp_path, first):
    program = (
        f'import {first}, res2net_mm; from mmengine.hub import get_config; '
        "cfg = get_config('res2net_mm::imagenet/r2n50_imagenet.py', pretrained=True); "
        "print(cfg.model_path, get_config('res2net_mm::htc_r2n101v1b_coco.py').model.type)"
    )
    printed = run_program(program, tmp_path, PYTHONPATH=str(wheel))
    weights, detector = printed.stdout.split()[-2:] or [printed.stderr, '']
    assert weights.endswith('/res2net50_26w_4s-06e79181.pth') and detector == 'HybridTaskCascade', (
        printed.stderr
    )


def test_a_base_for_tools_that_do_not_import_the_package(tmp_path):
    (tmp_path / 'mine.py').write_text(
        "_base_ = __import__('res2net_mm') and 'res2net_mm::faster_rcnn_r2n50_coco.py'\n"
    )
    program = "from mmengine.config import Config; print(Config.fromfile('mine.py').model.backbone.type)"
    printed = run_program(program, tmp_path)
    assert printed.stdout.split()[-1:] == ['res2net_mm.Res2Net'], printed.stderr


@pytest.mark.parametrize('missing', ['mmengine', 'mmcv'])
def test_importing_without_the_foundations_says_what_to_install(missing):
    program = f"""
import importlib.util, sys
find_spec = importlib.util.find_spec
importlib.util.find_spec = lambda name, *a: None if name == '{missing}' else find_spec(name, *a)
import res2net_mm
"""
    result = run_program(program)
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith(f'ImportError: res2net_mm needs {missing}: install ')


def test_the_backbone_needs_none_of_the_toolboxes():
    program = """
import sys
for toolbox in ('mmdet', 'mmseg', 'mmpose', 'mmpretrain', 'timm'):
    sys.modules[toolbox] = None  # importing it fails
import torch
from mmengine.registry import MODELS
cfg = dict(type='res2net_mm.Res2Net', depth=(1, 1, 1, 1), dcn=dict(type='DCNv2'), stage_with_dcn=(True,) * 4)
network = MODELS.build(cfg)
network.init_weights()
print(*(tuple(x.shape) for x in network(torch.rand(1, 3, 96, 96))))
"""
    result = run_program(program)
    assert result.stdout.endswith('(1, 2048, 3, 3)\n'), result.stderr
