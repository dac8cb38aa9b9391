"""Table 5: Faster R-CNN (C4, 600 px) with ResNet-50 on VOC 2007, the baseline."""

_base_ = ['_base_/faster_rcnn_c4_voc07.py']

pretrained = dict(type='Pretrained', checkpoint='torchvision://resnet50')
model = dict(
    backbone=dict(type='ResNet', init_cfg=pretrained),
    roi_head=dict(shared_head=dict(type='ResLayer', init_cfg=pretrained)),
)
