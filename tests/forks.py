"""Tools as processes of their own, forked from one that has imported the libraries that take seconds.

A tool imports this package and the toolboxes itself, as where it is started by hand.
"""

import contextlib
import functools
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

LIBRARIES = (
    'torch', 'torchvision', 'torch._dynamo', 'mmengine.runner', 'mmengine.visualization', 'cv2',
    'scipy.optimize', 'matplotlib.pyplot', 'numba', 'imgaug', 'skimage', 'sklearn', 'timm',
    'faster_coco_eval',
)  # fmt: skip


LIMIT = 300  # seconds of a command


def run_tool(command: list, folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess:
    """Run a Python script with its arguments, in a folder; return its exit code and what it printed."""
    if torch.cuda.is_available() or 'PYTHONPATH' in environment:  # neither is for a process that is forked
        return run_command([sys.executable, *command], folder, environment)
    command = [*map(str, command)]
    with TemporaryDirectory() as outputs:
        files = [str(Path(outputs, name)) for name in ('stdout', 'stderr')]
        job = dict(
            command=command, folder=str(folder), environment={**os.environ, **environment}, files=files
        )
        print(json.dumps(job), file=server().stdin, flush=True)
        limit = threading.Timer(LIMIT, os.killpg, (server().pid, signal.SIGKILL))
        limit.start()
        code = server().stdout.readline()
        limit.cancel()
        printed = [Path(file).read_text() for file in files]
    if not code:
        server.cache_clear()
        raise subprocess.TimeoutExpired(command, LIMIT, *printed)
    return subprocess.CompletedProcess(command, int(code), *printed)


def run_command(command: list, folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess:
    """Run any command, as a process of its own from the start."""
    return subprocess.run(
        [*map(str, command)],
        cwd=folder,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )


def run_program(program: str, folder: Path | str = '.', **environment: str) -> subprocess.CompletedProcess:
    """Run Python's code, as a process of its own from the start."""
    return run_command([sys.executable, '-c', program], folder, environment)


def free_port() -> str:
    """A port for processes to meet at."""
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return str(s.getsockname()[1])


@functools.cache
def server() -> subprocess.Popen:
    """The process that forks; it ends when this one does."""
    return subprocess.Popen(
        [sys.executable, __file__],
        env={**os.environ, 'OMP_NUM_THREADS': '1'},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def serve() -> list[str]:
    """Fork for each line that is read; return the command in the new process, where it is to run."""
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            job = json.loads(line)
            sys.stdin = open(os.devnull)
            for number, file in enumerate([os.devnull, *job['files']]):
                os.dup2(os.open(file, os.O_RDWR | os.O_CREAT), number)
            os.environ.clear()
            os.environ.update(job['environment'])
            os.chdir(job['folder'])
            return job['command']
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
    sys.exit()


if __name__ == '__main__':
    sys.path.pop(0)  # the tests' folder
    for library in LIBRARIES:
        with contextlib.suppress(ImportError):  # OpenMMLab's toolboxes do without some
            importlib.import_module(library)
    gc.freeze()  # a process that ends would look through all that is imported
    sys.argv = serve()
    sys.path.insert(0, str(Path(sys.argv[0]).parent))
    runpy.run_path(sys.argv[0], run_name='__main__')
