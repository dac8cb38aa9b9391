"""The tools that draw: Grad-CAM of two detectors, receptive fields, and what both say to bad input."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
import receptive_fields
import torch
from mmengine.registry import MODELS, DefaultScope
from PIL import Image

from res2net_mm.config import load_config
from res2net_mm.errors import UserError

ROOT = Path(__file__).parents[2]
BASELINE = """
_base_ = '{}'
model = dict(
    backbone=dict(_delete_=True, type='ResNet', depth=18, base_channels=8, stem_channels=8),
    neck=dict(in_channels=[8, 16, 32, 64]),
)
"""


@pytest.fixture
def call(monkeypatch, tmp_path):
    """Run a tool in this process, in an empty folder."""

    def call(tool, *args):
        monkeypatch.setattr(sys, 'argv', [f'{tool}.py', *map(str, args)])
        importlib.import_module(tool).main()

    monkeypatch.chdir(tmp_path)
    return call


def save(config, path):
    cfg = load_config(str(config))
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmdet'):
        torch.save(dict(state_dict=MODELS.build(cfg.model).state_dict()), path)


def test_grad_cam_of_two_detectors(call, capsys, run, tiny_config, tmp_path):
    pytest.importorskip('pytorch_grad_cam')
    (tmp_path / 'r18.py').write_text(BASELINE.format(tiny_config))
    save(tiny_config, 'r2n.pth')
    save('r18.py', 'r18.pth')
    (images,) = tiny_config.parent.rglob('coco/val2017')
    small = '--cfg-options', 'test_dataloader.dataset.pipeline.1.scale=(160,120)'
    against = '--against', 'r18.py', 'r18.pth'
    call('grad_cam', tiny_config, 'r2n.pth', images, *against, '--out', 'out/cam.png', *small)
    assert 'out/cam.png: 3 images, r18 over tiny; the maps: out/cam.npz' in capsys.readouterr().out
    maps = np.load('out/cam.npz')
    names = sorted(path.name for path in images.iterdir())
    assert sorted(maps) == sorted(f'{model}/{name}' for model in ('r18', 'tiny') for name in names)
    assert all(cam.dtype == np.float32 and 0 <= cam.min() and cam.max() <= 1 for cam in maps.values())
    assert all(maps[f'tiny/{name}'].max() > 0.9 for name in names)  # the class is what it finds most of all
    width, height = Image.open('out/cam.png').size
    assert width > 600 and height > 300

    one, checkpoint = images / names[0], 'r2n.pth'
    layers = '--layers', 'backbone.layer1', 'neck.fpn_convs.0.conv'
    call('grad_cam', tiny_config, checkpoint, one, *layers, *small)
    assert np.load('grad_cam.npz')[f'tiny/{names[0]}'].shape == maps[f'tiny/{names[0]}'].shape
    with pytest.raises(UserError, match='must depend once on each of the layers'):
        call('grad_cam', tiny_config, checkpoint, one, '--layers', 'rpn_head.rpn_conv', *small)
    with pytest.raises(UserError, match="no layer 'backbone.layr4'; did you mean backbone.layer4"):
        call('grad_cam', tiny_config, checkpoint, one, '--layers', 'backbone.layr4')
    with pytest.raises(UserError, match="no class 'xxxx'; there are 80, from 'person' to "):
        call('grad_cam', tiny_config, checkpoint, one, '--class', 'xxxx')
    nothing = '--cfg-options', 'model.test_cfg.rcnn.score_thr=1.0'
    call('grad_cam', tiny_config, checkpoint, one, *nothing)
    assert f'tiny: nothing found in {one}\n' in capsys.readouterr().out
    assert not np.load('grad_cam.npz')[f'tiny/{names[0]}'].any()
    Path('bad').mkdir()
    Path('bad/text.png').write_text('no image')
    why = "bad/text.png can't be read: it is not an image, it begins with b'no image'"
    call('grad_cam', tiny_config, checkpoint, 'bad', one, 'gone.jpg', *small)
    printed = capsys.readouterr()
    assert 'grad_cam.png: 1 image, tiny' in printed.out
    assert printed.err.endswith(f'2 skipped: gone.jpg does not exist; {why}\n')
    assert len(np.load('grad_cam.npz')) == 1
    result = run('grad_cam.py', tiny_config, checkpoint, 'bad')
    assert result.returncode == 2 and 'Traceback' not in result.stderr
    assert result.stderr.endswith(f'grad_cam.py: error: {why}\n')


@pytest.mark.parametrize(
    'images,message',
    [
        (['nothing.jpg'], 'nothing.jpg does not exist'),
        (['empty'], 'empty has no images in it'),
        (['many'], '65 images are too many for one figure, which takes 64'),
        (['a', '--out', 'x.jpg'], '--out x.jpg: the name must end in .png'),
    ],
)
def test_bad_images(call, tmp_path, images, message):
    for folder, count in (('empty', 0), ('many', 65), ('a', 1)):
        Path(folder).mkdir()
        for i in range(count):
            Path(folder, f'{i}.png').touch()
    with pytest.raises(UserError, match=message):
        call('grad_cam', 'no_config.py', 'x.pth', *images)


def test_receptive_fields(call, capsys, run, tiny_config):
    (images,) = tiny_config.parent.rglob('coco/val2017')
    two = sorted(images.iterdir())[:2]
    options = '--cfg-options', 'model.backbone.depth=(2,2,2,2)'
    blocks = 'layer1.0', 'layer1.1'
    call('receptive_fields', tiny_config, '--images', *two, '--blocks', *blocks, '--out', 'x.png', *options)
    out = capsys.readouterr().out
    assert 'layer1.1' in out and 'x.png: tiny, random weights, 2 images' in out
    (line,) = (line.split() for line in out.splitlines() if 'layer1.1' in line)
    assert line[-4:] == ['1', '3', '5', '7']
    assert Image.open('x.png').size[0] > 1000

    with pytest.raises(UserError, match="no block 'layer5.1'; did you mean layer"):
        call('receptive_fields', tiny_config, '--blocks', 'layer5.1', *options)
    Path('text.png').write_text('no image')
    with pytest.raises(UserError, match='text.png is not an image that torchvision reads'):
        call('receptive_fields', tiny_config, '--images', 'text.png', *options)
    result = run('receptive_fields.py', tiny_config, '--out', 'x.jpg')
    assert result.returncode == 2
    assert result.stderr.endswith('receptive_fields.py: error: --out x.jpg: the name must end in .png\n')


@pytest.mark.parametrize(
    'config, options, order',
    [
        ('cifar100/r2nx29_6c24w4s_cifar100', {}, 'rgb'),  # its data set gives RGB, which isn't swapped
        ('cifar100/r2nx29_6c24w4s_cifar100', {'model.data_preprocessor.to_rgb': True}, 'bgr'),
        ('imagenet/r2n50_imagenet', {}, 'rgb'),
        ('imagenet/r2n50_imagenet', {'model.data_preprocessor.to_rgb': False}, 'bgr'),
        ('faster_rcnn_r2n50_fpn_coco', {}, 'rgb'),
        ('faster_rcnn_r2n50_fpn_coco', {'test_dataloader': None}, 'rgb'),
    ],
)
def test_the_order_of_channels_is_that_of_the_configs_test(tmp_path, config, options, order):
    """Files are read as BGR, CIFAR's data set gives RGB; the preprocessor may swap them."""
    rgb = (250, 120, 10)
    Image.new('RGB', (40, 40), rgb).save(tmp_path / 'x.png')
    cfg = load_config(str(ROOT / f'configs/{config}.py'), options)
    given = cfg.model.data_preprocessor
    expected = rgb if order == 'rgb' else rgb[::-1]
    pixel = receptive_fields.read_images([str(tmp_path / 'x.png')], 32, cfg)[0, :, 16, 16]
    normalized = [(value - mean) / std for value, mean, std in zip(expected, given.mean, given.std)]
    assert pixel.tolist() == pytest.approx(normalized, abs=1e-5)
