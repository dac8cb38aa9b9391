"""Table 7: DeepLabv3+ with Res2Net-101 26w4s on VOC 2012 (augmented), output stride 16."""

_base_ = ['_base_/deeplabv3plus_voc12aug.py']

model = dict(
    backbone=dict(
        type='res2net_mm.Res2Net',
        depth=101,
        init_cfg=dict(type='Pretrained', checkpoint='res2net://res2net101_26w_4s'),
    ),
)
