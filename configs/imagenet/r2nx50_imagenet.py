"""Table 1: Res2NeXt-50 8c4w4s on ImageNet."""

_base_ = ['../_base_/imagenet.py']

model = dict(backbone=dict(type='res2net_mm.Res2Net', depth=50, base_width=4, groups=8))
