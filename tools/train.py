#!/usr/bin/env python
"""Train a model of any of the toolboxes: a thin wrapper over mmengine's Runner."""

import argparse

from res2net_mm import runs


def parse_args() -> argparse.Namespace:
    parser = runs.parser(__doc__)
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CKPT',
        help="continue from a checkpoint, or from the work directory's last one",
    )
    parser.add_argument('--amp', action='store_true', help='mixed precision (bfloat16 on a CPU)')
    parser.add_argument(
        '--channels-last', action='store_true', help='lay out the networks, and their maps, channels last'
    )
    parser.add_argument(
        '--auto-scale-lr', action='store_true', help='scale the learning rate to the batch size'
    )
    return parser.parse_args()


if __name__ == '__main__':
    runs.main(runs.train, parse_args())
