"""The one kind of error that the tools show without a traceback."""


class UserError(Exception):
    """Something outside the code is wrong; the message says what was looked for and what to do."""
