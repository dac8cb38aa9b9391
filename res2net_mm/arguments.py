"""Arguments that several tools take; nothing here takes time to import."""

import argparse

from .cfg_options import CfgOptions

OPTIONS = {
    '--require-hash': 'refuse checkpoints without a SHA-256, in the name or in CHECKPOINT.sha256',
    '--allow-nonfinite': 'take checkpoints with weights that are NaN or infinite',
}
policy = argparse.Namespace(require_hash=False, allow_nonfinite=False)  # what OPTIONS set


class _Set(argparse.Action):
    """Set an option for the whole process, not for the tool, which has nothing to do with it."""

    def __call__(self, parser, namespace, values, option_string=None):
        setattr(policy, self.dest, True)


def add_checkpoint_options(parser: argparse.ArgumentParser) -> None:
    """Give a tool's parser :data:`OPTIONS`; they hold for all checkpoints that the process reads."""
    for name, text in OPTIONS.items():
        parser.add_argument(name, action=_Set, nargs=0, default=argparse.SUPPRESS, help=text)


def add_cfg_options(parser: argparse.ArgumentParser, changed: str = 'the config') -> None:
    """Give a tool's parser ``--cfg-options``."""
    text = f'change {changed}, such as model.backbone.depth=101'
    parser.add_argument('--cfg-options', nargs='+', action=CfgOptions, metavar='K=V', help=text)


def run_parser(description: str) -> argparse.ArgumentParser:
    """What ``tools/train.py`` and ``tools/test.py`` both take."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument('config', help='config file, or res2net_mm::NAME.py for a shipped one')
    parser.add_argument('--work-dir', help='where logs, metrics and checkpoints go (work_dirs/CONFIG)')
    parser.add_argument(
        '--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none', help='job launcher'
    )
    add_cfg_options(parser)
    parser.add_argument(
        '--no-check', action='store_true', help='look neither through the data nor for unknown keys first'
    )
    parser.add_argument('--check-all', action='store_true', help='look for every image first, not for 200')
    add_checkpoint_options(parser)
    parser.add_argument('--local_rank', '--local-rank', type=int, help=argparse.SUPPRESS)
    return parser
