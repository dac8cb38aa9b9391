"""Faster R-CNN with FPN on COCO, less the backbone: 2x, as the authors ran it in MMDetection."""

_base_ = ['faster_rcnn_fpn.py', 'coco_detection.py', 'schedule_2x.py', 'mmdet_runtime.py']
