#!/usr/bin/env python
"""Check a data set, unpack and convert what it lacks, and say what is missing; nothing is downloaded."""

import argparse
import sys

from dataset_converters.layouts import LAYOUTS
from dataset_converters.prepare import main

from res2net_mm.errors import run_tool


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('data', choices=LAYOUTS, help='the data set')
    roots = ', '.join(f'{name}: {layout.root}' for name, layout in LAYOUTS.items())
    parser.add_argument('--root', help=f'its folder ({roots})')
    parser.add_argument(
        '--archives', metavar='DIR', help='a folder with its archives, as they were published'
    )
    parser.add_argument('--workers', type=int, metavar='N', help='files that are read at a time (one a CPU)')
    return parser.parse_args()


if __name__ == '__main__':
    args = parse_args()
    run_tool(lambda: sys.exit(main(LAYOUTS[args.data], args.root, args.archives, args.workers)))
