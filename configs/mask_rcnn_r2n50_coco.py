"""Table 8: Mask R-CNN with Res2Net-50 26w4s on COCO."""

_base_ = ['_base_/mask_rcnn_coco.py']

model = dict(
    backbone=dict(
        type='res2net_mm.Res2Net',
        depth=50,
        init_cfg=dict(type='Pretrained', checkpoint='res2net://res2net50_26w_4s'),
    ),
)
