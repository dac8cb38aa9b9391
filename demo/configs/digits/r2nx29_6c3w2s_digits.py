"""Fig. 5, small (scale): Res2NeXt-29 6c3w2s on digits, narrow."""

_base_ = ['../_base_/digits.py']

model = dict(backbone=dict(depth=29, groups=6, scales=2))
