"""Table 5: Faster R-CNN (C4, 600 px) with Res2Net-50 26w4s on VOC 2007."""

_base_ = ['_base_/faster_rcnn_c4_voc07.py']

pretrained = dict(type='Pretrained', checkpoint='res2net://res2net50_26w_4s')
model = dict(
    backbone=dict(type='res2net_mm.Res2Net', init_cfg=pretrained),
    roi_head=dict(shared_head=dict(type='res2net_mm.Res2Layer', init_cfg=pretrained)),
)
