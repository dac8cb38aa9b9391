"""Table 1: bLRes2Net-50 on ImageNet."""

_base_ = ['../_base_/imagenet.py']

model = dict(backbone=dict(type='res2net_mm.BLRes2Net', depth=50))
