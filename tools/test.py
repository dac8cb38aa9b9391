#!/usr/bin/env python
"""Test a checkpoint of any of the toolboxes' models: a thin wrapper over mmengine's Runner."""

import argparse

from res2net_mm import runs
from res2net_mm.config import CfgOptions


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file, or res2net_mm::NAME.py for a shipped one')
    parser.add_argument('checkpoint', help='checkpoint file or address')
    parser.add_argument('--work-dir', help='where logs and metrics go (work_dirs/CONFIG)')
    parser.add_argument('--out', metavar='FILE.pkl', help='write the predictions to a pickle file')
    parser.add_argument('--show-dir', help='draw the predictions, beside the ground truth, into it')
    parser.add_argument('--tta', action='store_true', help="test-time augmentation, the config's own")
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='job launcher',
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=CfgOptions,
        metavar='K=V',
        help='change the config, such as test_dataloader.batch_size=8',
    )
    parser.add_argument('--local_rank', '--local-rank', type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == '__main__':
    runs.main(runs.test, parse_args())
