"""Fig. 5, small: ResNeXt-29 6c3w on digits, narrow, the point that all series begin at."""

_base_ = ['../_base_/digits.py']

model = dict(backbone=dict(depth=29, groups=6, scales=1))
