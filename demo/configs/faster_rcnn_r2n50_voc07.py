"""The real Faster R-CNN on C4 with Res2Net-50, from scratch on the demo data in VOC's layout."""

_base_ = [
    '../../configs/_base_/faster_rcnn_c4.py',
    '../../configs/_base_/voc07_detection.py',
    '_base_/schedule.py',
    '../../configs/_base_/mmdet_runtime.py',
]

# Nothing is pretrained, so nothing is frozen. Stage 4 runs on every RoI: 8 in training, 50 in testing.
learning = dict(norm_eval=False, norm_cfg=dict(requires_grad=True))
model = dict(
    backbone=dict(type='res2net_mm.Res2Net', frozen_stages=-1, **learning),
    rpn_head=dict(anchor_generator=dict(scales=[8, 16, 32])),
    roi_head=dict(shared_head=dict(type='res2net_mm.Res2Layer', **learning), bbox_head=dict(num_classes=20)),
    train_cfg=dict(rcnn=dict(sampler=dict(num=8))),
    test_cfg=dict(rpn=dict(max_per_img=50)),
)
data_root = 'data/demo/VOCdevkit/'
train_pipeline, test_pipeline = _base_.train_pipeline, _base_.test_pipeline
train_pipeline[2].scale = test_pipeline[1].scale = (266, 200)
trainval = dict(_base_.train_dataloader.dataset, data_root=data_root, pipeline=train_pipeline)
train_dataloader = dict(
    batch_size=4, num_workers=1, dataset=dict(_delete_=True, type='RepeatDataset', times=3, dataset=trainval)
)
val_dataloader = dict(batch_size=8, num_workers=1, dataset=dict(data_root=data_root, pipeline=test_pipeline))
test_dataloader = val_dataloader
default_hooks = dict(logger=dict(interval=10), visualization=dict(score_thr=0.6))
