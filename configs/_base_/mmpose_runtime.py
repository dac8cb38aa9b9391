"""Runs of MMPose's models."""

_base_ = 'default_runtime.py'

default_scope = 'mmpose'
default_hooks = dict(
    checkpoint=dict(interval=10),
    visualization=dict(type='PoseVisualizationHook', enable=False),
)
visualizer = dict(type='PoseLocalVisualizer', vis_backends=_base_.vis_backends, name='visualizer')
