"""Table 2: DenseNet-161 on ImageNet, the baseline."""

_base_ = ['../_base_/imagenet.py']

model = dict(
    backbone=dict(_delete_=True, type='DenseNet', arch='161'),
    head=dict(in_channels=2208),
)
