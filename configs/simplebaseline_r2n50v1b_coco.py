"""SimpleBaseline as in Table 10, with Res2Net-50 v1b on COCO key points."""

_base_ = ['_base_/simplebaseline_coco.py']

model = dict(
    backbone=dict(
        type='res2net_mm.Res2Net',
        depth=50,
        deep_stem=True,
        avg_down=True,
        init_cfg=dict(type='Pretrained', checkpoint='res2net://res2net50_v1b_26w_4s'),
    ),
)
