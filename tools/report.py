#!/usr/bin/env python
"""Write a page of a set of runs: tables beside the paper's, curves, pictures, complexity, environment."""

import argparse
import shlex
import sys
from pathlib import Path

from res2net_mm.errors import run_tool


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'work_dirs',
        nargs='*',
        default=['work_dirs'],
        help='folders with runs, searched to any depth (%(default)s)',
    )
    parser.add_argument(
        '--out', default='report', metavar='DIR', help='for report.html and report.md (%(default)s)'
    )
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    from mmengine.logging import MMLogger

    from res2net_mm.results.page import write_report

    MMLogger.get_current_instance().setLevel('ERROR')  # toolboxes log while their models are counted
    command = ' '.join([Path(sys.argv[0]).name, *map(shlex.quote, sys.argv[1:])])
    print(f'Report: {write_report(args.work_dirs, args.out, dict(Command=command))}')


if __name__ == '__main__':
    run_tool(main)
