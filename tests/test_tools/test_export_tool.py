import onnx
import torch
from mmengine.registry import MODELS, DefaultScope

from res2net_mm.config import load_config


def test_a_whole_detectors_checkpoint(run, tiny_config, tmp_path):
    cfg = load_config(str(tiny_config))
    with DefaultScope.overwrite_default_scope('mmdet'):
        torch.save(dict(state_dict=MODELS.build(cfg.model).state_dict()), tmp_path / 'epoch_1.pth')

    stages = 'model.backbone.num_stages=2', 'model.backbone.out_indices=(0,1)'
    result = run('export.py', tiny_config, 'epoch_1.pth', 'out/backbone.onnx', '--cfg-options', *stages)
    assert result.returncode == 0, result.stderr
    assert 'out/backbone.onnx (' in result.stdout and 'weights: epoch_1.pth\n' in result.stdout
    assert 'takes (batch, 3, height, width): RGB in 0...255, less (123.675, ' in result.stdout
    assert 'layer2: 64 channels at stride 8\n' in result.stdout
    assert 'Checked on 1x97x131 and 3x64x96' in result.stdout and 'Warning' not in result.stderr
    outputs = onnx.load(tmp_path / 'out' / 'backbone.onnx').graph.output
    assert [node.name for node in outputs] == ['layer1', 'layer2']

    options = '--cfg-options', 'model.backbone.scales=5'
    result = run('export.py', tiny_config, 'epoch_1.pth', 'out/other.pt2', *options)
    assert result.returncode == 2 and not (tmp_path / 'out' / 'other.pt2').exists()
    assert 'error: epoch_1.pth was not loaded: it has scales=4, the model has scales=5' in result.stderr
