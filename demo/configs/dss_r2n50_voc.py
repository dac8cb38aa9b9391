"""The real DSS with Res2Net-50, from scratch on the demo data."""

_base_ = ['_base_/saliency.py']
