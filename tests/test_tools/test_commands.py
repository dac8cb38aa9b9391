"""``res2net-mm COMMAND`` is ``tools/COMMAND.py``, but for what both are called."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[2] / 'tools'


@pytest.fixture
def command(tmp_path):
    """Run a command in an empty folder."""

    def command(*args, launcher=()):
        return subprocess.run(
            [sys.executable, *launcher, '-m', 'res2net_mm', *map(str, args)],
            cwd=tmp_path,
            env={**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONPATH': str(TOOLS.parent)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
        )

    return command


@pytest.mark.parametrize('arguments', [[], ['-h'], ['--help']])
def test_help_lists_every_script_with_a_line_of_its_own(arguments, command):
    result = command(*arguments)
    assert result.returncode == 0 and result.stderr == ''
    listed = dict(re.findall(r'^  ([a-z-]+) +(.+)$', result.stdout, re.M))
    scripts = [p for p in TOOLS.glob('*.py') if not p.stem.startswith('benchmark_')]
    assert listed == {
        p.stem.replace('_', '-'): ast.get_docstring(ast.parse(p.read_text())).split('\n')[0] for p in scripts
    }
    assert {'train', 'test', 'predict', 'export', 'results', 'report', 'grad-cam', 'prepare-data'} <= {
        *listed
    }


@pytest.mark.parametrize(
    'name, near', [('trian', '; did you mean train?'), ('gradcam', '; did you mean grad-cam?'), ('xyz', '')]
)
def test_an_unknown_command(name, near, command):
    result = command(name, '--help')
    assert result.returncode == 2 and result.stdout == ''
    first, second = result.stderr.splitlines()
    assert first == f'res2net-mm: error: no command {name!r}{near}'
    assert second.startswith('There are: ') and ', train' in second


def test_help_of_a_command_needs_no_pytorch(command, tmp_path):
    for name in ('torch.py', 'mmcv.py'):
        (tmp_path / name).write_text('raise SystemExit("imported")\n')
    result = command('predict', '--help')
    assert result.returncode == 0 and result.stdout.startswith('usage: res2net-mm predict [-h] ')


@pytest.mark.parametrize(
    'arguments, message',
    [
        (['train', 'x.py'], 'res2net-mm train: error: x.py has no model'),
        (['export', 'x.py', 'x.jpg'], 'res2net-mm export: error: x.jpg'),
        (['export', 'x.py'], 'usage: res2net-mm export [-h] '),
        (['own_data', 'no', '--method', 'dss'], 'res2net-mm own-data: error: '),
        (['check-data', 'no.py'], 'res2net-mm check-data: error: '),
        (['publish-model', 'no.pth'], 'res2net-mm publish-model: error: checkpoint not found: '),
        (['prepare-data', 'coco', '--root', 'x.py'], 'res2net-mm prepare-data: error: --root x.py: that'),
    ],
)
def test_errors_name_the_command(arguments, message, command, tmp_path):
    (tmp_path / 'x.py').touch()
    result = command(*arguments)
    assert result.returncode == 2 and result.stderr.startswith(message)
    assert 'Traceback' not in result.stderr


def test_hints_are_commands_too(command, tmp_path):
    result = command('train', 'res2net_mm::faster_rcnn_r2n50_coco.py')
    assert 'see what is missing: res2net-mm prepare-data coco --root data/coco\n' in result.stderr
    result = command('prepare-data', 'coco', '--workers', '2')
    assert result.stderr.endswith(
        'res2net-mm prepare-data coco --root data/coco --archives FOLDER_WITH_THEM\n'
    )


@pytest.mark.slow
def test_train_under_torchrun(command, tiny_config, tmp_path):
    launcher = '-m', 'torch.distributed.run', '--standalone', '--nproc_per_node=2'
    options = '--launcher', 'pytorch', '--work-dir', tmp_path / 'run'
    result = command('train', tiny_config, *options, launcher=launcher)
    assert result.returncode == 0, result.stderr[-3000:]
    assert (tmp_path / 'run' / 'last_checkpoint').read_text() == str(tmp_path / 'run' / 'epoch_1.pth')
