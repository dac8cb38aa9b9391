"""Faster R-CNN with FPN and Res2Net-101 26w4s on COCO."""

_base_ = ['_base_/faster_rcnn_fpn_coco.py']

model = dict(
    backbone=dict(
        type='res2net_mm.Res2Net',
        depth=101,
        init_cfg=dict(type='Pretrained', checkpoint='res2net://res2net101_26w_4s'),
    ),
)
