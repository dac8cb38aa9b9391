"""Faster R-CNN with a feature pyramid (Lin et al., 2017), without its backbone."""

_base_ = 'mmdet::_base_/models/faster-rcnn_r50_fpn.py'

model = dict(backbone=dict(_delete_=True, frozen_stages=1, norm_eval=True))
