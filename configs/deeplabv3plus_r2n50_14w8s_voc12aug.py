"""Table 7: DeepLabv3+ with Res2Net-50 14w8s on VOC 2012 (augmented), output stride 16."""

_base_ = ['_base_/deeplabv3plus_voc12aug.py']

model = dict(
    backbone=dict(
        type='res2net_mm.Res2Net',
        depth=50,
        base_width=14,
        scales=8,
        init_cfg=dict(type='Pretrained', checkpoint='res2net://res2net50_14w_8s'),
    ),
)
