"""The real Faster R-CNN FPN with Res2Net-50, from scratch on the demo data."""

_base_ = [
    '../../configs/_base_/faster_rcnn_fpn.py',
    '_base_/coco.py',
    '_base_/schedule.py',
    '../../configs/_base_/mmdet_runtime.py',
]

# Nothing is pretrained, so nothing is frozen. A few objects an image need fewer RoIs: 64 in training, 200
# proposals in testing.
model = dict(
    backbone=dict(type='res2net_mm.Res2Net', depth=50, frozen_stages=-1, norm_eval=False),
    train_cfg=dict(rcnn=dict(sampler=dict(num=64))),
    test_cfg=dict(rpn=dict(max_per_img=200)),
)
default_hooks = dict(logger=dict(interval=10), visualization=dict(score_thr=0.6))
