"""The one kind of error that the tools show without a traceback, and how they show it."""

import re
import sys
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


def command(tool: str) -> str:
    """How to call another tool: as this one was called, by ``res2net-mm`` or from a checkout."""
    installed = Path(sys.argv[0]).name.startswith('res2net-mm')
    return f'res2net-mm {tool.replace("_", "-")}' if installed else f'python tools/{tool}.py'


def run_tool(main: Callable[[], None]) -> None:
    """Call a tool's ``main()``; show a `UserError` as a message, and leave with its code."""
    try:
        main()
    except UserError as error:
        print(f'{Path(sys.argv[0]).name}: error: {error}', file=sys.stderr)
        sys.exit(error.code)
