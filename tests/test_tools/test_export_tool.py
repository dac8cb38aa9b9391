import onnx
import torch
from mmengine.registry import MODELS, DefaultScope

from res2net_mm.config import load_config

SMALLER = {'model.backbone.scales': 2}


def test_a_whole_detectors_checkpoint(run, tiny_config, tmp_path):
    cfg = load_config(str(tiny_config), SMALLER)
    with DefaultScope.overwrite_default_scope('mmdet'):
        torch.save(dict(state_dict=MODELS.build(cfg.model).state_dict()), tmp_path / 'epoch_1.pth')
    options = '--cfg-options', *(f'{k}={v}' for k, v in SMALLER.items())

    result = run('export.py', tiny_config, 'epoch_1.pth', 'out/backbone.onnx', *options)
    assert result.returncode == 0, result.stderr
    assert 'out/backbone.onnx (' in result.stdout and 'weights: epoch_1.pth\n' in result.stdout
    assert 'takes (batch, 3, height, width): RGB in 0...255, less (123.675, ' in result.stdout
    assert 'layer4: 256 channels at stride 32\n' in result.stdout
    assert 'Checked on 1x97x131 and 3x64x96' in result.stdout and 'Warning' not in result.stderr
    outputs = onnx.load(tmp_path / 'out' / 'backbone.onnx').graph.output
    assert [node.name for node in outputs] == ['layer1', 'layer2', 'layer3', 'layer4']

    result = run('export.py', tiny_config, 'epoch_1.pth', 'out/other.pt2')
    assert result.returncode == 2 and not (tmp_path / 'out' / 'other.pt2').exists()
    assert (
        'export.py: error: epoch_1.pth was not loaded: it has scales=2, the model has scales=4'
        in result.stderr
    )
