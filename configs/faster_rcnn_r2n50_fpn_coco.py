"""Faster R-CNN with FPN and Res2Net-50 26w4s on COCO: what people use today."""

_base_ = [
    '_base_/faster_rcnn_fpn.py',
    '_base_/coco_detection.py',
    '_base_/schedule_1x.py',
    '_base_/default_runtime.py',
]

model = dict(
    backbone=dict(
        type='res2net_mm.Res2Net',
        depth=50,
        frozen_stages=1,
        norm_eval=True,
        init_cfg=dict(type='Pretrained', checkpoint='res2net://res2net50_26w_4s'),
    ),
)
