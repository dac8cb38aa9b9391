"""The real Mask R-CNN with Res2Net-50, from scratch on the demo data."""

_base_ = [
    '../../configs/_base_/mask_rcnn.py',
    '_base_/coco.py',
    '_base_/schedule.py',
    '../../configs/_base_/mmdet_runtime.py',
]

# Nothing is pretrained, so nothing is frozen. A few objects an image need fewer RoIs: 32 in training, 200
# proposals in testing.
model = dict(
    backbone=dict(type='res2net_mm.Res2Net', depth=50, frozen_stages=-1, norm_eval=False),
    train_cfg=dict(rcnn=dict(sampler=dict(num=32))),
    test_cfg=dict(rpn=dict(max_per_img=200)),
)
train_pipeline, test_pipeline = _base_.train_pipeline, _base_.test_pipeline
train_pipeline[1].with_mask = test_pipeline[2].with_mask = True
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(metric=['bbox', 'segm'])
test_evaluator = val_evaluator
default_hooks = dict(logger=dict(interval=10), visualization=dict(score_thr=0.6))
