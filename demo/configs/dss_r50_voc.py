"""The real DSS with ResNet-50, from scratch on the demo data."""

_base_ = ['_base_/saliency.py']

model = dict(backbone=dict(scales=1, base_width=64))
