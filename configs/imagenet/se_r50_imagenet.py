"""Table 1: SENet-50 (SE-ResNet-50) on ImageNet, the baseline."""

_base_ = ['../_base_/imagenet.py']

model = dict(backbone=dict(type='SEResNet', depth=50))
