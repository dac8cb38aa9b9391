"""Fig. 5 (depth): ResNeXt-137 6c24w on CIFAR-100."""

_base_ = ['../_base_/cifar100.py']

model = dict(backbone=dict(depth=137, groups=6, base_width=24, scales=1))
