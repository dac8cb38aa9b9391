"""Table 4's and Fig. 5's experiment, without the backbone: CIFAR-100.

ResNeXt-29's recipe (Xie et al., 2017): 300 epochs of 128 images an iteration (one GPU).
"""

_base_ = ['classifier.py', 'cifar100_classification.py', 'mmpretrain_runtime.py']

model = dict(
    data_preprocessor=dict(
        type='ClsDataPreprocessor',
        mean=[129.3, 124.1, 112.4],
        std=[68.2, 65.4, 70.4],
        to_rgb=False,  # the files hold RGB
    ),
    backbone=dict(type='res2net_mm.Res2NeXtCIFAR', out_indices=(2,)),
    head=dict(in_channels=1024, num_classes=100),
)
default_hooks = dict(checkpoint=dict(interval=10))
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=300, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
param_scheduler = [
    dict(type='MultiStepLR', by_epoch=True, begin=0, end=300, milestones=[150, 225], gamma=0.1)
]
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.0005),
)
auto_scale_lr = dict(enable=False, base_batch_size=128)
