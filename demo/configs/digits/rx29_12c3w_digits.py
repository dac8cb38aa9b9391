"""Fig. 5, small (cardinality): ResNeXt-29 12c3w on digits, narrow."""

_base_ = ['../_base_/digits.py']

model = dict(backbone=dict(depth=29, groups=12, scales=1))
