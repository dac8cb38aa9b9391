"""Tables 1 and 3: ResNet-50 on ImageNet, the baseline."""

_base_ = ['../_base_/imagenet.py']

model = dict(backbone=dict(type='ResNet', depth=50))
