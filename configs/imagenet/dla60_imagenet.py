"""Table 1: DLA-60 (timm's) on ImageNet, the baseline."""

_base_ = ['../_base_/imagenet.py']

model = dict(
    backbone=dict(_delete_=True, type='TIMMBackbone', model_name='dla60'),
    head=dict(in_channels=1024),
)
