"""Fig. 5, small (depth): ResNeXt-110 6c3w on digits, narrow."""

_base_ = ['../_base_/digits.py']

model = dict(backbone=dict(depth=110, groups=6, scales=1))
