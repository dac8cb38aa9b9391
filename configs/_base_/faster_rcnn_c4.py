"""Faster R-CNN on the C4 feature map (Ren et al., 2015): Table 5's detector, without its backbone.

The backbone gives stage 3's feature map; stage 4 is the RoI head's, shared by both its branches.
MMDetection's own is for Caffe's weights and has more anchors and a wider RPN.
"""

_base_ = 'mmdet::_base_/models/faster-rcnn_r50-caffe-c4.py'

frozen_bn = dict(norm_eval=True, norm_cfg=dict(type='BN', requires_grad=False))
model = dict(
    data_preprocessor=dict(
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_size_divisor=16,
    ),
    backbone=dict(
        _delete_=True,
        depth=50,
        num_stages=3,
        strides=(1, 2, 2),
        dilations=(1, 1, 1),
        out_indices=(2,),
        frozen_stages=1,
        **frozen_bn,
    ),
    rpn_head=dict(feat_channels=512, anchor_generator=dict(scales=[4, 8, 16, 32])),
    roi_head=dict(shared_head=dict(_delete_=True, depth=50, stage=3, **frozen_bn)),
)
del frozen_bn
