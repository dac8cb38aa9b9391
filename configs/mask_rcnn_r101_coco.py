"""Mask R-CNN as in Table 8, with ResNet-101 on COCO, the baseline."""

_base_ = ['_base_/mask_rcnn_coco.py']

model = dict(
    backbone=dict(
        type='ResNet',
        depth=101,
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet101'),
    ),
)
