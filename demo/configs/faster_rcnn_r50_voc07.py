"""The baseline of faster_rcnn_r2n50_voc07.py, with ResNet-50."""

_base_ = ['faster_rcnn_r2n50_voc07.py']

model = dict(backbone=dict(type='ResNet'), roi_head=dict(shared_head=dict(type='ResLayer')))
