"""Table 1: bLResNet-50 on ImageNet, the baseline."""

_base_ = ['../_base_/imagenet.py']

model = dict(backbone=dict(type='res2net_mm.BLRes2Net', depth=50, scales=1, base_width=64))
