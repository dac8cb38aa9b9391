"""Res2Net-50 18w6s on ImageNet: not in Table 3, but the backbone of rows of Tables 7 and 8."""

_base_ = ['../_base_/imagenet.py']

model = dict(backbone=dict(type='res2net_mm.Res2Net', depth=50, base_width=18, scales=6))
