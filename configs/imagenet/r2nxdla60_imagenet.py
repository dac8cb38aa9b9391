"""Table 1: Res2NeXt-DLA-60 on ImageNet."""

_base_ = ['../_base_/imagenet.py']

model = dict(
    backbone=dict(type='res2net_mm.Res2NetDLA', depth=60, base_width=4, groups=8),
    head=dict(in_channels=1024),
)
