"""Mask R-CNN with a feature pyramid (He et al., 2017), without its backbone."""

_base_ = 'mmdet::_base_/models/mask-rcnn_r50_fpn.py'

model = dict(
    backbone=dict(_delete_=True, frozen_stages=1, norm_eval=True),
    train_cfg=dict(rcnn=dict(assigner=dict(match_low_quality=False))),  # as Faster R-CNN's
)
