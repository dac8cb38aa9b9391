"""Table 5's experiment on COCO, without the backbone: 600 px short side, 1000 px long side.

The paper gives no schedule for it (it follows Ren et al.); this is the field's 1x.
"""

_base_ = [
    'faster_rcnn_c4.py',
    'coco_detection.py',
    'mmdet::_base_/schedules/schedule_1x.py',
    'mmdet_runtime.py',
]

train_pipeline, test_pipeline = _base_.train_pipeline, _base_.test_pipeline
train_pipeline[2].scale = test_pipeline[1].scale = (1000, 600)
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
