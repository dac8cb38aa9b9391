"""Fig. 5: ResNeXt-29 6c24w on CIFAR-100, where its three series begin."""

_base_ = ['../_base_/cifar100.py']

model = dict(backbone=dict(depth=29, groups=6, base_width=24, scales=1))
