"""Table 4, Fig. 5 (scale): Res2NeXt-29 6c24w6s on CIFAR-100."""

_base_ = ['../_base_/cifar100.py']

model = dict(backbone=dict(depth=29, groups=6, base_width=24, scales=6))
