"""Errors that are the user's to mend are shown as one message that says what to do."""

import sys

import pytest
import torch
from forks import run_program
from helpers import GPU
from torch import nn
from torch.distributed import DistNetworkError

from res2net_mm.errors import UserError, explain, run_tool
from res2net_mm.files import replacing

CUDA = 'CUDA error: {}\nCUDA kernel errors might be asynchronously reported at some other API call'
MIXED = 'Expected all tensors to be on the same device'


@pytest.mark.parametrize(
    'error, words',
    [
        (RuntimeError('DataLoader timed out after 4 seconds'), 'train_dataloader.timeout=SECONDS'),
        (
            RuntimeError('DataLoader worker (pid 7) is killed by signal: Killed. '),
            'is killed by signal: Killed',
        ),
        (RuntimeError('DataLoader worker (pid(s) 7, 8) exited unexpectedly'), 'exited unexpectedly'),
        (
            torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 2 GiB'),
            'CUDA out of memory: a smaller',
        ),
        (RuntimeError(CUDA.format('out of memory')), 'out of memory: a smaller'),
        (RuntimeError('[x.cc:1] Connection closed by peer [::1]:7'), 'dist_cfg.timeout=SECONDS'),
        (
            RuntimeError('The client socket has timed out after 8000ms while'),
            'does not answer (timed out after)',
        ),
        (
            DistNetworkError(
                'The server socket has failed to listen on any local network address. port: 29500, useIpv6: '
                'false, code: -98, name: EADDRINUSE, message: address already in use'
            ),
            'port 29500, where the processes were to meet, is taken',
        ),
        (OSError(28, 'No space left on device', 'x.log'), 'No space left on device: x.log'),
        (RuntimeError('cuDNN error: CUDNN_STATUS_NOT_INITIALIZED'), 'NOT_INITIALIZED: mostly'),
        (RuntimeError('GET was unable to find an engine to execute this computation'), 'a smaller batch'),
        (
            RuntimeError('CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`'),
            'ALLOC_FAILED: mostly for lack of memory',
        ),
        (RuntimeError(CUDA.format('device-side assert triggered')), 'tools/check_data.py names such labels'),
        (
            RuntimeError(CUDA.format('no kernel image is available for execution on the device')),
            'install a PyTorch built for it',
        ),
        (
            RuntimeError(CUDA.format('CUDA driver version is insufficient for CUDA runtime version')),
            'update the driver',
        ),
        (
            RuntimeError('The NVIDIA driver on your system is too old (found version 11040). Please update'),
            'update the driver',
        ),
        (RuntimeError(CUDA.format('invalid device ordinal')), 'there are fewer GPUs than processes'),
        (
            RuntimeError(CUDA.format('CUDA-capable device(s) is/are busy or unavailable')),
            'choose another GPU by CUDA_VISIBLE_DEVICES',
        ),
        (RuntimeError(f'{MIXED}, but found at least two devices, cuda:0 and cpu!'), 'device=x.device'),
        (RuntimeError(f'{MIXED}, but got weight is on cpu, different from'), 'device=x.device'),
        (RuntimeError('indices should be either on cpu or on the same device as the'), 'device=x.device'),
        (RuntimeError("Expected a 'cuda' device type for generator but found 'cpu'"), 'device=x.device'),
        (
            RuntimeError('Input type (torch.FloatTensor) and weight type (torch.cuda.FloatTensor) should be'),
            'CUDA_VISIBLE_DEVICES= has all run on the CPU',
        ),
        (
            RuntimeError('Input type (torch.cuda.FloatTensor) and weight type (torch.FloatTensor) should be'),
            'CUDA_VISIBLE_DEVICES= has all run on the CPU',
        ),
    ],
)
def test_errors_of_the_machine_are_explained(error, words):
    assert words in explain(error)


@pytest.mark.parametrize(
    'message',
    [
        'mat1 and mat2 shapes cannot be multiplied',
        'Input type (torch.cuda.HalfTensor) and weight type (torch.cuda.FloatTensor) should be the same',
        'CUDA error: an illegal memory access was encountered',  # whose traceback says more
    ],
)
def test_other_errors_are_not_explained_away(message):
    assert explain(RuntimeError(message)) is None
    assert explain(FileNotFoundError(2, 'No such file', 'x')) is None


def test_where_devices_meet_is_named():
    """In the code that is the user's, not in PyTorch's below it."""
    conv = nn.Conv2d(3, 8, 3)
    with pytest.raises(RuntimeError) as error:
        conv(torch.zeros(1, 4, 8, 8))
    mixed = RuntimeError(f'{MIXED}, but found').with_traceback(error.value.__traceback__)
    assert explain(mixed).startswith(f'{__file__}:')


@pytest.mark.parametrize('device', [pytest.param('cuda', marks=GPU)])
def test_what_a_gpu_says_is_known(device):
    x = torch.zeros(1, 3, 8, 8, device=device)
    for network, given in (
        (nn.Conv2d(3, 8, 3), x),
        (nn.Conv2d(3, 8, 3).to(device), x.cpu()),
        (nn.BatchNorm2d(3), x),
        (nn.Linear(8, 8), x),
        (lambda x: x + torch.zeros(8), x),
        (lambda x: torch.rand(2, device=device, generator=torch.Generator()), x),
    ):
        with pytest.raises(RuntimeError) as error:
            network(given)
        assert 'device=x.device' in explain(error.value)
    with pytest.raises(torch.OutOfMemoryError) as error:
        torch.empty(2**46, device=device)
    assert explain(error.value).startswith('CUDA out of memory: a smaller')
    with pytest.raises(RuntimeError) as error:
        x.to('cuda:99')
    assert 'nvidia-smi lists them' in explain(error.value)


def test_a_tool_that_is_interrupted_and_a_file_in_the_way(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(sys, 'argv', ['x/predict.py'])

    def interrupted():
        raise KeyboardInterrupt

    with pytest.raises(SystemExit, match='130'):
        run_tool(interrupted, '; nothing was written')
    assert capsys.readouterr().err == '\npredict.py: interrupted; nothing was written\n'
    (tmp_path / 'file').touch()
    for parts in (('file', 'x.png'), ('file', 'deeper', 'x.png')):
        with pytest.raises(SystemExit, match='2'):
            run_tool(replacing(tmp_path.joinpath(*parts)).__enter__)
        assert f'predict.py: error: Not a directory: {tmp_path}/file' in capsys.readouterr().err


def test_a_tool_shows_what_is_known_and_nothing_else(monkeypatch, capsys):
    monkeypatch.setattr(sys, 'argv', ['x/predict.py'])

    def fail(error):
        def main():
            raise error

        return main

    for error in (UserError('no such thing'), torch.OutOfMemoryError('CUDA out of memory. Tried')):
        with pytest.raises(SystemExit, match='2'):
            run_tool(fail(error))
    shown = capsys.readouterr().err.splitlines()
    assert shown[0] == 'predict.py: error: no such thing'
    assert shown[1].startswith('predict.py: error: CUDA out of memory: a smaller ') and len(shown) == 2
    with pytest.raises(RuntimeError, match='shapes'):
        run_tool(fail(RuntimeError('shapes cannot be multiplied')))


ENDS = """
import atexit, os, signal
from res2net_mm.errors import Interrupted, heed_signals, run_tool

atexit.register(os.kill, os.getpid(), signal.SIGTERM)  # as srun sends it to those that haven't ended


def main():
    heed_signals()
    raise Interrupted('saved')


run_tool(main)
"""


def test_a_signal_while_a_process_ends_leaves_the_exit_code():
    assert run_program(ENDS).returncode == 75
