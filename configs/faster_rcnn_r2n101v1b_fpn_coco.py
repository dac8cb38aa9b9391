"""Faster R-CNN with FPN and Res2Net-101 v1b on COCO."""

_base_ = ['_base_/faster_rcnn_fpn_coco.py']

model = dict(
    backbone=dict(
        type='res2net_mm.Res2Net',
        depth=101,
        deep_stem=True,
        avg_down=True,
        init_cfg=dict(type='Pretrained', checkpoint='res2net://res2net101_v1b_26w_4s'),
    ),
)
