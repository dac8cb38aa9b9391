"""A classifier trains, tests and is published by the same tools, and then begins a detector."""

import json

import cv2
import numpy as np
import torch
from mmengine.registry import MODELS

BACKBONE = dict(depth=(1, 1, 1, 1), base_channels=8, stem_channels=8, base_width=16)
CONFIG = """
_base_ = '{base}'
model = dict(backbone=dict({backbone}), head=dict(in_channels=256, num_classes=2, topk=(1, 2)))
train_pipeline, test_pipeline = _base_.train_pipeline, _base_.test_pipeline
train_pipeline[1].scale = test_pipeline[2].crop_size = 32
test_pipeline[1].scale = 40
own = dict(metainfo=dict(classes=['dark', 'light']), data_root='{root}')
loading = dict(batch_size=4, num_workers=0, persistent_workers=False)
train_dataloader = dict(dataset=dict(pipeline=train_pipeline, **own), **loading)
val_dataloader = dict(dataset=dict(pipeline=test_pipeline, **own), **loading)
test_dataloader = val_dataloader
val_evaluator = dict(topk=(1, 2))
test_evaluator = val_evaluator
train_cfg = dict(max_epochs=1)
"""


def test_trains_tests_and_begins_a_detector(run, tmp_path):
    for split in ('train', 'val'):
        for kind, value in (('dark', 60), ('light', 200)):
            folder = tmp_path / 'imagenet' / split / kind
            folder.mkdir(parents=True)
            for i in range(4):
                image = np.full((48, 64, 3), value + i, np.uint8)
                image[..., 0] -= 40  # less blue: yellowish
                cv2.imwrite(str(folder / f'{kind}{i}.jpg'), image)
    fields = dict(
        base='res2net_mm::imagenet/r2n50_imagenet.py',
        backbone=', '.join(f'{k}={v}' for k, v in BACKBONE.items()),
        root=tmp_path / 'imagenet',
    )
    (tmp_path / 'tiny.py').write_text(CONFIG.format(**fields))
    result = run('train.py', 'tiny.py')
    assert result.returncode == 0, result.stderr[-3000:]
    work_dir = tmp_path / 'work_dirs' / 'tiny'
    assert (work_dir / 'curves.png').exists()
    result = run('publish_model.py', work_dir / 'epoch_1.pth')
    assert result.returncode == 0, result.stderr
    (published,) = work_dir.glob('tiny-*.pth')
    assert result.stdout.startswith(f'{published} (')
    result = run('test.py', 'tiny.py', published, '--show-dir', 'shown')
    assert result.returncode == 0, result.stderr[-3000:]
    assert 'accuracy/top1' in result.stdout and len(list((tmp_path / 'shown').iterdir())) == 8
    blue, _, red = cv2.imread(str(tmp_path / 'shown' / 'light_light0.jpg'))[-4:].mean((0, 1))
    assert red - blue > 20  # mmpretrain alone would draw it bluish
    newest = sorted(path for path in work_dir.glob('*_*') if path.is_dir())[-1]
    record = json.loads((newest / 'record.json').read_text())
    assert record['data']['test']['images'] == 8 and record['metrics']['accuracy/top2'] == 100

    trained = torch.load(published)['state_dict']
    for checkpoint in (published, work_dir / 'epoch_1.pth'):
        init = dict(type='Pretrained', checkpoint=str(checkpoint))
        backbone = MODELS.build(dict(type='res2net_mm.Res2Net', init_cfg=init, **BACKBONE))
        backbone.init_weights()
        for name, value in backbone.state_dict().items():
            assert torch.equal(value, trained[f'backbone.{name}'])
