#!/usr/bin/env python
"""Measure and draw what each split of a network's blocks sees: their receptive fields, by gradients."""

import argparse
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from rich.console import Console
from torchvision.io import ImageReadMode, read_image
from torchvision.transforms.functional import center_crop, normalize, resize

from res2net_mm.arguments import add_cfg_options
from res2net_mm.config import load_config, unwrap
from res2net_mm.errors import UserError, run_tool
from res2net_mm.files import replacing
from res2net_mm.fused.export import in_channels, load_backbone
from res2net_mm.visualization.receptive_fields import draw, find_blocks, measure, table, theoretical_sides

RANDOM = 2  # images


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'config',
        nargs='?',
        default='res2net_mm::imagenet/r2n50_imagenet.py',
        help="config file, whose model.backbone is one of this package's, or %(default)s",
    )
    parser.add_argument(
        'checkpoint', nargs='?', help="a whole model's or a backbone's (as init_cfg says, or random)"
    )
    parser.add_argument(
        '--blocks', nargs='+', metavar='NAME', help='such as layer1.0 layer1.1 (one of each stage)'
    )
    parser.add_argument(
        '--images',
        nargs='+',
        metavar='FILE',
        help='real images, of the first of which the responses are drawn, too (random input)',
    )
    parser.add_argument('--out', default='receptive_fields.png', help='the figure (%(default)s)')
    add_cfg_options(parser)
    return parser.parse_args()


def read_images(paths: list[str], size: int, cfg: Config) -> torch.Tensor:
    """Read images, crop squares out of their middles and normalize them as a config does."""
    preprocessor = {**(cfg.get('data_preprocessor') or {}), **(cfg.model.get('data_preprocessor') or {})}
    pipeline = unwrap((cfg.get('test_dataloader') or {}).get('dataset') or {}).get('pipeline')
    given_rgb = bool(pipeline) and 'Load' not in str(pipeline[0]['type'])  # CIFAR's; files are read as BGR
    swapped = bool(preprocessor.get('bgr_to_rgb') or preprocessor.get('to_rgb'))
    images = []
    for path in paths:
        try:
            image = read_image(path, ImageReadMode.RGB)
        except (OSError, RuntimeError):
            raise UserError(f'{path} is not an image that torchvision reads, or not there') from None
        images.append(center_crop(resize(image, size, antialias=True), size))
    batch = torch.stack(images).float()
    if given_rgb == swapped:  # the network sees BGR
        batch = batch.flip(1)
    return normalize(batch, preprocessor.get('mean', [0]), preprocessor.get('std', [1]))


def main() -> None:
    args = parse_args()
    if not args.out.endswith('.png'):
        raise UserError(f'--out {args.out}: the name must end in .png')
    cfg = load_config(args.config, args.cfg_options)
    MMLogger.get_current_instance().setLevel('WARNING')  # of an initialization it lists every parameter
    if not args.checkpoint and 'backbone' in (cfg.get('model') or {}):
        # Random blocks that begin as the identity would let nothing but the residual paths be seen.
        cfg.model.backbone.setdefault('zero_init_residual', False)
    torch.manual_seed(0)
    network, weights = load_backbone(cfg, args.checkpoint)
    blocks = find_blocks(network, args.blocks)
    # At the last stride there is place for a block's whole field, and in the image for several blocks'.
    size = max(network.out_strides) * max(14, *map(max, map(theoretical_sides, blocks.values())))
    if args.images:
        images = read_images(args.images, size, cfg)
    else:
        images = torch.randn(RANDOM, in_channels(network), size, size)
    fields = measure(network, blocks, images)
    weights = 'random weights' if weights.startswith('RANDOM') else Path(weights).name
    title = f'{Path(args.config.partition("::")[2] or args.config).stem}, {weights}, '
    title += f'{len(images)} image{"s" * (len(images) > 1)}' if args.images else 'random input'
    with replacing(Path(args.out)) as part:
        draw(fields, title, bool(args.images)).savefig(part, format='png', dpi=150)
    Console(highlight=False).print(table(fields))
    print(f'{args.out}: {title}')


if __name__ == '__main__':
    run_tool(main)
