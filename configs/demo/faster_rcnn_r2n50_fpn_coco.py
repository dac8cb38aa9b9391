"""The real Faster R-CNN FPN with Res2Net-50, from scratch on the demo data."""

_base_ = ['../faster_rcnn_r2n50_fpn_coco.py']

data_root = 'data/demo/coco/'
train_pipeline, test_pipeline = _base_.train_pipeline, _base_.test_pipeline
train_pipeline[2].scale = test_pipeline[1].scale = (200, 150)
train_dataloader = dict(
    batch_size=4,
    num_workers=1,
    dataset=dict(data_root=data_root, filter_cfg=dict(min_size=8), pipeline=train_pipeline),
)
val_dataloader = dict(batch_size=8, num_workers=1, dataset=dict(data_root=data_root, pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + 'annotations/instances_val2017.json')
test_evaluator = val_evaluator

# Nothing is pretrained, so nothing is frozen. A few objects an image need fewer RoIs: 64 in training, 200
# proposals in testing.
model = dict(
    backbone=dict(init_cfg=None, frozen_stages=-1, norm_eval=False),
    train_cfg=dict(rcnn=dict(sampler=dict(num=64))),
    test_cfg=dict(rpn=dict(max_per_img=200)),
)

train_cfg = dict(max_epochs=2, val_interval=1)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=30),
    dict(type='CosineAnnealingLR', by_epoch=True, convert_to_iter_based=True, T_max=2, eta_min=1e-6),
]
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='AdamW', lr=4e-4, weight_decay=0.05, fused=True),
    clip_grad=dict(max_norm=10),
)
default_hooks = dict(logger=dict(interval=10), visualization=dict(score_thr=0.6))
randomness = dict(seed=0)
