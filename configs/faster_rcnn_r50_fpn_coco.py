"""Faster R-CNN with FPN and ResNet-50 on COCO, the baseline."""

_base_ = [
    '_base_/faster_rcnn_fpn.py',
    '_base_/coco_detection.py',
    '_base_/schedule_1x.py',
    '_base_/default_runtime.py',
]

model = dict(
    backbone=dict(
        type='ResNet',
        depth=50,
        frozen_stages=1,
        norm_eval=True,
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet50'),
    ),
)
