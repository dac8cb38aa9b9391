"""Trainings of two processes, and such whose processes are killed, stopped or told to end, as commands."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from forks import free_port, run_command

from res2net_mm.checkpoints import read_checkpoint
from res2net_mm.engine.saving import find_checkpoint
from res2net_mm.results.curves import read_scalars

ROOT = Path(__file__).parents[2]
SAVE_OFTEN = [
    'default_hooks.checkpoint.by_epoch=False',
    'default_hooks.checkpoint.interval=1',
    'default_hooks.checkpoint.max_keep_ckpts=1',
    'randomness.seed=1',
]
TWO = ['train_cfg.max_epochs=3', 'randomness.seed=1']
pytestmark = pytest.mark.skipif(not Path('/proc').is_dir(), reason='looks for processes in /proc')
ENVIRONMENT = {'PYTHON': sys.executable, 'OMP_NUM_THREADS': '1', 'CUDA_VISIBLE_DEVICES': ''}


@pytest.fixture
def start(tmp_path, tiny_config):
    """Start a training in ``tmp_path/run``; whatever becomes of it, it ends with the test."""
    started = []

    def start(*options, processes=1, resume=False, work_dir='run'):
        launcher = [sys.executable] if processes == 1 else ['bash', str(ROOT / 'tools' / 'dist_train.sh')]
        command = [str(ROOT / 'tools' / 'train.py')] if processes == 1 else []
        command = [*launcher, *command, str(tiny_config), *([str(processes)] if processes > 1 else [])]
        command += ['--work-dir', work_dir, *(['--resume'] if resume else []), '--cfg-options', *options]
        log = open(tmp_path / f'{len(started)}.log', 'w+')
        process = subprocess.Popen(
            command,
            cwd=tmp_path,
            env={**os.environ, **ENVIRONMENT, 'PORT': free_port()},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        process.printed = lambda: Path(log.name).read_text(errors='replace')
        started.append(process)
        return process

    yield start
    for process in started:
        for pid in (*children(process), process.pid):  # torchrun's are no group of its own
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
        process.wait()


def wait_for(process, text, seconds=120):
    """Wait until a process has printed something."""
    end = time.monotonic() + seconds
    while text not in process.printed():
        assert process.poll() is None and time.monotonic() < end, process.printed()[-3000:]
        time.sleep(0.02)


def children(process):
    """The processes that a process started, in their order."""
    found = []
    for stat in Path('/proc').glob('[0-9]*/stat'):
        with contextlib.suppress(OSError):  # it has ended
            if stat.read_text().rpartition(')')[2].split()[1] == str(process.pid):
                found.append(int(stat.parent.name))
    return sorted(found)


def is_running(pid):
    try:
        return Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0] != 'Z'
    except OSError:
        return False


def weights(work_dir):
    return read_checkpoint(find_checkpoint(work_dir)[0])['state_dict']


def assert_same(first, second):
    assert first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


@pytest.fixture(scope='module')
def whole(tiny_config, tmp_path_factory):
    """The work directory of a training by two processes that nothing interrupted, and what it printed."""
    work_dir = tmp_path_factory.mktemp('two') / 'run'
    command = ['bash', ROOT / 'tools' / 'dist_train.sh', tiny_config, 2, '--work-dir', work_dir]
    result = run_command([*command, '--cfg-options', *TWO], ROOT, {**ENVIRONMENT, 'PORT': free_port()})
    assert result.returncode == 0, result.stderr[-3000:]
    return work_dir, result.stdout


def test_two_processes(whole, tiny_config, run):
    work_dir, printed = whole
    train, val = read_scalars(work_dir)
    assert [r['step'] for r in train] == [*range(1, 7)]  # 6 images an epoch, in batches of 2, by 2
    assert 'coco/bbox_mAP' in val[0]
    assert printed.count('Checkpoint: ') == 1
    result = run('dist_test.sh', tiny_config, work_dir / 'epoch_3.pth', 2, PORT=free_port(),
                 CUDA_VISIBLE_DEVICES='')  # fmt: skip
    assert result.returncode == 0, result.stderr[-3000:]
    assert result.stdout.count('AP50') == 1


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_to_the_whole_process_group(number, start, tmp_path):
    """As ``timeout`` and Slurm send it: to the data workers, too."""
    slow = ['train_dataloader.num_workers=2', 'train_dataloader.dataset.pipeline.2.scale=(1200,900)']
    cut = start(*SAVE_OFTEN, *slow, 'train_cfg.max_epochs=300')
    wait_for(cut, 'Saving checkpoint at 1 iterations')
    os.killpg(cut.pid, number)
    assert cut.wait(60) == 75
    assert f'{number.name}: saved' in cut.printed() and (tmp_path / 'run' / 'interrupted.pth').exists()


EARLY = """
import os, signal, sys


