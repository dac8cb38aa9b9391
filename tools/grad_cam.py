#!/usr/bin/env python
"""Draw what of images a class depends on (Grad-CAM), of one model or of two in two rows, as Fig. 4."""

import argparse
import os
import sys
from pathlib import Path

import numpy as np

from res2net_mm.arguments import add_cfg_options, add_checkpoint_options
from res2net_mm.checkpoints import safe_loading
from res2net_mm.config import load_config
from res2net_mm.errors import UserError, run_tool
from res2net_mm.files import replacing

MOST = 64  # images in one figure


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'config', help='config of a classifier, segmentor or detector, or res2net_mm::NAME.py'
    )
    parser.add_argument('checkpoint', help="the model's, or the authors' or torchvision's of a classifier")
    parser.add_argument('images', nargs='+', help='images, folders of images, patterns, http(s) addresses')
    parser.add_argument(
        '--against', nargs=2, metavar=('CONFIG', 'CHECKPOINT'), help='a baseline, for the row above'
    )
    parser.add_argument(
        '--class',
        dest='class_name',
        metavar='NAME',
        help="a class's name or index (what the model of the first config finds most of all)",
    )
    parser.add_argument(
        '--layers',
        nargs='+',
        default=[],
        metavar='NAME',
        help="layers of both models, such as backbone.layer3; of several the mean (the backbones' last)",
    )
    parser.add_argument(
        '--out', default='grad_cam.png', help='the figure; the maps go beside it, as .npz (%(default)s)'
    )
    add_cfg_options(parser, 'both configs')
    add_checkpoint_options(parser)
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    if not args.out.endswith('.png'):
        raise UserError(f'--out {args.out}: the name must end in .png')
    from res2net_mm.datasets.images import UnreadableError
    from res2net_mm.visualization.predict import find_images

    sources, skipped, left = find_images(args.images)
    if len(sources) > MOST:
        raise UserError(f'{len(sources)} images are too many for one figure, which takes {MOST}')
    common = os.path.commonpath([os.path.dirname(os.path.abspath(source)) for source in sources])
    images = {os.path.relpath(source, common): source for source in sources}
    try:
        from res2net_mm.visualization.grad_cam import ClassScores, draw, grad_cam
    except ModuleNotFoundError as error:
        raise UserError(f'{error}: pip install grad-cam') from None

    pairs = [(args.config, args.checkpoint), *([args.against] if args.against else [])]
    names = [Path(config.partition('::')[2] or config).stem for config, _ in pairs]
    if len(set(names)) < len(names):
        names = [checkpoint for _, checkpoint in pairs]
    rows, classes = {}, {}
    for name, (config, checkpoint) in zip(names, pairs):
        with safe_loading():
            model = ClassScores(load_config(config, args.cfg_options), checkpoint)
        layers = [model.find_layer(layer) for layer in args.layers]
        rows[name] = []
        for image, path in list(images.items()):
            wanted = classes.get(image) or args.class_name
            try:
                picture, cam, index = grad_cam(model, path, wanted and model.find_class(wanted), layers)
            except UnreadableError as error:
                skipped.append(str(error))
                del images[image]
                continue
            classes[image] = None if index is None else model.classes[index]
            rows[name].append((picture, cam))
            if not cam.any():
                print(f'{name}: nothing found in {path}' + (f' of {classes[image]}' if wanted else ''))
    if not images:
        raise UserError('; '.join(skipped))
    rows = dict(reversed(rows.items()))  # the baseline above
    out = Path(args.out)
    figure = draw(rows, [(name or 'nothing found').split(',')[0] for name in classes.values()])
    arrays = {f'{name}/{image}': cam for name, cams in rows.items() for image, (_, cam) in zip(images, cams)}
    with replacing(out) as part:
        figure.savefig(part, format='png', dpi=150)
    with replacing(out.with_suffix('.npz')) as part, part.open('wb') as file:
        np.savez_compressed(file, **arrays)
    number = f'{len(images)} image{"s" * (len(images) > 1)}'
    print(f'{out}: {number}, {" over ".join(rows)}; the maps: {out.with_suffix(".npz")}', *left, sep='\n')
    if skipped:
        print(f'{len(skipped)} skipped: {"; ".join(skipped)}', file=sys.stderr)


if __name__ == '__main__':
    run_tool(main)
