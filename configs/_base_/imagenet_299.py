"""As imagenet.py, trained and tested at 299 x 299; the resize before the crop keeps 256's ratio to 224."""

_base_ = 'imagenet.py'

train_pipeline, test_pipeline = _base_.train_pipeline, _base_.test_pipeline
train_pipeline[1].scale = test_pipeline[2].crop_size = 299
test_pipeline[1].scale = 342
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
