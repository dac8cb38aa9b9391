"""Table 5's experiment on VOC 2007, without the backbone, by the recipe of Ren et al. (TPAMI 2017).

Three anchor scales. 80,000 images, the last quarter at a tenth of the learning rate, which they give as 0.001
for batches of one image: here 0.002 for two.
"""

_base_ = ['faster_rcnn_c4.py', 'voc07_detection.py', 'mmdet_runtime.py']

model = dict(
    rpn_head=dict(anchor_generator=dict(scales=[8, 16, 32])),
    roi_head=dict(bbox_head=dict(num_classes=20)),
)
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=16, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=500),
    dict(type='MultiStepLR', by_epoch=True, begin=0, end=16, milestones=[12], gamma=0.1),
]
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.002, momentum=0.9, weight_decay=0.0005),
)
auto_scale_lr = dict(enable=False, base_batch_size=2)
