"""Table 1: InceptionV3 on ImageNet at 299 x 299, the baseline; MMPretrain's holds its own classifier."""

_base_ = ['../_base_/imagenet_299.py']

model = dict(
    backbone=dict(_delete_=True, type='InceptionV3', num_classes=1000, aux_logits=False),
    neck=None,
    head=dict(_delete_=True, type='ClsHead', loss=_base_.model.head.loss, topk=(1, 5)),
)
