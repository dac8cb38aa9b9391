"""The tools run as their users run them: as commands, on a small data set, with a small real model."""

import sys
from pathlib import Path

import pytest
from forks import run_command, run_tool
from make_data import COUNTS, make_demo_data

ROOT = Path(__file__).parents[2]
# A GPU's float32 is not to be TF32.
SETTINGS = {'PYTHON': sys.executable, 'OMP_NUM_THREADS': '1', 'NVIDIA_TF32_OVERRIDE': '0'}
TINY_CONFIG = """
_base_ = '{root}/demo/configs/faster_rcnn_r2n50_fpn_coco.py'
model = dict(
    backbone=dict(depth=(1, 1, 1, 1), base_channels=8, stem_channels=8, base_width=4),
    neck=dict(in_channels=[32, 64, 128, 256], out_channels=16),
    rpn_head=dict(in_channels=16, feat_channels=16),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=16), bbox_head=dict(in_channels=16, fc_out_channels=32)
    ),
    test_cfg=dict(rpn=dict(max_per_img=20), rcnn=dict(score_thr=0.0)),
)
data_root = '{data}/coco/'
train_dataloader = dict(
    batch_size=2, num_workers=0, persistent_workers=False, dataset=dict(data_root=data_root)
)
val_dataloader = dict(num_workers=0, persistent_workers=False, dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + 'annotations/instances_val2017.json')
test_evaluator = val_evaluator
train_cfg = dict(max_epochs=1)
default_hooks = dict(logger=dict(interval=1))
"""


@pytest.fixture(scope='session')
def tiny_config(tmp_path_factory):
    """A config file of a small Faster R-CNN FPN on 6 training and 3 validation images."""
    folder = tmp_path_factory.mktemp('tools')
    make_demo_data(folder / 'demo', dict.fromkeys(COUNTS, 1) | {'coco/train': 6, 'coco/val': 3})
    (folder / 'tiny.py').write_text(TINY_CONFIG.format(root=ROOT, data=folder / 'demo'))
    return folder / 'tiny.py'


@pytest.fixture
def run(tmp_path):
    """Run one of the tools in an empty folder; return its exit code and what it printed."""

    def run(tool, *args, **environment):
        run = run_tool if tool.endswith('.py') else run_command
        environment = {**SETTINGS, **environment}
        return run([ROOT / 'tools' / tool, *args], tmp_path, environment)

    return run


@pytest.fixture(scope='session')
def trained(tiny_config, tmp_path_factory):
    """The work directory of a finished training run, and what it printed."""
    folder = tmp_path_factory.mktemp('trained')
    command = [sys.executable, ROOT / 'tools' / 'train.py', tiny_config, '--work-dir', folder / 'run']
    result = run_command(command, folder, SETTINGS)
    assert result.returncode == 0, result.stderr[-3000:]
    return folder / 'run', result.stdout
