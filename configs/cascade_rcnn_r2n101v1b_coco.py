"""Cascade R-CNN with Res2Net-101 v1b on COCO, 20 epochs: the authors' result in MMDetection."""

_base_ = [
    '_base_/cascade_rcnn.py',
    '_base_/coco_detection.py',
    'mmdet::_base_/schedules/schedule_20e.py',
    '_base_/mmdet_runtime.py',
]

model = dict(
    backbone=dict(
        type='res2net_mm.Res2Net',
        depth=101,
        deep_stem=True,
        avg_down=True,
        init_cfg=dict(type='Pretrained', checkpoint='res2net://res2net101_v1b_26w_4s'),
    ),
)
