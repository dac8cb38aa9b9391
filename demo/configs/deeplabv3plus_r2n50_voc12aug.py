"""The real DeepLabv3+ with Res2Net-50 at output stride 16, from scratch on the demo data."""

_base_ = [
    '../../configs/_base_/deeplabv3plus.py',
    '../../configs/_base_/voc12aug_segmentation.py',
    '../../configs/_base_/mmseg_runtime.py',
]

crop_size = (193, 193)
model = dict(data_preprocessor=dict(size=crop_size), backbone=dict(type='res2net_mm.Res2Net', depth=50))
data_root = 'data/demo/VOCdevkit/VOC2012/'
train_pipeline = _base_.train_pipeline
train_pipeline[3].crop_size = crop_size
train_dataloader = dict(
    batch_size=8, num_workers=1, dataset=dict(data_root=data_root, pipeline=train_pipeline)
)
val_dataloader = dict(num_workers=1, dataset=dict(data_root=data_root))
test_dataloader = val_dataloader

train_cfg = dict(type='IterBasedTrainLoop', max_iters=150, val_interval=50)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=20),
    dict(type='PolyLR', power=0.9, eta_min=0, begin=20, end=150, by_epoch=False),
]
optim_wrapper = dict(
    type='OptimWrapper', optimizer=dict(type='AdamW', lr=4e-4, weight_decay=0.05, fused=True)
)
default_hooks = dict(logger=dict(interval=10), checkpoint=dict(interval=50))
auto_scale_lr = dict(enable=False, base_batch_size=8)
randomness = dict(seed=0)
