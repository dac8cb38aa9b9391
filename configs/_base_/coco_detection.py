"""COCO 2017 boxes: training on train2017, evaluation on val2017."""

_base_ = 'mmdet::_base_/datasets/coco_detection.py'

val_evaluator = dict(
    metric_items=[
        'mAP', 'mAP_50', 'mAP_75', 'mAP_s', 'mAP_m', 'mAP_l',
        'AR@100', 'AR_s@1000', 'AR_m@1000', 'AR_l@1000',
    ],
)  # fmt: skip
test_evaluator = val_evaluator
