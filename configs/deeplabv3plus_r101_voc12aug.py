"""Table 7: DeepLabv3+ with ResNet-101 on VOC 2012 (augmented), output stride 16, the baseline."""

_base_ = ['_base_/deeplabv3plus_voc12aug.py']

model = dict(
    backbone=dict(
        type='ResNet',
        depth=101,
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet101'),
    ),
)
