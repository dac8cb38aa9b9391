"""Table 8: Mask R-CNN with Res2Net-50 48w2s on COCO."""

_base_ = ['_base_/mask_rcnn_coco.py']

model = dict(
    backbone=dict(
        type='res2net_mm.Res2Net',
        depth=50,
        base_width=48,
        scales=2,
        init_cfg=dict(type='Pretrained', checkpoint='res2net://res2net50_48w_2s'),
    ),
)
