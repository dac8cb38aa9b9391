"""Fig. 5, small (depth): ResNeXt-83 6c3w on digits, narrow."""

_base_ = ['../_base_/digits.py']

model = dict(backbone=dict(depth=83, groups=6, scales=1))
