"""Faster R-CNN with FPN and Res2Net-DLA-60 on COCO."""

_base_ = ['_base_/faster_rcnn_fpn_coco.py']

model = dict(
    backbone=dict(
        type='res2net_mm.Res2NetDLA',
        depth=60,
        init_cfg=dict(type='Pretrained', checkpoint='res2net://res2net_dla60_4s'),
    ),
    neck=dict(in_channels=[128, 256, 512, 1024]),
)