class Finder:
    def find_spec(name, path=None, target=None):
        if name == 'mmdet':
            sys.meta_path.remove(Finder)
            os.kill(os.getpid(), signal.SIGUSR1)


sys.meta_path.insert(0, Finder)
"""


def test_a_signal_before_the_training_begins(tiny_config, run, tmp_path):
    (tmp_path / 'sitecustomize.py').write_text(EARLY)
    result = run('train.py', tiny_config, '--work-dir', tmp_path / 'run', PYTHONPATH=str(tmp_path))
    assert result.returncode == 75
    assert result.stderr.endswith(
        'train.py: interrupted; --resume goes on from the last checkpoint, if there is one\n'
    )
    assert 'Traceback' not in result.stderr and not [*tmp_path.glob('run/*.pth')]


SLOW_DISK = """
import os, time

replace = os.replace
os.replace = lambda part, path: (time.sleep(2 * str(path).endswith('interrupted.pth')), replace(part, path))
"""


def test_sigterm_to_one_of_two_processes_saves_for_both(whole, start, tmp_path, monkeypatch):
    (tmp_path / 'sitecustomize.py').write_text(SLOW_DISK)
    with monkeypatch.context() as context:
        context.setenv('PYTHONPATH', str(tmp_path))
        cut = start(*TWO, 'train_cfg.max_epochs=300', processes=2)
    wait_for(cut, 'Saving checkpoint at 1 epochs')
    other = children(cut)[1]
    os.kill(other, signal.SIGTERM)
    end = time.monotonic() + 60
    while is_running(other):
        assert time.monotonic() < end
        time.sleep(0.02)
    assert (tmp_path / 'run' / 'interrupted.pth').exists()  # it waited for the first, which saves
    assert cut.wait(60) != 0
    assert 'SIGTERM: saved' in cut.printed() and (tmp_path / 'run' / 'interrupted.pth').exists()
    assert start(*TWO, processes=2, resume=True).wait(120) == 0
    assert not (tmp_path / 'run' / 'interrupted.pth').exists()
    assert_same(weights(whole[0]), weights(tmp_path / 'run'))


@pytest.mark.slow
@pytest.mark.parametrize('seed', range(3))
def test_killed_again_and_again(start, tmp_path, seed):
    options = [*SAVE_OFTEN, 'train_cfg.max_epochs=60', 'optim_wrapper.accumulative_counts=2']
    draw, kills = random.Random(seed), 0
    process = start(*options)
    while process.poll() is None and kills < 12:
        wait_for(process, 'Saving checkpoint at')
        time.sleep(draw.uniform(0, 1.5))
        process.kill()
        kills += process.wait() == -signal.SIGKILL
        found, problems = find_checkpoint(tmp_path / 'run')
        assert found and not problems
        process = start(*options, resume=True)
    assert process.wait(200) == 0
    assert kills == 12, f'it ended after {kills} kills'
    assert start(*options, work_dir='whole').wait(200) == 0
    assert_same(weights(tmp_path / 'whole'), weights(tmp_path / 'run'))


@pytest.mark.slow
def test_a_data_worker_that_is_stopped_ends_the_run(start):
    workers = [f'train_dataloader.{k}' for k in ('num_workers=2', 'persistent_workers=True', 'timeout=3')]
    process = start(*workers, 'train_cfg.max_epochs=300')
    wait_for(process, 'Saving checkpoint at 2 epochs')
    for worker in children(process):
        os.kill(worker, signal.SIGSTOP)
    assert process.wait(60) == 2
    assert 'error: a data worker has not answered in time' in process.printed()


@pytest.mark.slow
def test_a_process_that_is_stopped_ends_the_others(start):
    process = start('train_cfg.max_epochs=300', 'env_cfg.dist_cfg.timeout=5', processes=2)
    wait_for(process, 'Saving checkpoint at 2 epochs')
    os.kill(children(process)[1], signal.SIGSTOP)
    wait_for(process, 'does not answer')


def test_a_worker_that_hangs_does_not_keep_the_process(tmp_path):
    script = tmp_path / 'hang.py'
    script.write_text("""
import time
from functools import partial
from torch.utils.data import DataLoader
from res2net_mm.engine.guard import start_worker

class Data(list):
    def __getitem__(self, index):
        time.sleep(1000 if index else 0)
        return index

how = dict(num_workers=2, multiprocessing_context='fork', worker_init_fn=partial(start_worker, None))
for batch in DataLoader(Data(range(8)), **how):
    raise KeyError('an error of its own')
""")
    result = run_command([sys.executable, script], tmp_path, {**ENVIRONMENT, 'PYTHONPATH': str(ROOT)})
    assert result.returncode == 1 and "KeyError: 'an error of its own'" in result.stderr
