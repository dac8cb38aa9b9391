"""Res2Net-101 v1b on ImageNet, by the paper's training recipe; the authors' own is not published."""

_base_ = ['../_base_/imagenet.py']

model = dict(backbone=dict(type='res2net_mm.Res2Net', depth=101, deep_stem=True, avg_down=True))
