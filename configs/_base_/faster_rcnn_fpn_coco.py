"""Faster R-CNN with FPN on COCO, without the backbone: 2x, as the authors ran it in MMDetection."""

_base_ = [
    'faster_rcnn_fpn.py',
    'coco_detection.py',
    'mmdet::_base_/schedules/schedule_2x.py',
    'mmdet_runtime.py',
]
