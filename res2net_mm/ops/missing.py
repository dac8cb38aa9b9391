"""What mmcv's compiled module has beside ops that run here: the others, and what it says of itself."""

from collections.abc import Callable

from ..errors import UserError


class MissingOp(UserError, NotImplementedError):
    """One of mmcv's ops was called that it has only when it is compiled."""


def missing(name: str) -> Callable:
    """An op that raises :class:`MissingOp`, only when it is called: mmcv looks all up when it is imported."""

    def op(*args, **kwargs):
        raise MissingOp(
            f'{name} is an op that mmcv has only when it is compiled, and this mmcv is not. Many such ops '
            'run on a GPU only.\n'
            'To compile it in the environment of a checkout of res2net_mm: make env OPS=compiled\n'
            'In any other: install an mmcv that was built with its ops.'
        )

    return op


def get_compiler_version() -> str:
    """What mmcv's ``collect_env`` prints as its compiler, and as the CUDA version of its ops."""
    return "none (torchvision's ops)"


get_compiling_cuda_version = get_compiler_version
