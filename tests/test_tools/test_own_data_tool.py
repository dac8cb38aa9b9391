"""own_data.py's configs train, test and predict by the other tools."""

import own_folders as folders
import pytest

BACKBONE = [
    'model.backbone.depth=(1,1,1,1)',
    'model.backbone.base_channels=8',
    'model.backbone.stem_channels=8',
    'model.backbone.base_width=4',
    'model.backbone.init_cfg=None',
    *(f'{split}_dataloader.{option}' for split in ('train', 'val', 'test')
      for option in ('num_workers=0', 'persistent_workers=False')),
]  # fmt: skip
DETECTOR = [
    'model.neck.in_channels=[32,64,128,256]',
    'model.neck.out_channels=16',
    'model.rpn_head.in_channels=16',
    'model.rpn_head.feat_channels=16',
    'model.roi_head.bbox_roi_extractor.out_channels=16',
    'model.roi_head.bbox_head.in_channels=16',
    'model.roi_head.bbox_head.fc_out_channels=32',
    'model.test_cfg.rpn.max_per_img=20',
    'model.test_cfg.rcnn.score_thr=0.0',
    'train_cfg.max_epochs=1',
]
MASKS = ['model.roi_head.mask_roi_extractor.out_channels=16', 'model.roi_head.mask_head.in_channels=16',
         'model.roi_head.mask_head.conv_out_channels=16']  # fmt: skip
ITERATIONS = ['train_cfg.max_iters=2', 'train_cfg.val_interval=2', 'default_hooks.checkpoint.interval=2']
SEGMENTER = [
    'model.backbone.multi_grid=(2,)',
    'model.decode_head.in_channels=256',
    'model.decode_head.channels=16',
    'model.decode_head.c1_in_channels=32',
    'model.decode_head.c1_channels=8',
    *ITERATIONS,
]
POINTS = ['model.head.in_channels=256', 'model.head.deconv_out_channels=(16,16,16)']
SALIENCY = ['model.decode_head.in_channels=(8,32,64,128,256)', *ITERATIONS]
SLOW = pytest.mark.slow  # a method takes half a minute
EPOCH = ['train_cfg.max_epochs=1', 'train_cfg.val_interval=1', 'default_hooks.checkpoint.interval=1']


@pytest.mark.parametrize('method, make, options, metric', [
    pytest.param('faster_rcnn', folders.labelimg, DETECTOR, 'coco/bbox_mAP', marks=SLOW),
    pytest.param('mask_rcnn', folders.yolo_outlines, DETECTOR + MASKS, 'coco/segm_mAP', marks=SLOW),
    pytest.param('simplebaseline', folders.points, POINTS + EPOCH, 'coco/AP', marks=SLOW),
    pytest.param('deeplabv3plus', folders.cvat_masks, SEGMENTER, 'mIoU', marks=SLOW),
    pytest.param('dss', folders.masks_layout, SALIENCY, 'max_F', marks=SLOW),
    ('classify', folders.class_folders, ['model.head.in_channels=256', *EPOCH], 'accuracy/top1'),
])  # fmt: skip
def test_trains_tests_and_predicts(method, make, options, metric, run, tmp_path):
    make(tmp_path / 'my pets')
    result = run('own_data.py', 'my pets', '--method', method, '-o', 'my.py')
    assert result.returncode == 0 and 'Next: python tools/train.py my.py' in result.stdout, result.stderr
    options = ['--cfg-options', *BACKBONE, *options]
    result = run('train.py', 'my.py', '--work-dir', 'run', *options)
    assert result.returncode == 0, result.stderr[-3000:]
    checkpoint = (tmp_path / 'run/last_checkpoint').read_text()
    result = run('test.py', 'my.py', checkpoint, '--work-dir', 'run', '--show-dir', 'shown', *options)
    assert result.returncode == 0 and metric in result.stdout, result.stderr[-3000:] + result.stdout[-2000:]
    assert list((tmp_path / 'shown').rglob('*.*'))
    result = run('predict.py', 'my.py', checkpoint, folders.picture(tmp_path / 'new.jpg'), *options)
    assert result.returncode == 0 and (tmp_path / 'predictions/index.html').is_file(), result.stderr[-3000:]


def test_says_what_is_wrong_without_a_traceback(run, tmp_path):
    result = run('own_data.py', 'pets', '--method', 'dss')
    assert (result.returncode, result.stderr) == (2, 'own_data.py: error: there is no folder pets\n')
    assert "invalid choice: 'yolo'" in run('own_data.py', 'pets', '--method', 'yolo').stderr
