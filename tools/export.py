#!/usr/bin/env python
"""Write a config's backbone, fused, as ONNX or as a torch.export program, and check the file."""

import argparse
import sys

from res2net_mm import export
from res2net_mm.config import CfgOptions
from res2net_mm.errors import UserError


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file, or res2net_mm::NAME.py for a shipped one')
    parser.add_argument(
        'checkpoint',
        nargs='?',
        help="a whole model's or a backbone's (the weights of model.backbone.init_cfg)",
    )
    parser.add_argument('out', help='NAME.onnx or NAME.pt2')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=CfgOptions,
        metavar='K=V',
        help='change the config, such as model.backbone.depth=101',
    )
    return parser.parse_args()


if __name__ == '__main__':
    try:
        export.run(parse_args())
    except UserError as error:
        print(f'export.py: error: {error}', file=sys.stderr)
        sys.exit(2)
