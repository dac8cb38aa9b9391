"""Mask R-CNN as in Table 8, with Res2NeXt-50 8c4w4s on COCO."""

_base_ = ['_base_/mask_rcnn_coco.py']

model = dict(
    backbone=dict(
        type='res2net_mm.Res2Net',
        depth=50,
        base_width=4,
        groups=8,
        init_cfg=dict(type='Pretrained', checkpoint='res2net://res2next50_4s'),
    ),
)
