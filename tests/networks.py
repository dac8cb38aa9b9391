"""Every kind of network of the family, small: what several tests run."""

from res2net_mm.models import BLRes2Net, Res2Layer, Res2Net, Res2NetDLA, Res2NeXtCIFAR

TINY = dict(depth=(2, 1, 1, 3), base_channels=16, stem_channels=16, scales=3, base_width=8)
SMALL = dict(base_channels=16, scales=3, base_width=8)
CONTEXT = dict(type='ContextBlock', ratio=1 / 4)
DCN = dict(dcn=dict(type='DCNv2', deform_groups=1), stage_with_dcn=(False, False, True, True))
NETWORKS = {
    'Res2Net': lambda: Res2Net(**TINY),
    'v1b': lambda: Res2Net(**TINY, deep_stem=True, avg_down=True),
    'Res2NeXt': lambda: Res2Net(**TINY, groups=2),
    'SE': lambda: Res2Net(**TINY, with_se=True),
    'ResNet': lambda: Res2Net(**{**TINY, 'scales': 1, 'base_width': 64}),
    'dilated': lambda: Res2Net(**TINY, strides=(1, 2, 2, 1), dilations=(1, 1, 1, 2)),
    'with_cp': lambda: Res2Net(**TINY, with_cp=True),
    'as mmdet': lambda: Res2Net(**TINY, pool_at_stride_1=False),
    'plugins': lambda: Res2Net(
        **TINY, plugins=[dict(cfg=dict(CONTEXT, postfix=i), position=f'after_conv{i}') for i in (1, 2, 3)]
    ),
    'DCN': lambda: Res2Net(**TINY, **DCN),
    'GN': lambda: Res2Net(**TINY, norm_cfg=dict(type='GN', num_groups=2)),
    'DLA': lambda: Res2NetDLA(depth=(1, 2, 1, 1), **SMALL),
    'Big-Little': lambda: BLRes2Net(depth=(2, 3, 2, 2), **SMALL),
    'CIFAR': lambda: Res2NeXtCIFAR(depth=(2, 1, 2), groups=2, with_se=True, **SMALL),
    'one stage': lambda: Res2Layer(**{k: v for k, v in TINY.items() if k != 'stem_channels'}),
}
SMALL_DSS = {  # options of its config
    'model.backbone.init_cfg': None,
    'model.backbone.depth': (1, 1, 1, 1),
    'model.backbone.base_channels': 8,
    'model.backbone.stem_channels': 8,
    'model.decode_head.in_channels': (8, 32, 64, 128, 256),
    'model.decode_head.channels': (4, 4, 4, 4, 4),
}
