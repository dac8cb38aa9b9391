"""The real SimpleBaseline with Res2Net-50, from scratch on the demo data, in 128x96."""

_base_ = [
    '../../configs/_base_/simplebaseline.py',
    '../../configs/_base_/coco_keypoints.py',
    '../../configs/_base_/mmpose_runtime.py',
]

codec = dict(type='MSRAHeatmap', input_size=(96, 128), heatmap_size=(24, 32), sigma=2)
model = dict(backbone=dict(type='res2net_mm.Res2Net', depth=50, out_indices=(3,)), head=dict(decoder=codec))
train_pipeline, test_pipeline = _base_.train_pipeline, _base_.test_pipeline
train_pipeline[4].input_size = test_pipeline[2].input_size = codec['input_size']
train_pipeline[5].encoder = codec
data_root = 'data/demo/coco/'
train_dataloader = dict(
    batch_size=16, num_workers=1, dataset=dict(data_root=data_root, pipeline=train_pipeline)
)
val_dataloader = dict(
    num_workers=1,
    dataset=dict(
        data_root=data_root,
        pipeline=test_pipeline,
        bbox_file=data_root + 'person_detection_results/COCO_val2017_detections_AP_H_56_person.json',
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + 'annotations/person_keypoints_val2017.json')
test_evaluator = val_evaluator

train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=8, val_interval=2)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=20),
    dict(type='CosineAnnealingLR', by_epoch=True, convert_to_iter_based=True, T_max=8, eta_min=1e-6),
]
optim_wrapper = dict(
    type='OptimWrapper', optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.01, fused=True)
)
default_hooks = dict(logger=dict(interval=10))
auto_scale_lr = dict(enable=False, base_batch_size=16)
randomness = dict(seed=0)
