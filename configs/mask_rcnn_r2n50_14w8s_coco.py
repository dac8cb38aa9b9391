"""Table 8: Mask R-CNN with Res2Net-50 14w8s on COCO."""

_base_ = ['_base_/mask_rcnn_coco.py']

model = dict(
    backbone=dict(
        type='res2net_mm.Res2Net',
        depth=50,
        base_width=14,
        scales=8,
        init_cfg=dict(type='Pretrained', checkpoint='res2net://res2net50_14w_8s'),
    ),
)
