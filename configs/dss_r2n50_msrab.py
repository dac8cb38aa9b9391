"""Table 9: DSS with Res2Net-50 26w4s on MSRA-B, tested on ECSSD, PASCAL-S, HKU-IS and DUT-OMRON."""

_base_ = ['_base_/dss_msrab.py']

model = dict(
    backbone=dict(init_cfg=dict(type='Pretrained', checkpoint='res2net://res2net50_26w_4s')),
)
