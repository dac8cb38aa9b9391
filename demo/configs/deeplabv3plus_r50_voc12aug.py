"""The baseline of deeplabv3plus_r2n50_voc12aug.py, with ResNet-50."""

_base_ = ['deeplabv3plus_r2n50_voc12aug.py']

model = dict(backbone=dict(type='ResNet'))
