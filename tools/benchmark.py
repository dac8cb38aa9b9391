#!/usr/bin/env python
"""Time this package's networks beside their peers, in turns in one process, on the machine at hand."""

import argparse
import sys

from res2net_mm import benchmark
from res2net_mm.errors import UserError


def shape(text: str) -> tuple[int, ...]:
    """Read ``2x512x512``."""
    n, height, width = (count(number) for number in text.split('x'))
    return n, 3, height, width


def count(text: str) -> int:
    """Read a number from 1 on."""
    if int(text) < 1:
        raise ValueError
    return int(text)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'benchmarks',
        nargs='*',
        metavar='BENCHMARK',
        help=f'which: {", ".join(benchmark.BENCHMARKS)} (inference training)',
    )
    parser.add_argument(
        '--shapes', nargs='+', type=shape, metavar='NxHxW', help="images (each benchmark's own)"
    )
    parser.add_argument('--runs', type=count, default=7, metavar='N', help='timed runs of each (%(default)s)')
    parser.add_argument('--threads', type=count, metavar='N', help="PyTorch's threads (its own choice)")
    parser.add_argument('--device', choices=['cpu', 'cuda'], default='cpu', help='(%(default)s)')
    parser.add_argument('--compile', action='store_true', help='inference also compiled (minutes)')
    parser.add_argument('--json', metavar='FILE', help='write every run there, too')
    parser.add_argument('--plots', metavar='DIR', help='draw cost by scale and by size into it')
    args = parser.parse_args()
    args.benchmarks = args.benchmarks or ['inference', 'training']
    for name in args.benchmarks:
        if name not in benchmark.BENCHMARKS:
            parser.error(f'{name!r} is not one of {", ".join(benchmark.BENCHMARKS)}')
    return args


if __name__ == '__main__':
    try:
        benchmark.main(parse_args())
    except UserError as error:
        sys.exit(f'benchmark.py: error: {error}')
