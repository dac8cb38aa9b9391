"""Res2Net-50 v1b on ImageNet, by the paper's recipe; what theirs was with is not in the paper."""

_base_ = ['../_base_/imagenet.py']

model = dict(backbone=dict(type='res2net_mm.Res2Net', depth=50, deep_stem=True, avg_down=True))
