"""Table 9's experiment, less the backbone: DSS trained on MSRA-B.

12,000 iterations of 10 images, one at a time at its own size. The loss is the sum over an image's pixels, so
the learning rate is DSS's 1e-8, at about 120,000 pixels that of 0.0012 and a mean over them.
"""

_base_ = ['dss.py', 'msrab_saliency.py', 'mmseg_runtime.py']

# Counted in images: one a forward pass, ten an update.
train_cfg = dict(type='IterBasedTrainLoop', max_iters=120000, val_interval=10000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
param_scheduler = [dict(type='MultiStepLR', milestones=[75000], gamma=0.1, by_epoch=False)]
optim_wrapper = dict(
    type='OptimWrapper',
    accumulative_counts=10,
    optimizer=dict(type='SGD', lr=1e-8, momentum=0.9, weight_decay=0.0005),
    paramwise_cfg=dict(
        bias_lr_mult=2,
        custom_keys={'score.weight': dict(lr_mult=0.1), 'score.bias': dict(lr_mult=0.2)},  # 1x1 convolutions
    ),
)
auto_scale_lr = dict(enable=False, base_batch_size=10)
default_hooks = dict(checkpoint=dict(interval=10000))
