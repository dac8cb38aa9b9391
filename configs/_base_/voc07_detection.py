"""PASCAL VOC 2007 boxes: training on trainval, evaluation on test by the 11-point mAP (Everingham et al.)."""

_base_ = 'coco_detection.py'

dataset_type = 'VOCDataset'
data_root = 'data/VOCdevkit/'

train_pipeline, test_pipeline = _base_.train_pipeline, _base_.test_pipeline
train_pipeline[2].scale = test_pipeline[1].scale = (1000, 600)
voc07 = dict(
    type=dataset_type, data_root=data_root, data_prefix=dict(_delete_=True, sub_data_root='VOC2007/')
)
train_dataloader = dict(
    dataset=dict(voc07, ann_file='VOC2007/ImageSets/Main/trainval.txt', pipeline=train_pipeline)
)
val_dataloader = dict(dataset=dict(voc07, ann_file='VOC2007/ImageSets/Main/test.txt', pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(_delete_=True, type='VOCMetric', metric='mAP', eval_mode='11points')
test_evaluator = val_evaluator
del voc07
