"""The experiment of Tables 1, 2 and 3, without the backbone: ImageNet.

100 epochs of 256 images an iteration (4 GPUs of 64), learning rate 0.1, / 10 every 30 epochs.
"""

_base_ = ['classifier.py', 'imagenet_classification.py', 'mmpretrain_runtime.py']

model = dict(
    data_preprocessor=dict(
        type='ClsDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        to_rgb=True,
    ),
    backbone=dict(out_indices=(3,)),
    head=dict(in_channels=2048, num_classes=1000),
)
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=100, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
param_scheduler = [
    dict(type='MultiStepLR', by_epoch=True, begin=0, end=100, milestones=[30, 60, 90], gamma=0.1)
]
optim_wrapper = dict(
    type='OptimWrapper', optimizer=dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=0.0001)
)
auto_scale_lr = dict(enable=False, base_batch_size=256)
