"""The baseline of mask_rcnn_r2n50_coco.py, with ResNet-50."""

_base_ = ['mask_rcnn_r2n50_coco.py']

model = dict(backbone=dict(type='ResNet'))
