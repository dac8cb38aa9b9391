"""Table 10's experiment, without the backbone: SimpleBaseline, 256x192, on COCO's key points.

140 epochs of 128 persons an iteration (4 GPUs of 32) by Adam.
"""

_base_ = ['simplebaseline.py', 'coco_keypoints.py', 'mmpose_runtime.py']

model = dict(backbone=dict(out_indices=(3,)))
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=140, val_interval=10)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
param_scheduler = [dict(type='MultiStepLR', by_epoch=True, begin=0, end=140, milestones=[90, 120], gamma=0.1)]
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=0.001))
auto_scale_lr = dict(enable=False, base_batch_size=128)
