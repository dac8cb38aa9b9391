"""Salient objects: MSRA-B for training, ECSSD, PASCAL-S, HKU-IS and DUT-OMRON for evaluation, as published.

MSRA-B has 2,500 images for training and 500 for validation, in lists; the others 1,000, 850, 4,447 and 5,168.
Images keep their own sizes, so that there is one a batch.
"""

data_root = 'data/saliency/'
msra_b = dict(name='MSRA-B', img_path='MSRA-B', seg_map_path='MSRA-B')

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='res2net_mm.LoadSaliencyMask'),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='res2net_mm.LoadSaliencyMask'),
    dict(type='PackSegInputs', meta_keys=('img_path', 'ori_shape', 'img_shape', 'dataset')),
]
train_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type='res2net_mm.SaliencyDataset',
        data_root=data_root,
        sets=[dict(msra_b, list_file='MSRA-B/train.txt')],
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='res2net_mm.SaliencyDataset',
        data_root=data_root,
        sets=[dict(msra_b, list_file='MSRA-B/val.txt')],
        pipeline=test_pipeline,
    ),
)
test_dataloader = dict(
    batch_size=1,
    num_workers=4,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='res2net_mm.SaliencyDataset',
        data_root=data_root,
        sets=[
            dict(name='ECSSD', img_path='ECSSD/images', seg_map_path='ECSSD/ground_truth_mask'),
            dict(
                name='PASCAL-S',
                img_path='PASCAL-S/datasets/imgs/pascal',
                seg_map_path='PASCAL-S/datasets/masks/pascal',
            ),
            dict(name='HKU-IS', img_path='HKU-IS/imgs', seg_map_path='HKU-IS/gt', img_suffix='.png'),
            dict(
                name='DUT-OMRON',
                img_path='DUT-OMRON/DUT-OMRON-image',
                seg_map_path='DUT-OMRON/pixelwiseGT-new-PNG',
            ),
        ],
        pipeline=test_pipeline,
    ),
)
val_evaluator = dict(type='res2net_mm.SaliencyMetric')
test_evaluator = val_evaluator
