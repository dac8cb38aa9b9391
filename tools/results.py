#!/usr/bin/env python
"""Print the paper's tables with what runs measured beside the paper's numbers, and a table of other runs."""

import argparse

from res2net_mm.errors import run_tool
from res2net_mm.results.report import FIGURES, FORMATS, TABLES, report


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'work_dirs',
        nargs='*',
        default=['work_dirs'],
        help='folders with runs, searched to any depth (%(default)s)',
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument('--table', nargs='+', choices=TABLES, help='which tables (all)')
    which.add_argument('--figure', nargs='+', choices=FIGURES, help='figures instead, drawn and as tables')
    parser.add_argument('--format', choices=FORMATS, default='terminal', help='(%(default)s)')
    parser.add_argument('--out', metavar='FILE', help='write to a file')
    parser.add_argument('--plots', metavar='DIR', help='draw AP by size and by scale, and curves, into it')
    return parser.parse_args()


if __name__ == '__main__':
    run_tool(lambda: report(**vars(parse_args())))
