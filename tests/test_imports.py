"""mmcv without compiled ops, and toolboxes that don't import."""

import importlib
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from forks import run_command, run_program
from mmengine.config import Config

ROOT = Path(__file__).parents[1]
CONFIG = ROOT / 'demo' / 'configs' / 'faster_rcnn_r2n50_fpn_coco.py'
EXT = ROOT / 'res2net_mm' / 'ops' / 'ext.py'
SUPPRESS = """
import mmcv, torch
from mmcv.ops import nms
boxes = torch.tensor([[0., 0, 9, 9], [1, 0, 9, 9], [50, 50, 60, 60]])
print(mmcv.__file__, nms(boxes, torch.tensor([.9, .8, .7]), .5)[1].tolist())
"""


@pytest.fixture(scope='module')
def bare_mmcv(tmp_path_factory):
    """A folder with an mmcv that has no ops."""
    folder = tmp_path_factory.mktemp('site')
    installed = Path(find_spec('mmcv').origin).parent
    shutil.copytree(installed, folder / 'mmcv', ignore=shutil.ignore_patterns('_ext*', '__pycache__', 'csrc'))
    return folder


def test_importing_the_package_is_enough(bare_mmcv):
    assert "No module named 'mmcv._ext'" in run_program('import mmcv.ops', PYTHONPATH=str(bare_mmcv)).stderr
    result = run_program('import res2net_mm\nimport mmdet.models' + SUPPRESS, PYTHONPATH=str(bare_mmcv))
    assert result.stdout.split('\n')[-2:] == [f'{bare_mmcv}/mmcv/__init__.py [0, 2]', ''], result.stderr


@pytest.mark.parametrize(
    ('own', 'spins'), [({}, '10000'), ({'GOMP_SPINCOUNT': '7'}, '7'), ({'OMP_WAIT_POLICY': 'ACTIVE'}, 'None')]
)
def test_threads_that_wait_spin_briefly_unless_the_user_says_otherwise(own, spins):
    program = "import os, res2net_mm; print(os.environ.get('GOMP_SPINCOUNT'))"
    kept = {k: v for k, v in os.environ.items() if k not in ('GOMP_SPINCOUNT', 'OMP_WAIT_POLICY')}
    result = subprocess.run([sys.executable, '-c', program], env=kept | own, capture_output=True, text=True)
    assert result.stdout.strip() == spins, result.stderr


def test_what_finds_the_ops_is_a_finder_like_any_other():
    importlib.invalidate_caches()  # which asks all of them
    assert find_spec('mmcv._ex') is None


def test_an_environment_made_here_needs_no_import(bare_mmcv, tmp_path):
    """What install.sh does: in any order, in tools that don't know of this package."""
    shutil.copytree(bare_mmcv / 'mmcv', tmp_path / 'mmcv')
    shutil.copy(EXT, tmp_path / 'mmcv' / '_ext.py')
    result = run_program('import mmdet.models' + SUPPRESS, PYTHONPATH=str(tmp_path))
    assert result.stdout.split('\n')[-2:] == [f'{tmp_path}/mmcv/__init__.py [0, 2]', ''], result.stderr
    program = "from mmcv.utils.env import collect_env; print(collect_env()['MMCV Compiler'])"
    assert run_program(program, PYTHONPATH=str(tmp_path)).stdout == "none (torchvision's ops)\n"


def test_compiled_ops_come_first(bare_mmcv, tmp_path):
    shutil.copytree(bare_mmcv / 'mmcv', tmp_path / 'mmcv')
    (tmp_path / 'mmcv' / '_ext.py').write_text('compiled = True\n')
    program = 'import res2net_mm\nfrom mmcv import _ext\nprint(_ext.compiled)'
    result = run_program(program, PYTHONPATH=str(tmp_path))
    assert result.stdout.endswith('True\n'), result.stderr


@pytest.mark.parametrize('tool', ['train.py', 'test.py'])
def test_a_toolbox_that_does_not_import_says_why(tool, tmp_path):
    (tmp_path / 'imgaug.py').write_text("raise ImportError('imgaug is broken here')\n")
    arguments = [CONFIG] if tool == 'train.py' else [CONFIG, 'epoch_1.pth']
    command = [sys.executable, ROOT / 'tools' / tool, *arguments]
    result = run_command(command, tmp_path, {'PYTHONPATH': str(tmp_path)})
    assert result.returncode == 2 and 'Traceback' not in result.stderr
    assert result.stderr.endswith(
        f'{tool}: error: mmdet is installed, but importing it fails:\n'
        f'  ImportError: imgaug is broken here\n  in {tmp_path}/imgaug.py, line 1\n'
    )


@pytest.mark.parametrize('file', ['registry.py', 'models.py'])
def test_whatever_an_import_raises(file, tmp_path):
    (tmp_path / 'box').mkdir()
    (tmp_path / 'box' / '__init__.py').touch()
    (tmp_path / 'box' / 'registry.py').write_text(
        'from mmengine.registry import MODELS as root, Registry\n'
        "MODELS = Registry('model', parent=root, scope='box', locations=['box.models'])\n"
    )
    (tmp_path / 'box' / 'models.py').touch()
    with (tmp_path / 'box' / file).open('a') as source:
        source.write('class Model(*None):\n    pass\n')
    (tmp_path / 'config.py').write_text("default_scope = 'box'\nmodel = dict(type='Model')\n")
    program = (
        'from res2net_mm import config, errors, preflight\n'
        'try:\n'
        f"    preflight.check(config.load_config({str(tmp_path / 'config.py')!r}), 'test')\n"
        'except errors.UserError as error:\n'
        '    print(error)\n'
    )
    result = run_program(program, PYTHONPATH=str(tmp_path))
    assert 'box is installed, but importing it fails:\n  TypeError: ' in result.stdout, result.stderr
    assert f'  in {tmp_path}/box/{file}, line ' in result.stdout


def test_bases_of_a_toolbox_whose_distribution_has_another_name(tmp_path):
    """OneDL's mmseg is not mmengine's mmsegmentation."""
    pytest.importorskip('mmseg')
    (tmp_path / 'mine.py').write_text("_base_ = 'mmseg::_base_/models/deeplabv3plus_r50-d8.py'\n")
    assert Config.fromfile(tmp_path / 'mine.py').model.decode_head.type == 'DepthwiseSeparableASPPHead'
