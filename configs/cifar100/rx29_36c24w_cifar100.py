"""Fig. 5 (cardinality): ResNeXt-29 36c24w on CIFAR-100."""

_base_ = ['../_base_/cifar100.py']

model = dict(backbone=dict(depth=29, groups=36, base_width=24, scales=1))
