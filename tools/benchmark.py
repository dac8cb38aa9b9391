#!/usr/bin/env python
"""Time this package's networks beside their peers, in turns in one process, on the machine at hand."""

import argparse
import sys

from res2net_mm import benchmark
from res2net_mm.errors import UserError


def shape(text: str) -> tuple[int, ...]:
    """Read ``2x512x512``."""
    if text in benchmark.BENCHMARKS:
        raise argparse.ArgumentTypeError(f'name benchmarks ({text}) before the options')
    numbers = text.split('x')
    if len(numbers) != 3 or not all(n.isdecimal() and int(n) for n in numbers):
        raise argparse.ArgumentTypeError(f'{text!r} is not NxHxW, such as 2x512x512')
    n, height, width = map(int, numbers)
    return n, 3, height, width


def count(text: str) -> int:
    """Read a number from 1 on."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f'{text!r} is not a whole number from 1 on')
    return int(text)


def parse_args() -> argparse.Namespace:
    listed = '\n'.join(f'  {name:10} {f.__doc__.splitlines()[0]}' for name, f in benchmark.BENCHMARKS.items())
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=f'benchmarks:\n{listed}',
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        'benchmarks', nargs='*', metavar='BENCHMARK', help='see below (inference and training)'
    )
    parser.add_argument(
        '--shapes',
        nargs='+',
        type=shape,
        metavar='NxHxW',
        help="images, of all benchmarks but jobs (each benchmark's own)",
    )
    parser.add_argument('--runs', type=count, default=7, metavar='N', help='timed runs of each (%(default)s)')
    parser.add_argument('--threads', type=count, metavar='N', help="PyTorch's threads (its own choice)")
    parser.add_argument('--device', choices=['cpu', 'cuda'], default='cpu', help='(%(default)s)')
    parser.add_argument('--json', metavar='FILE', help='write every run there, too')
    parser.add_argument('--plots', metavar='DIR', help='scales, sizes: draw how the cost grows into it')
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
        print(f'benchmark.py: error: {error}', file=sys.stderr)
        sys.exit(2)
