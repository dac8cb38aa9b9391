"""Table 10: SimpleBaseline with Res2Net-101 26w4s on COCO key points."""

_base_ = ['_base_/simplebaseline_coco.py']

model = dict(
    backbone=dict(
        type='res2net_mm.Res2Net',
        depth=101,
        init_cfg=dict(type='Pretrained', checkpoint='res2net://res2net101_26w_4s'),
    ),
)
