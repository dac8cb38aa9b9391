"""Table 4: Res2NeXt-29 6c24w4s with SE on CIFAR-100."""

_base_ = ['../_base_/cifar100.py']

model = dict(backbone=dict(depth=29, groups=6, base_width=24, scales=4, with_se=True))
