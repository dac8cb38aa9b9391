#!/usr/bin/env python
"""Look at a folder of your own labeled pictures and write the config that trains a model on it."""

import argparse
import re
import shlex
import sys
from pathlib import Path

from res2net_mm.errors import command, run_tool
from res2net_mm.own_data import METHODS, check, read, write


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'folder', help='pictures with COCO JSON, VOC XML, YOLO txt, masks, or in class folders'
    )
    parser.add_argument('--method', choices=METHODS, required=True, help='what to train')
    parser.add_argument('--backbone', default='r2n50', help='as the shipped configs call it (%(default)s)')
    parser.add_argument('-o', type=Path, metavar='NAME.py', help='the config to write (FOLDER_METHOD.py)')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    name = re.sub(r'\W+', '_', Path(args.folder).absolute().name).strip('_')
    config = args.o or Path(f'{name or "own"}_{args.method}.py')
    check(args.method, args.backbone, config)
    data = read(args.folder, args.method)
    print(data.describe())
    called = f'{command("own_data")} {shlex.join(sys.argv[1:])}'
    written = write(data, args.method, args.backbone, config, called)
    print('\nWritten:', written[0], *(f'and, for it, {folder}/' for folder in written[1:]))
    print('Next:', command('train'), shlex.quote(str(config)))


if __name__ == '__main__':
    run_tool(main, '; nothing was written')
