#!/usr/bin/env python
"""Writes a small data set to try the configs on: drawn scenes as COCO and VOC, and real digits."""

import argparse
import signal
import sys
import time

from res2net_mm.datasets.demo import DemoDataError, describe, make_demo_data


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('root', nargs='?', default='data/demo', help='default: %(default)s')
    args = parser.parse_args()
    # Ended by a signal, it should clean up as it does on Ctrl-C.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    start = time.perf_counter()
    try:
        manifest, written = make_demo_data(args.root)
    except DemoDataError as error:
        sys.exit(f'make_demo_data.py: {error}')
    except KeyboardInterrupt:
        sys.exit('make_demo_data.py: interrupted, nothing was written')
    print('\n'.join(describe(manifest)))
    if written:
        print(f'written to {args.root} in {time.perf_counter() - start:.0f} s')
    else:
        print(f'{args.root} is complete, left alone')


if __name__ == '__main__':
    main()
