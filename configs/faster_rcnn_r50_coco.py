"""Table 5: Faster R-CNN (C4, 600 px) with ResNet-50 on COCO, the baseline."""

_base_ = ['_base_/faster_rcnn_c4_coco.py']

pretrained = dict(type='Pretrained', checkpoint='torchvision://resnet50')
model = dict(
    backbone=dict(
        type='ResNet',
        depth=50,
        num_stages=3,
        strides=(1, 2, 2),
        dilations=(1, 1, 1),
        out_indices=(2,),
        frozen_stages=1,
        norm_eval=True,
        norm_cfg=dict(type='BN', requires_grad=False),
        init_cfg=pretrained,
    ),
    roi_head=dict(
        shared_head=dict(
            type='ResLayer',
            depth=50,
            stage=3,
            style='pytorch',
            norm_eval=True,
            norm_cfg=dict(type='BN', requires_grad=False),
            init_cfg=pretrained,
        )
    ),
)
