"""The one kind of error that the tools show without a traceback."""


class UserError(Exception):
    """Something outside the code is wrong; the message says what was looked for and what to do."""

    code = 2  # the tools' exit code


class Interrupted(UserError):
    """A signal asked a training to end; it can be resumed."""

    code = 75  # EX_TEMPFAIL of sysexits.h
