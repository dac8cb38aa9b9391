"""Table 4: ResNeXt-29 8c64w with SE on CIFAR-100, the baseline."""

_base_ = ['../_base_/cifar100.py']

model = dict(backbone=dict(depth=29, groups=8, base_width=64, scales=1, with_se=True))
