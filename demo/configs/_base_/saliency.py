"""The demo data's objects against their background, as salient objects: 120 drawn scenes, 40 for evaluation.

The whole of DSS, from scratch: BN learns, images are made smaller.
"""

_base_ = ['../../../configs/_base_/dss.py', '../../../configs/_base_/mmseg_runtime.py']

model = dict(backbone=dict(norm_cfg=dict(requires_grad=True), norm_eval=False))
resize = dict(type='Resize', scale=(96, 72), keep_ratio=False)
load_mask = dict(type='res2net_mm.LoadSaliencyMask', threshold=0)  # a label above 0 is an object's
train_pipeline = [
    dict(type='LoadImageFromFile'),
    load_mask,
    resize,
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    resize,
    load_mask,  # at its own size
    dict(type='PackSegInputs', meta_keys=('img_path', 'ori_shape', 'img_shape', 'dataset')),
]
data_root = 'data/demo/VOCdevkit/VOC2012/'
voc = dict(name='VOC2012', img_path='JPEGImages', seg_map_path='SegmentationClassAug')
lists = 'ImageSets/Segmentation/'
train_dataloader = dict(
    batch_size=2,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type='res2net_mm.SaliencyDataset',
        data_root=data_root,
        sets=[dict(voc, list_file=lists + 'trainaug.txt')],
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='res2net_mm.SaliencyDataset',
        data_root=data_root,
        sets=[dict(voc, list_file=lists + 'val.txt')],
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='res2net_mm.SaliencyMetric')
test_evaluator = val_evaluator

train_cfg = dict(type='IterBasedTrainLoop', max_iters=300, val_interval=100)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=20),
    dict(type='PolyLR', power=0.9, eta_min=0, begin=20, end=300, by_epoch=False),
]
optim_wrapper = dict(
    type='OptimWrapper', optimizer=dict(type='AdamW', lr=4e-4, weight_decay=0.05, fused=True)
)
default_hooks = dict(logger=dict(interval=10), checkpoint=dict(interval=100))
auto_scale_lr = dict(enable=False, base_batch_size=2)
randomness = dict(seed=0)
