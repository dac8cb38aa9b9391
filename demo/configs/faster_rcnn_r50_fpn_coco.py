"""The baseline of faster_rcnn_r2n50_fpn_coco.py, with ResNet-50."""

_base_ = ['faster_rcnn_r2n50_fpn_coco.py']

model = dict(backbone=dict(type='ResNet'))
