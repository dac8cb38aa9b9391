"""The baseline of simplebaseline_r2n50_coco.py, with ResNet-50."""

_base_ = ['simplebaseline_r2n50_coco.py']

model = dict(backbone=dict(type='ResNet'))
