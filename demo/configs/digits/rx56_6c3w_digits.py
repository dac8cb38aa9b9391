"""Fig. 5, small (depth): ResNeXt-56 6c3w on digits, narrow."""

_base_ = ['../_base_/digits.py']

model = dict(backbone=dict(depth=56, groups=6, scales=1))
