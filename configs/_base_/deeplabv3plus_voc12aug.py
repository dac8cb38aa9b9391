"""Table 7's experiment, without the backbone: DeepLabv3+ on VOC 2012 (augmented), output stride 16.

30,000 iterations of 16 images (4 GPUs of 4), learning rate 0.007 (1 - t / T)^0.9.
"""

_base_ = ['deeplabv3plus.py', 'voc12aug_segmentation.py', 'mmseg_runtime.py']

model = dict(data_preprocessor=dict(size=_base_.crop_size))
train_cfg = dict(type='IterBasedTrainLoop', max_iters=30000, val_interval=3000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
param_scheduler = [dict(type='PolyLR', power=0.9, eta_min=0, begin=0, end=30000, by_epoch=False)]
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.007, momentum=0.9, weight_decay=0.0001),
)
auto_scale_lr = dict(enable=False, base_batch_size=16)
sync_bn = 'torch'  # BN's statistics are of all 16 images
