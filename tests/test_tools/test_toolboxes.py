"""MMSegmentation's and MMPose's models train, test and draw by the same tools."""

import json
from pathlib import Path

import pytest
from make_data import COUNTS, make_demo_data

ROOT = Path(__file__).parents[2]
BACKBONE = 'backbone=dict(depth=(1, 1, 1, 1), base_channels=8, stem_channels=8, base_width=4'
CONFIGS = dict(
    deeplabv3plus_r2n50_voc12aug=f"""
model = dict(
    {BACKBONE}, multi_grid=(2,)),
    decode_head=dict(in_channels=256, channels=16, c1_in_channels=32, c1_channels=8),
)
train_dataloader = dict(batch_size=2)
train_cfg = dict(max_iters=2, val_interval=2)
default_hooks = dict(checkpoint=dict(interval=2))
tta_pipeline = _base_.tta_pipeline
tta_pipeline[1].transforms[0] = tta_pipeline[1].transforms[0][:2]
""",
    simplebaseline_r2n50_coco=f"""
model = dict({BACKBONE}), head=dict(in_channels=256, deconv_out_channels=(16, 16, 16)))
train_dataloader = dict(batch_size=4)
train_cfg = dict(max_epochs=1, val_interval=1)
default_hooks = dict(checkpoint=dict(interval=1))
""",
)
LOADING = 'dict(num_workers=0, persistent_workers=False)'


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp('data') / 'demo'
    make_demo_data(root, dict.fromkeys(COUNTS, 2) | {'coco/train': 4, 'coco/val': 3})
    return root


@pytest.mark.parametrize('name,metric', [(n, m) for n, m in zip(CONFIGS, ('mIoU', 'coco/AP'))])
def test_trains_tests_and_draws(name, metric, data, run, tmp_path):
    demo = (ROOT / f'demo/configs/{name}.py').read_text().replace("'data/demo/", f"'{data}/")
    demo = demo.replace("'../../configs", f"'{ROOT}/configs")
    (tmp_path / 'base.py').write_text(demo)
    (tmp_path / 'tiny.py').write_text(
        "_base_ = ['base.py']\n"
        + CONFIGS[name].replace('train_dataloader = dict(', 'train_dataloader = dict(num_workers=0, '
                                'persistent_workers=False, ')
        + f'val_dataloader = {LOADING}\ntest_dataloader = val_dataloader\n'
    )  # fmt: skip
    result = run('train.py', 'tiny.py', '--work-dir', 'run')
    assert result.returncode == 0, result.stderr[-3000:]
    checkpoint = (tmp_path / 'run' / 'last_checkpoint').read_text()
    tta = ['--tta'] if name.startswith('deeplab') else []
    result = run('test.py', 'tiny.py', checkpoint, '--work-dir', 'run', '--show-dir', 'shown', *tta)
    assert result.returncode == 0, result.stderr[-3000:]
    assert metric in result.stdout and f'Pictures: {tmp_path}/shown' in result.stdout
    images = 2 if name.startswith('deeplab') else 3
    assert len(list((tmp_path / 'shown').glob('*.[jp][pn]g'))) >= images
    newest = sorted(path for path in (tmp_path / 'run').glob('*_*') if path.is_dir())[-1]
    record = json.loads((newest / 'record.json').read_text())
    assert record['data']['test']['images'] == images and metric in record['metrics']
    assert record['data']['test'].get('boxes') == (None if tta else 'detected')
    assert record['tta'] is bool(tta) and record['checkpoint']['training']['config'] == 'tiny'
