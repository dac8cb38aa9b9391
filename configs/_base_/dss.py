"""DSS (Hou et al., TPAMI 2019) on a ResNet-shaped backbone, less what tells one from another.

Side outputs of the stem and of the four stages; BN frozen, statistics and affine.
"""

model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(
        type='SegDataPreProcessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_val=0,
        seg_pad_val=255,
        size_divisor=1,  # images keep their own sizes
    ),
    backbone=dict(
        type='res2net_mm.Res2Net',
        depth=50,
        out_stem=True,
        norm_cfg=dict(type='BN', requires_grad=False),
        norm_eval=True,
    ),
    decode_head=dict(type='res2net_mm.DSSHead', in_channels=(64, 256, 512, 1024, 2048)),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)
