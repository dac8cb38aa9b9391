#!/usr/bin/env python
"""Write the weights of a training's checkpoint alone, in a file that is named by its hash."""

import argparse
from pathlib import Path

from res2net_mm.arguments import add_checkpoint_options
from res2net_mm.errors import run_tool


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('checkpoint', help='such as work_dirs/r2n50_imagenet/epoch_100.pth')
    parser.add_argument(
        'target',
        nargs='?',
        help="NAME.pth, which becomes NAME-HASH.pth (in and by the name of the checkpoint's folder; of an "
        'address here, by its last part)',
    )
    add_checkpoint_options(parser)
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    from res2net_mm.checkpoints import address_name, publish

    folder = Path(args.checkpoint).absolute().parent
    own = address_name(args.checkpoint) if '://' in args.checkpoint else folder / f'{folder.name}.pth'
    path = publish(args.checkpoint, args.target or own.with_suffix('.pth'))
    print(f'{path} ({path.stat().st_size / 1e6:.1f} MB)')


if __name__ == '__main__':
    run_tool(main)
