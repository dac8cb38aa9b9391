"""Table 5: Faster R-CNN (C4, 600 px) with Res2Net-50 26w4s on COCO."""

_base_ = ['_base_/faster_rcnn_c4_coco.py']

pretrained = dict(type='Pretrained', checkpoint='res2net://res2net50_26w_4s')
model = dict(
    backbone=dict(
        type='res2net_mm.Res2Net',
        depth=50,
        num_stages=3,
        out_indices=(2,),
        frozen_stages=1,
        norm_eval=True,
        norm_cfg=dict(type='BN', requires_grad=False),
        init_cfg=pretrained,
    ),
    roi_head=dict(
        shared_head=dict(
            type='res2net_mm.Res2Layer',
            depth=50,
            stage=3,
            norm_eval=True,
            norm_cfg=dict(type='BN', requires_grad=False),
            init_cfg=pretrained,
        )
    ),
)
