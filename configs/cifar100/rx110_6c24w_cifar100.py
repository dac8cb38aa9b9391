"""Fig. 5 (depth): ResNeXt-110 6c24w on CIFAR-100."""

_base_ = ['../_base_/cifar100.py']

model = dict(backbone=dict(depth=110, groups=6, base_width=24, scales=1))
