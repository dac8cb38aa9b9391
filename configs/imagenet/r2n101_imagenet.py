"""Table 2: Res2Net-101 26w4s on ImageNet."""

_base_ = ['../_base_/imagenet.py']

model = dict(backbone=dict(type='res2net_mm.Res2Net', depth=101))
