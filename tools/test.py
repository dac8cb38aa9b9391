#!/usr/bin/env python
"""Test a checkpoint of any of the toolboxes' models: a thin wrapper over mmengine's Runner."""

from res2net_mm.arguments import run_parser
from res2net_mm.errors import run_tool

parser = run_parser(__doc__)
parser.add_argument('checkpoint', help='checkpoint file or address')
parser.add_argument('--out', metavar='FILE.pkl', help='write the predictions to a pickle file')
parser.add_argument(
    '--show-dir',
    help='draw the predictions, beside the ground truth, into it (of several processes the first, its own)',
)
parser.add_argument('--tta', action='store_true', help="test-time augmentation, the config's own")
parser.add_argument('--no-fuse', action='store_true', help='test the networks as they are trained')
parser.add_argument('--half', action='store_true', help='compute the networks in float16 (bfloat16 on a CPU)')
parser.add_argument(
    '--cuda-graph',
    action='store_true',
    help='run the networks as CUDA graphs, on a GPU: for images of a few sizes',
)


def main() -> None:
    arguments = vars(parser.parse_args())
    from res2net_mm.engine import runner  # takes seconds, which --help doesn't

    runner.main(runner.test, **arguments)


if __name__ == '__main__':
    run_tool(main)
