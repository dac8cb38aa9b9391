"""Table 10: SimpleBaseline with ResNet-50 on COCO key points, the baseline."""

_base_ = ['_base_/simplebaseline_coco.py']

model = dict(
    backbone=dict(
        type='ResNet',
        depth=50,
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet50'),
    ),
)
