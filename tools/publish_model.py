#!/usr/bin/env python
"""Write the weights of a training's checkpoint alone, in a file that is named by its hash."""

import argparse
import sys
from pathlib import Path

from res2net_mm.checkpoints import add_options, address_name, publish
from res2net_mm.errors import UserError


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('checkpoint', help='such as work_dirs/r2n50_imagenet/epoch_100.pth')
    parser.add_argument(
        'target',
        nargs='?',
        help="NAME.pth, which becomes NAME-HASH.pth (in and by the name of the checkpoint's folder; of an "
        'address here, by its last part)',
    )
    add_options(parser)
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    folder = Path(args.checkpoint).absolute().parent
    try:
        own = address_name(args.checkpoint) if '://' in args.checkpoint else folder / f'{folder.name}.pth'
        path = publish(args.checkpoint, args.target or own)
    except UserError as error:
        print(f'publish_model.py: error: {error}', file=sys.stderr)
        sys.exit(2)
    print(f'{path} ({path.stat().st_size / 1e6:.1f} MB)')


if __name__ == '__main__':
    main()
