"""The real Faster R-CNN on C4 with Res2Net-50, from scratch on the demo data."""

_base_ = [
    '../../configs/_base_/faster_rcnn_c4.py',
    '_base_/coco.py',
    '_base_/schedule.py',
    '../../configs/_base_/mmdet_runtime.py',
]

# Nothing is pretrained, so nothing is frozen. Stage 4 runs on every RoI: 8 in training, 50 in testing.
learning = dict(norm_eval=False, norm_cfg=dict(requires_grad=True))
model = dict(
    backbone=dict(type='res2net_mm.Res2Net', frozen_stages=-1, **learning),
    roi_head=dict(shared_head=dict(type='res2net_mm.Res2Layer', **learning)),
    train_cfg=dict(rcnn=dict(sampler=dict(num=8))),
    test_cfg=dict(rpn=dict(max_per_img=50)),
)
# Larger than the pyramid needs them: the smallest anchors are of 64 pixels.
train_pipeline, test_pipeline = _base_.train_pipeline, _base_.test_pipeline
train_pipeline[2].scale = test_pipeline[1].scale = (266, 200)
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
default_hooks = dict(logger=dict(interval=10), visualization=dict(score_thr=0.6))
