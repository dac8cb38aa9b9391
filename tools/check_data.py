#!/usr/bin/env python
"""Look through all data of a config, every image decoded. Exits with 1 if there are errors."""

import argparse
import sys

from res2net_mm.arguments import add_cfg_options
from res2net_mm.checks.contents import report
from res2net_mm.checks.decoding import look_closely
from res2net_mm.config import load_config
from res2net_mm.errors import run_tool


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file, or res2net_mm::NAME.py for a shipped one')
    add_cfg_options(parser)
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    found = look_closely(load_config(args.config, args.cfg_options))
    for kind in ('warnings', 'errors'):
        print(f'\n{kind}:\n{report(found, kind) or "  none"}')
    images = sum(len(problems.samples) for problems in found.values())
    print(f'\n{images:,} images in {len(found) - 1} data sets')
    sys.exit(1 if report(found, 'errors') else 0)


if __name__ == '__main__':
    run_tool(main)
