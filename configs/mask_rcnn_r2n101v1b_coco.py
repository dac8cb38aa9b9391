"""Mask R-CNN with Res2Net-101 v1b on COCO: the authors' result in MMDetection, whose BN layers learn."""

_base_ = ['_base_/mask_rcnn_coco.py']

model = dict(
    backbone=dict(
        type='res2net_mm.Res2Net',
        depth=101,
        deep_stem=True,
        avg_down=True,
        norm_cfg=dict(requires_grad=True),
        init_cfg=dict(type='Pretrained', checkpoint='res2net://res2net101_v1b_26w_4s'),
    ),
)
