"""HTC with Res2Net-101 v1b on COCO, 20 epochs: the authors' result in MMDetection.

Its semantic branch learns from COCO-Stuff's segmentation maps, in data/coco/stuffthingmaps.
"""

_base_ = [
    '_base_/htc.py',
    '_base_/coco_instance.py',
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
train_pipeline = _base_.train_pipeline
train_pipeline[1].with_seg = True
train_dataloader = dict(
    dataset=dict(data_prefix=dict(seg='stuffthingmaps/train2017/'), pipeline=train_pipeline)
)
