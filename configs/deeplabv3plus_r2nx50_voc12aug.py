"""DeepLabv3+ as in Table 7, with Res2NeXt-50 8c4w4s on VOC 2012 (augmented), output stride 16."""

_base_ = ['_base_/deeplabv3plus_voc12aug.py']

model = dict(
    backbone=dict(
        type='res2net_mm.Res2Net',
        depth=50,
        base_width=4,
        groups=8,
        init_cfg=dict(type='Pretrained', checkpoint='res2net://res2next50_4s'),
    ),
)
