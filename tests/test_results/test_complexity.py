import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from res2net_mm.config import load_config, shipped_configs
from res2net_mm.errors import UserError
from res2net_mm.results.complexity import backbone_complexity, complexity, count, tables
from res2net_mm.results.paper import paper

CONFIGS = Path(__file__).parents[2] / 'configs'
PUBLISHED = paper()['complexity']


def test_a_convolution_costs_what_it_should():
    model = nn.Conv2d(3, 8, 3, stride=2, padding=1, groups=1)
    counted = count(model, lambda: model(torch.rand(2, 3, 10, 12)))
    assert counted['macs'] == counted['flops'] == pytest.approx(2 * 5 * 6 * 8 * 3 * 9 / 1e9)
    assert counted['parameters'] == counted['trainable'] == (3 * 8 * 9 + 8) / 1e6
    model = nn.ConvTranspose2d(4, 6, 2, stride=2)
    counted = count(model, lambda: model(torch.rand(1, 4, 5, 5)))
    assert counted['macs'] == pytest.approx(25 * 4 * 6 * 4 / 1e9)
    assert counted['flops'] == pytest.approx(100 * 4 * 6 * 4 / 1e9)  # as mmcv counted it


@pytest.mark.parametrize('row', PUBLISHED['backbones'], ids=lambda row: row['name'])
def test_backbones_have_the_published_size_and_cost(row):
    counted = backbone_complexity(dict(type='res2net_mm.Res2Net', **row['arguments']))
    assert round(counted['parameters'] * 1e6) == row['parameters']
    if 'gmacs' in row:
        assert counted['macs'] == pytest.approx(row['gmacs'], rel=0.02)


@pytest.mark.parametrize('name', PUBLISHED['configs'])
def test_detectors_have_the_published_size_and_cost(name):
    cfg = load_config(str(CONFIGS / f'{name}.py'))
    counted = complexity(cfg)
    parameters, flops = PUBLISHED['configs'][name]
    assert counted['flops'] == pytest.approx(flops, rel=0.005)
    # They were counted in MMDetection 1, whose mask heads and class-specific box regression had an output for
    # the background, too: 257 and 4 x 1025 parameters.
    head = cfg.model.roi_head
    masks = [head.mask_head] if isinstance(head.get('mask_head'), dict) else head.get('mask_head', [])
    if 'cascade_mask' in name:  # one config for three heads
        masks = masks * head.num_stages
    boxes = 0 if isinstance(head.bbox_head, list) else 1
    background = len(masks) * 257 + boxes * 4 * 1025
    assert round(counted['trainable'] + background / 1e6, 2) == parameters


@pytest.mark.parametrize('name', PUBLISHED['classifiers'])
def test_classifiers_have_the_published_size_and_cost(name):
    counted = complexity(load_config(str(shipped_configs()[name])))
    parameters, gmacs = PUBLISHED['classifiers'][name]
    if gmacs:  # Table 3
        assert counted['macs'] == pytest.approx(gmacs, rel=0.03)
    elif name.startswith('se_'):  # Table 4; its SE rows follow from no reduction ratio
        assert counted['backbone'] == pytest.approx(parameters, rel=0.05)
    else:
        assert round(counted['backbone'], 1) == parameters


def test_images_are_as_large_as_the_crops():
    names = ('r2n50_imagenet', 'r2n50_299_imagenet', 'rx29_6c24w_cifar100')
    small, large, tiny = (complexity(load_config(str(shipped_configs()[name]))) for name in names)
    assert large['macs'] / small['macs'] == pytest.approx((299 / 224) ** 2, rel=0.06)
    assert large['parameters'] == small['parameters'] == pytest.approx(25.699120)
    assert tiny['macs'] == pytest.approx(1.10, abs=0.01)  # of 32 x 32


def test_tables_show_every_config_and_option(capsys):
    name = next(iter(PUBLISHED['configs']))
    (table,) = tables([str(CONFIGS / f'{name}.py')], (320, 480))
    assert '480 x 320' in table.title and table.row_count == 1
    assert [list(column.cells)[0] for column in table.columns][2:5:2] == ['', '']  # published of another size
    paths = [str(CONFIGS / name) for name in ('simplebaseline_r50_coco.py', 'imagenet/r2n50_imagenet.py')]
    others, classifiers = tables(paths)
    assert others.row_count == classifiers.row_count == 1
    assert [list(column.cells)[0] for column in classifiers.columns][3:5] == ['4.26', '4.2 (+1.4%)']
    with pytest.raises(UserError, match='config not found'):
        list(tables(['nowhere.py']))


def test_images_have_the_size_of_the_config():
    real = complexity(load_config(str(CONFIGS / 'simplebaseline_r2n50_coco.py')))
    demo = complexity(load_config(str(CONFIGS.parent / 'demo/configs/simplebaseline_r2n50_coco.py')))
    assert demo['macs'] == pytest.approx(real['macs'] / 4)  # 128x96, not 256x192
    dss = load_config(str(CONFIGS / 'dss_r2n50_msrab.py'))  # whose images have their own
    assert complexity(dss) == complexity(dss, (300, 400))


def test_models_of_other_shapes_are_counted_or_refused(tmp_path):
    import mmdet

    folder = Path(mmdet.__file__).parent / '.mim' / 'configs'
    retinanet = complexity(load_config(str(folder / 'retinanet' / 'retinanet_r50_fpn_1x_coco.py')))
    assert retinanet['macs'] == pytest.approx(239, rel=0.02)  # GFLOPs in MMDetection's own list
    c4 = complexity(load_config(str(folder / 'faster_rcnn' / 'faster-rcnn_r50-caffe-c4_ms-1x_coco.py')))
    assert c4['macs'] > 700  # its last stage is computed for each of 1,000 boxes
    with pytest.raises(UserError, match="a DETR can't be counted"):
        complexity(load_config(str(folder / 'detr' / 'detr_r50_8xb2-150e_coco.py')))


def test_no_number_is_cut_however_narrow_the_terminal():
    config = CONFIGS / 'cascade_mask_rcnn_r2n101v1b_coco.py'
    command = [sys.executable, CONFIGS.parent / 'tools' / 'complexity.py', config]
    result = subprocess.run(command, capture_output=True, text=True, env={**os.environ, 'COLUMNS': '40'})
    assert '526.84 (-0.3%)' in result.stdout and '…' not in result.stdout


def test_tool_reports_errors_without_a_traceback():
    tool = CONFIGS.parent / 'tools' / 'complexity.py'
    result = subprocess.run([sys.executable, tool, 'nowhere.py'], capture_output=True, text=True)
    assert result.returncode == 2
    assert 'complexity.py: error: config not found' in result.stderr and 'Traceback' not in result.stderr
