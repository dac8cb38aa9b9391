"""Fig. 5's experiment made small, less the networks' dimensions: real digits, from scratch, in minutes.

These networks are Table 4's with an eighth of the channels throughout: a stem of 8, 32 to 128 at the stages'
ends, splits of width 3. They learn from 500 images in 250 iterations, too few for SGD and for residuals that
start at zero, as in Table 4; hence Adam and other first weights. No flips: digits don't survive them.
"""

_base_ = ['../../../configs/_base_/classifier.py', '../../../configs/_base_/mmpretrain_runtime.py']

model = dict(
    data_preprocessor=dict(type='ClsDataPreprocessor', mean=[78.6] * 3, std=[83.6] * 3),
    backbone=dict(
        type='res2net_mm.Res2NeXtCIFAR',
        base_channels=8,
        base_width=3,
        zero_init_residual=False,
        out_indices=(2,),
    ),
    head=dict(in_channels=128, num_classes=10, topk=(1,)),
)
dataset_type = 'CustomDataset'
data_root = 'data/demo/digits/'
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='RandomCrop', crop_size=32, padding=2),
    dict(type='PackInputs'),
]
test_pipeline = [dict(type='LoadImageFromFile'), dict(type='PackInputs')]
train_dataloader = dict(
    batch_size=20,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(type=dataset_type, data_root=data_root, data_prefix='train', pipeline=train_pipeline),
)
val_dataloader = dict(
    batch_size=100,
    num_workers=0,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type=dataset_type, data_root=data_root, data_prefix='test', pipeline=test_pipeline),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='Accuracy', topk=1)
test_evaluator = val_evaluator

train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=10, val_interval=10)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=20),
    dict(type='CosineAnnealingLR', by_epoch=True, convert_to_iter_based=True, T_max=10, eta_min=1e-6),
]
optim_wrapper = dict(
    type='OptimWrapper', optimizer=dict(type='AdamW', lr=5e-3, weight_decay=0.05, fused=True)
)
default_hooks = dict(logger=dict(interval=10), checkpoint=dict(max_keep_ckpts=1))
auto_scale_lr = dict(enable=False, base_batch_size=20)
randomness = dict(seed=0)
