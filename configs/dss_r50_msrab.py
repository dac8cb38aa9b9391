"""Table 9: DSS with ResNet-50 on MSRA-B, tested on ECSSD, PASCAL-S, HKU-IS and DUT-OMRON, the baseline."""

_base_ = ['_base_/dss_msrab.py']

model = dict(
    backbone=dict(
        scales=1,  # ResNet-50
        base_width=64,
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet50'),
    ),
)
