"""Table 2: ResNet-101 on ImageNet, the baseline."""

_base_ = ['../_base_/imagenet.py']

model = dict(backbone=dict(type='ResNet', depth=101))
