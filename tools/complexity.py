#!/usr/bin/env python
"""Count parameters and multiply-adds of configs and of the paper's backbones, beside the published ones."""

import argparse

from res2net_mm.errors import run_tool


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('configs', nargs='*', help='config files (all that are shipped, and the backbones)')
    parser.add_argument('--shape', nargs=2, type=int, metavar=('H', 'W'), help="the image's (the protocol's)")
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    from mmengine.logging import MMLogger
    from rich.console import Console
    from rich.measure import Measurement

    from res2net_mm.results.complexity import tables

    MMLogger.get_current_instance().setLevel('WARNING')  # mmpretrain tells the channels of timm's networks
    console = Console(highlight=False)
    for table in tables(args.configs, args.shape):
        # Rather wider than the terminal than with a number cut short.
        wide = Measurement.get(console, console.options.update_width(1000), table).maximum
        console.width = max(wide, console.width)
        console.print(table)


if __name__ == '__main__':
    run_tool(main)
