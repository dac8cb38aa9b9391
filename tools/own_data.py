#!/usr/bin/env python
"""Look at a folder of your own labeled pictures and write the config that trains a model on it."""

import argparse
import re
import shlex
import sys
from pathlib import Path

from res2net_mm.errors import UserError
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
    command = f'python {shlex.join(["tools/own_data.py", *sys.argv[1:]])}'
    written = write(data, args.method, args.backbone, config, command)
    print('\nWritten:', written[0], *(f'and, for it, {folder}/' for folder in written[1:]))
    print('Next: python tools/train.py', shlex.quote(str(config)))


if __name__ == '__main__':
    try:
        main()
    except (UserError, OSError) as error:  # OSError: what may not be read or written
        print(f'own_data.py: error: {error}', file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print('\nown_data.py: interrupted; nothing was written', file=sys.stderr)
        sys.exit(130)
