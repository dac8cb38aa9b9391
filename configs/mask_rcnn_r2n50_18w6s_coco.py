"""Table 8: Mask R-CNN with Res2Net-50 18w6s on COCO.

The authors released no weights of 18w6s: the file named here is your own ImageNet training's.
"""

_base_ = ['_base_/mask_rcnn_coco.py']

model = dict(
    backbone=dict(
        type='res2net_mm.Res2Net',
        depth=50,
        base_width=18,
        scales=6,
        init_cfg=dict(type='Pretrained', checkpoint='checkpoints/res2net50_18w_6s.pth'),
    ),
)
