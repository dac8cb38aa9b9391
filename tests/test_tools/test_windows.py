"""A training where Python lacks what it lacks on Windows: a stand-in, for tests that run elsewhere."""

import shutil
from pathlib import Path

import pytest
from forks import run_program

# Some signals, all of alarms and masks, folders that can be opened, files that can be synced though they are
# open for reading, and removed or replaced though they are open or mapped; data workers that are forked.
STAND_IN = """
import fcntl, multiprocessing, os, signal, traceback
from pathlib import Path

for name in 'SIGUSR1', 'SIGALRM', 'alarm', 'setitimer', 'pthread_sigmask':
    delattr(signal, name)
del os.sched_getaffinity
multiprocessing.set_start_method('spawn')
open_file, sync = os.open, os.fsync


def open_no_folder(path, flags, *args, **kwargs):
    if os.path.isdir(path):
        raise PermissionError(13, 'Permission denied', path)
    return open_file(path, flags, *args, **kwargs)


def sync_what_is_written(file):
    if fcntl.fcntl(file, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
        raise OSError(9, 'Bad file descriptor')
    sync(file)


def guarded(function):
    def call(*paths, **kwargs):
        used = {os.path.realpath(file) for file in Path('/proc/self/fd').iterdir()}
        used |= {line.split(maxsplit=5)[-1].rstrip() for line in open('/proc/self/maps')}
        callers = {frame.f_globals['__name__'].partition('.')[0] for frame, _ in traceback.walk_stack(None)}
        # On Windows these two have other ways.
        if not callers & {'tempfile', 'filelock'} and used & {*map(os.path.realpath, paths)}:
            raise PermissionError(13, 'The file is in use', paths[0])
        return function(*paths, **kwargs)

    return call


os.open, os.fsync = open_no_folder, sync_what_is_written
os.replace, os.remove, os.unlink = map(guarded, (os.replace, os.remove, os.unlink))
"""


@pytest.mark.skipif(not Path('/proc').is_dir(), reason='looks for files in use in /proc')
def test_goes_on_with_a_training(run, tiny_config, trained, tmp_path):
    stand_in = tmp_path / 'stand_in' / 'sitecustomize.py'
    stand_in.parent.mkdir()
    stand_in.write_text(STAND_IN)
    windows = dict(PYTHONPATH=str(stand_in.parent))
    probe = run_program('import os, signal; print(hasattr(signal, "SIGALRM")); os.open(".", 0)', **windows)
    assert probe.stdout == 'False\n' and 'PermissionError' in probe.stderr

    work_dir = tmp_path / 'work_dirs' / 'tiny'
    shutil.copytree(trained[0], work_dir)
    options = [
        'env_cfg.mp_cfg.mp_start_method=spawn',
        'default_hooks.checkpoint.max_keep_ckpts=1',
        'train_dataloader.num_workers=1',
        'train_cfg.max_epochs=3',
    ]
    result = run('train.py', tiny_config, '--resume', '--cfg-options', *options, **windows)
    assert result.returncode == 0, result.stderr
    assert 'resumed epoch: 1' in result.stdout
    assert not {'epoch_2.pth', 'epoch_2.pth.sha256'} & {file.name for file in work_dir.iterdir()}
    assert {'epoch_3.pth', 'epoch_3.pth.sha256', 'curves.png'} <= {file.name for file in work_dir.iterdir()}
