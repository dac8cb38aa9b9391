"""Tables 1 and 3: Res2Net-50 26w4s on ImageNet."""

_base_ = ['../_base_/imagenet.py']

model = dict(backbone=dict(type='res2net_mm.Res2Net', depth=50))
