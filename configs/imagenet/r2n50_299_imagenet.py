"""Table 1: Res2Net-50-299, 26w4s on ImageNet, trained and tested at 299 x 299."""

_base_ = ['../_base_/imagenet_299.py']

model = dict(backbone=dict(type='res2net_mm.Res2Net', depth=50))
