#!/usr/bin/env python
"""Train a model of any of the toolboxes: a thin wrapper over mmengine's Runner."""

from res2net_mm.arguments import run_parser
from res2net_mm.errors import heed_signals, run_tool

parser = run_parser(__doc__)
parser.add_argument(
    '--resume',
    nargs='?',
    const='auto',
    metavar='CKPT',
    help="continue from a checkpoint, or from the work directory's last one",
)
parser.add_argument('--amp', action='store_true', help='mixed precision (bfloat16 on a CPU)')
parser.add_argument(
    '--channels-last', action='store_true', help='lay out the networks, and their feature maps, channels last'
)
parser.add_argument(
    '--compile', action='store_true', help='compile the networks (torch.compile), which takes minutes'
)
parser.add_argument(
    '--cuda-graph',
    action='store_true',
    help='run the networks as CUDA graphs, on a GPU: for images of a few sizes',
)
parser.add_argument('--auto-scale-lr', action='store_true', help='scale the learning rate to the batch size')


def main() -> None:
    arguments = vars(parser.parse_args())
    heed_signals()  # until the training does
    from res2net_mm.engine import runner  # takes seconds, which --help doesn't

    runner.main(runner.train, **arguments)


if __name__ == '__main__':
    run_tool(main, '; --resume goes on from the last checkpoint, if there is one')
