"""Table 1: SE-Res2Net-50 on ImageNet."""

_base_ = ['../_base_/imagenet.py']

model = dict(backbone=dict(type='res2net_mm.Res2Net', depth=50, with_se=True))
