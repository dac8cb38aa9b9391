"""Table 8's experiment, without the backbone: Mask R-CNN with FPN on COCO, 2x, BN frozen."""

_base_ = ['mask_rcnn.py', 'coco_instance.py', 'mmdet::_base_/schedules/schedule_2x.py', 'mmdet_runtime.py']

model = dict(backbone=dict(norm_cfg=dict(type='BN', requires_grad=False)))
