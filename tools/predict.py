#!/usr/bin/env python
"""Show what a trained model of any of the toolboxes predicts for pictures of your own."""

import argparse
import os
import shlex
import signal
import sys
import warnings
from pathlib import Path

from res2net_mm.arguments import add_cfg_options, add_checkpoint_options
from res2net_mm.errors import UserError, run_tool


def score(text: str) -> float:
    """Read a number of 0 ... 1."""
    if not 0 <= float(text) <= 1:
        raise argparse.ArgumentTypeError(f'{text} is not in 0 ... 1')
    return float(text)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file, or res2net_mm::NAME.py for a shipped one')
    parser.add_argument('checkpoint', help='checkpoint file or address')
    parser.add_argument(
        'inputs', nargs='*', metavar='input', help="image, video, folder, 'images/**/*.jpg', http(s) address"
    )
    parser.add_argument(
        '--against',
        nargs='+',
        default=[],
        metavar=('TRUTH|CONFIG', 'CKPT'),
        help="ground truth (COCO's .json, a folder of masks) or another model, shown beside the first",
    )
    parser.add_argument(
        '--detector',
        nargs=2,
        metavar=('CONFIG', 'CKPT'),
        help='finds the persons whose key points are wanted (without: one who fills the image)',
    )
    parser.add_argument('--out', default='predictions', metavar='DIR', help='(%(default)s)')
    parser.add_argument(
        '--threshold', type=score, default=0.3, help='of boxes and key points shown (%(default)s)'
    )
    parser.add_argument('--device', help='such as cpu or cuda:1 (a GPU if there is one)')
    parser.add_argument('--no-fuse', action='store_true', help='run the networks as they are trained')
    parser.add_argument(
        '--half', action='store_true', help='compute the networks in float16 (bfloat16 on a CPU)'
    )
    add_cfg_options(parser, 'the (first) config')
    add_checkpoint_options(parser)
    args = parser.parse_intermixed_args()
    # Inputs may follow --against, too.
    count = 1 if args.against and _is_truth(args.against) else 2
    args.against, args.inputs = args.against[:count], args.inputs + args.against[count:]
    if not args.inputs:
        parser.error('the following arguments are required: input')
    return args


def _is_truth(against: list[str]) -> bool:
    """Whether the first is ground truth, and no config (which may be a .json, too)."""
    alone = len(against) == 1 or os.path.isdir(against[0])
    return alone or (against[0].endswith('.json') and not against[1].endswith('.pth'))


def main() -> None:
    args = parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a cluster's ends it as Ctrl-C does
    from mmengine.logging import MMLogger

    from res2net_mm.fused import FusedBackbone
    from res2net_mm.visualization.ground_truth import load_ground_truth
    from res2net_mm.visualization.inferencers import load_predictor
    from res2net_mm.visualization.predict import TRUTH, find_images, predict, unique_names

    if args.half and args.no_fuse:
        raise UserError('--half needs fused networks, which --no-fuse turns off')
    MMLogger.get_current_instance().setLevel('ERROR')  # the toolboxes log and warn in every run of theirs
    warnings.simplefilter('ignore')
    sources, wrong, left = find_images(args.inputs)
    how = dict(device=args.device, fused=not args.no_fuse, half=args.half)
    detector = load_predictor(*args.detector, **how) if args.detector else None
    models = [(args.config, args.checkpoint), *([args.against] if len(args.against) == 2 else [])]
    options = [args.cfg_options, None]
    names = unique_names([config for config, _ in models])
    predictors = {
        name: load_predictor(*model, changed, **how, detector=detector)
        for name, model, changed in zip(names, models, options)
    }
    used = [predictor.inferencer.model for predictor in (detector, *predictors.values()) if predictor]
    if args.half and not any(isinstance(m, FusedBackbone) for model in used for m in model.modules()):
        raise UserError("--half is for this package's networks, and nothing given has one that can be fused")
    about = {'Command': ' '.join([Path(sys.argv[0]).name, *map(shlex.quote, sys.argv[1:])])}
    about |= {name: checkpoint for name, (_, checkpoint) in zip(names, models)}
    truth = None
    if len(args.against) == 1:
        truth = load_ground_truth(*args.against, next(iter(predictors.values())), sources)
        about[TRUTH] = args.against[0]
    count, skipped, remarks = predict(predictors, sources, args.out, args.threshold, about, truth)
    skipped += wrong
    print(f'{count} predicted; to look at them: {Path(args.out, "index.html")}', *remarks, *left, sep='\n')
    if skipped:
        print(f'{len(skipped)} skipped: {"; ".join(skipped)}', file=sys.stderr)


if __name__ == '__main__':
    run_tool(main, '; what was done until then is written')
