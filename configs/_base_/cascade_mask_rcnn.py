"""Cascade Mask R-CNN with a feature pyramid, without its backbone."""

_base_ = 'mmdet::_base_/models/cascade-mask-rcnn_r50_fpn.py'

model = dict(backbone=dict(_delete_=True, frozen_stages=1, norm_eval=True))
