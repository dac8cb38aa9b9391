"""Fig. 5, small (cardinality): ResNeXt-29 24c3w on digits, narrow."""

_base_ = ['../_base_/digits.py']

model = dict(backbone=dict(depth=29, groups=24, scales=1))
