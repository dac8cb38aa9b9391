#!/usr/bin/env python
"""Write a config's backbone, fused, as ONNX or as a torch.export program, and check the file."""

import argparse
from pathlib import Path

from res2net_mm.arguments import add_cfg_options, add_checkpoint_options
from res2net_mm.errors import run_tool


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file, or res2net_mm::NAME.py for a shipped one')
    parser.add_argument(
        'checkpoint',
        nargs='?',
        help="a whole model's or a backbone's (the weights of model.backbone.init_cfg)",
    )
    parser.add_argument('out', help='NAME.onnx or NAME.pt2')
    add_cfg_options(parser)
    add_checkpoint_options(parser)
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    from mmengine.logging import MMLogger

    from res2net_mm.config import load_config
    from res2net_mm.fused.export import (
        CHECKED,
        check_format,
        describe_input,
        export,
        in_channels,
        load_backbone,
    )

    check_format(args.out)  # before a network is built or downloaded
    cfg = load_config(args.config, args.cfg_options)
    if not args.checkpoint:
        MMLogger.get_current_instance().setLevel('WARNING')  # of an initialization it lists every parameter
    network, weights = load_backbone(cfg, args.checkpoint)
    name, channels = type(network).__name__, in_channels(network)
    metadata = dict(describe_input(cfg), weights=weights)
    difference, feature_maps = export(network, args.out, metadata)
    print(f'{args.out} ({Path(args.out).stat().st_size / 1e6:.1f} MB): {name}, fused; weights: {weights}')
    images = metadata.get('input', 'of what, the config does not say')
    print(f'  takes (batch, {channels}, height, width): {images}')
    for name, (channels, stride) in feature_maps.items():
        print(f'  {name}: {channels} channels at stride {stride}')
    sizes = ' and '.join('x'.join(map(str, size)) for size in CHECKED)
    print(f'Checked on {sizes} images: within {difference:.1e} of PyTorch, by the largest values')


if __name__ == '__main__':
    run_tool(main)
