"""Faster R-CNN with FPN and ResNet-50 on COCO, the baseline."""

_base_ = ['_base_/faster_rcnn_fpn_coco.py']

model = dict(
    backbone=dict(
        type='ResNet',
        depth=50,
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet50'),
    ),
)
