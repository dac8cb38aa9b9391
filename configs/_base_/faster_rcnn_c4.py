"""Faster R-CNN on the C4 feature map (Ren et al., 2015): Table 5's detector, less its backbone.

The backbone gives stage 3's map; stage 4 is the RoI head's, shared by both its branches.
"""

_base_ = 'faster_rcnn.py'

model = dict(
    data_preprocessor=dict(pad_size_divisor=16),
    backbone=dict(
        depth=50,
        num_stages=3,
        strides=(1, 2, 2),
        dilations=(1, 1, 1),
        out_indices=(2,),
        frozen_stages=1,
        norm_eval=True,
        norm_cfg=dict(type='BN', requires_grad=False),
    ),
    rpn_head=dict(
        in_channels=1024,
        feat_channels=512,
        anchor_generator=dict(
            type='AnchorGenerator', scales=[4, 8, 16, 32], ratios=[0.5, 1.0, 2.0], strides=[16]
        ),
    ),
    roi_head=dict(
        shared_head=dict(depth=50, stage=3, norm_eval=True, norm_cfg=dict(type='BN', requires_grad=False)),
        bbox_roi_extractor=dict(
            type='SingleRoIExtractor',
            roi_layer=dict(type='RoIAlign', output_size=14, sampling_ratio=0),
            out_channels=1024,
            featmap_strides=[16],
        ),
        bbox_head=dict(type='BBoxHead', with_avg_pool=True, in_channels=2048),
    ),
    train_cfg=dict(rpn_proposal=dict(nms_pre=12000, max_per_img=2000)),
    test_cfg=dict(rpn=dict(nms_pre=6000, max_per_img=1000)),
)
