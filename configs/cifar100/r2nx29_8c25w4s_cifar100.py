"""Table 4: Res2NeXt-29 8c25w4s on CIFAR-100."""

_base_ = ['../_base_/cifar100.py']

model = dict(backbone=dict(depth=29, groups=8, base_width=25, scales=4))
