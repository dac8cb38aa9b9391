"""Faster R-CNN with FPN and ResNet-101 on COCO, the baseline."""

_base_ = ['_base_/faster_rcnn_fpn_coco.py']

model = dict(
    backbone=dict(
        type='ResNet',
        depth=101,
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet101'),
    ),
)
