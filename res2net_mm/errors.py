"""The one kind of error that the tools show without a traceback."""

import re


class UserError(Exception):
    """Something outside the code is wrong; the message says what was looked for and what to do."""

    code = 2  # the tools' exit code

    def __init__(self, message: object = ''):
        # PyTorch raises again what a data worker raised, with the worker's whole traceback as the message.
        if str(message).startswith('Caught '):
            message = re.split(r'^[\w.]*Error: ', str(message).rstrip(), flags=re.M)[-1]
        super().__init__(message)


class Interrupted(UserError):
    """A signal asked a training to end; it can be resumed."""

    code = 75  # EX_TEMPFAIL of sysexits.h
