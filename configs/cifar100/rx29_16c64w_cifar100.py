"""Table 4: ResNeXt-29 16c64w on CIFAR-100, a baseline."""

_base_ = ['../_base_/cifar100.py']

model = dict(backbone=dict(depth=29, groups=16, base_width=64, scales=1))
