"""The errors that the tools show without a traceback, and how they show them."""

import atexit
import errno
import re
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path


class UserError(Exception):
    """Something outside the code is wrong; the message says what was looked for and what to do."""

    code = 2  # the tools' exit code

    def __init__(self, message: object = ''):
        # PyTorch raises again what a data worker raised, with the worker's whole traceback as the message.
        if str(message).startswith('Caught '):
            message = re.split(r'^[\w.]*Error: ', str(message).rstrip(), flags=re.M)[-1]
        super().__init__(message)


class ArgumentTypeError(UserError, TypeError):
    """A network has no such argument."""


class ArgumentValueError(UserError, ValueError):
    """A network can't be built of an argument's value."""


class Interrupted(UserError):
    """A signal asked a training to end; it can be resumed."""

    code = 75  # EX_TEMPFAIL of sysexits.h


# What clusters send before they take a machine; Windows has the first alone.
SIGNALS = tuple(getattr(signal, name) for name in ('SIGTERM', 'SIGUSR1') if hasattr(signal, name))


def heed_signals() -> None:
    """Have :data:`SIGNALS` end the process as Ctrl-C does, but with the exit code of `Interrupted`.

    While it ends they change nothing: a launcher ends all processes when the first has ended.
    """

    def interrupt(number: int, frame) -> None:
        raise KeyboardInterrupt(Interrupted.code)

    for number in SIGNALS:
        signal.signal(number, interrupt)
        atexit.register(signal.signal, number, signal.SIG_IGN)


def command(tool: str) -> str:
    """How to call another tool: as this one was called, by ``res2net-mm`` or from a checkout."""
    installed = Path(sys.argv[0]).name.startswith('res2net-mm')
    return f'res2net-mm {tool.replace("_", "-")}' if installed else f'python tools/{tool}.py'


def run_tool(main: Callable[[], None], if_interrupted: str = '') -> None:
    """Call a tool's ``main()``; show a `UserError`, or a known one, as a message, and leave with its code.

    Args:
        main (Callable): The tool.
        if_interrupted (str): What to say besides on Ctrl-C. Default: ''.
    """
    try:
        main()
    except KeyboardInterrupt as error:
        print(f'\n{Path(sys.argv[0]).name}: interrupted{if_interrupted}', file=sys.stderr)
        sys.exit(*(error.args or [130]))
    except (UserError, RuntimeError, OSError) as error:
        message = error if isinstance(error, UserError) else explain(error)
        if message is None:
            raise
        print(f'{Path(sys.argv[0]).name}: error: {message}', file=sys.stderr)
        sys.exit(error.code if isinstance(error, UserError) else UserError.code)


ON_A_CPU = 'CUDA_VISIBLE_DEVICES= has all run on the CPU'
OF_FILES = ('ENOSPC', 'EDQUOT', 'EROFS', 'EACCES', 'EIO', 'ENOTDIR', 'EISDIR')  # the user's to mend
# How errors of PyTorch's begin that are not this code's to mend, and what to say.
KNOWN = {
    r'DataLoader timed out': 'a data worker has not answered in time: it hangs, or its disk does. '
    'To wait longer: --cfg-options train_dataloader.timeout=SECONDS (or val_, test_); '
    'num_workers=0 persistent_workers=False shows where it hangs',
    r'DataLoader worker \(pid\S* .*\) (is killed by signal: [^.]*|exited unexpectedly)': 'a data worker {0}: '
    'if nobody sent that, for lack of memory; fewer train_dataloader.num_workers need less',
    r'(CUDA|.*) out of memory': '{0} out of memory: a smaller train_dataloader.batch_size, --amp, or '
    'model.backbone.with_cp=True needs less, and without a training a smaller test_dataloader.batch_size or '
    '--half; nvidia-smi shows who else is on a GPU',
    r'.*(Timed out waiting|timed out after|Connection closed by peer|Connection reset by peer|'
    r'operation timeout|Application timeout)': (
        'another process of this training has ended or does not answer ({0}); what it printed says why. '
        'To wait longer: --cfg-options env_cfg.dist_cfg.timeout=SECONDS'
    ),
    r'.*failed to listen on any local network address. port: (\d+)': (
        'port {0}, where the processes were to meet, is taken, mostly by another training on this machine: '
        'MASTER_PORT gives this one another (PORT of tools/dist_train.sh)'
    ),
    r'(cuDNN error: \w+|CUDA error: CUBLAS_STATUS_(?:ALLOC_FAILED|NOT_INITIALIZED)|'
    r'(?:GET was u|FIND was u|U)nable to find [^\n]*)': '{0}: mostly for lack of memory on the GPU, where a '
    'smaller batch_size needs less and nvidia-smi shows who else is; else LD_LIBRARY_PATH has another '
    "cuDNN than PyTorch's",
    r'CUDA error: device-side assert': 'a GPU met an index out of range, mostly a label that is none of the '
    "model's num_classes: tools/check_data.py names such labels, and on the CPU (CUDA_VISIBLE_DEVICES=) the "
    'error says where',
    r'CUDA error: no kernel image': "PyTorch, or mmcv's compiled ops, have no code for this kind of GPU: "
    f'install a PyTorch built for it (and compile mmcv again: make env OPS=compiled); {ON_A_CPU}',
    r'.*(driver version is insufficient|NVIDIA driver on your system is too old|Found no NVIDIA driver)': (
        "the GPU's driver is missing, or older than this PyTorch needs ({0}): update the driver, or install "
        f'a PyTorch built for an older CUDA; {ON_A_CPU}'
    ),
    r'CUDA error: invalid device ordinal': 'there are fewer GPUs than processes, or none of the number that '
    '--device or CUDA_VISIBLE_DEVICES gives: nvidia-smi lists them',
    r'CUDA error: .*busy or unavailable': 'the GPU is taken by another process, which nvidia-smi lists: end '
    f'it, or choose another GPU by CUDA_VISIBLE_DEVICES; {ON_A_CPU}',
    r'Expected all tensors to be on the same device|indices should be either on |Tensor for .* but expected |'
    r"Expected a '\w+' device type for generator|Input type \(torch\.\w+\) and weight type \(torch\.cuda\.|"
    r'Input type \(torch\.cuda\.\w+\) and weight type \(torch\.\w+\)': '{place}a tensor or module on the '
    'CPU meets one on the GPU: make it where the other is (device=x.device, or .to(x.device)), or a part of '
    f'its module (register_buffer); {ON_A_CPU}',
}


def explain(error: Exception) -> str | None:
    """What to say of an error that comes from the machine; None if it is another one."""
    if isinstance(error, OSError):
        if errno.errorcode.get(error.errno) in OF_FILES:
            return f'{error.strerror}: {error.filename or "a file could not be written"}'
        return None
    for pattern, text in KNOWN.items():
        if found := re.match(pattern, str(error), re.DOTALL):
            return text.format(*found.groups(), place=_place(error))
    return None


def _place(error: Exception) -> str:
    """Where an error was raised, in code that isn't PyTorch's."""
    frames = traceback.extract_tb(error.__traceback__)
    frames = [frame for frame in frames if '-packages/torch/' not in frame.filename]
    return f'{frames[-1].filename}:{frames[-1].lineno}: ' if frames else ''
