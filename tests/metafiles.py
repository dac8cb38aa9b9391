"""The zoo in OpenMMLab's format, made of the configs, their counts and the published numbers.

``python tests/metafiles.py`` writes model-index.yml and configs/metafiles; test_metafiles.py compares them.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import yaml
from mmengine.logging import MMLogger

from res2net_mm.checkpoints import RELEASED
from res2net_mm.checkpoints.download import RELEASE_URL
from res2net_mm.config import CONFIGS, load_config, shipped_configs
from res2net_mm.results.complexity import complexity
from res2net_mm.results.paper import paper

ROOT = Path(__file__).parents[1]
NOTE = (
    '# By tests/metafiles.py. Results are published ones, none is measured here; FLOPs are multiply-adds.\n'
)
PAPER = dict(Title='Res2Net: A New Multi-scale Backbone Architecture', URL='https://arxiv.org/abs/1904.01169')
COLLECTIONS = {  # how the names of a method's configs begin, or their folder: what mim calls it
    'faster_rcnn': 'Faster R-CNN',
    'mask_rcnn': 'Mask R-CNN',
    'cascade_rcnn': 'Cascade R-CNN',
    'cascade_mask_rcnn': 'Cascade Mask R-CNN',
    'htc': 'HTC',
    'deeplabv3plus': 'DeepLabv3+',
    'dss': 'DSS',
    'simplebaseline': 'SimpleBaseline',
    'imagenet': 'Res2Net',
    'cifar100': 'Res2NeXt-CIFAR',
}
DATASETS = {  # how the names end: data of training and of test
    'coco': ('COCO', 'COCO'),
    'voc07': ('PASCAL VOC 2007', 'PASCAL VOC 2007'),
    'voc12aug': ('PASCAL VOC 2012 + SBD', 'PASCAL VOC 2012'),
    'msrab': ('MSRA-B', None),
    'imagenet': ('ImageNet-1k', 'ImageNet-1k'),
    'cifar100': ('CIFAR-100', 'CIFAR-100'),
}
METRICS = {  # of metric files, but for a data set's name: task, and what OpenMMLab calls the metric
    'accuracy/top1': ('Image Classification', 'Top 1 Accuracy'),
    'accuracy/top5': ('Image Classification', 'Top 5 Accuracy'),
    'pascal_voc/mAP': ('Object Detection', 'box AP50'),
    'coco/bbox_mAP': ('Object Detection', 'box AP'),
    'coco/segm_mAP': ('Instance Segmentation', 'mask AP'),
    'mIoU': ('Semantic Segmentation', 'mIoU'),
    'max_F_PR': ('Salient Object Detection', 'max F'),
    'MAE': ('Salient Object Detection', 'MAE'),
    'coco/AP': ('Keypoint Detection', 'AP'),
}
WEIGHTS = {  # the authors', of whole classifiers
    'r2n50_imagenet': 'res2net50_26w_4s',
    'r2n50_48w2s_imagenet': 'res2net50_48w_2s',
    'r2n50_14w8s_imagenet': 'res2net50_14w_8s',
    'r2n50_26w6s_imagenet': 'res2net50_26w_6s',
    'r2n50_26w8s_imagenet': 'res2net50_26w_8s',
    'r2n101_imagenet': 'res2net101_26w_4s',
    'r2n50v1b_imagenet': 'res2net50_v1b_26w_4s',
    'r2n101v1b_imagenet': 'res2net101_v1b_26w_4s',
    'r2nx50_imagenet': 'res2next50_4s',
    'r2ndla60_imagenet': 'res2net_dla60_4s',
    'r2nxdla60_imagenet': 'res2next_dla60_4s',
}


def published(config: str) -> Iterator[tuple[str, str, str, float, str]]:
    """Task, data set, metric, value and source of each number that was published of a config."""
    groups = [group for table in paper()['tables'].values() for group in table['groups']]
    for group in groups:
        for row in group['rows']:
            source = next((source for source in paper()['sources'] if source in row), None)
            if row.get('config') != config or source is None:
                continue
            for key, value in zip(group['metrics'], row[source]):
                task, metric = METRICS.get(key) or METRICS.get(str(key).rpartition('/')[2], (None, None))
                if metric and value is not None:
                    value = round(100 - value, 2) if group.get('error') else value
                    dataset = DATASETS[config.rpartition('_')[2]][1] or group['name']
                    boxes = group.get('boxes', '')
                    dataset += f' ({boxes} boxes)' if boxes else ''
                    yield task, dataset, metric, value, source


def model(config: str, path: Path, collection: str) -> dict:
    """A config's entry."""
    counted = complexity(load_config(path))
    metadata = {
        'Parameters': round(counted['parameters'] * 1e6),
        'FLOPs': round(counted['macs'] * 1e9),
        'Training Data': DATASETS[config.rpartition('_')[2]][0],
    }
    results, sources = {}, {}
    for task, dataset, metric, value, source in published(config):
        results.setdefault((task, dataset), {})[metric] = value
        sources[source] = paper()['sources'][source]
    if results:
        metadata['Results From'] = '; '.join(sources.values())
    entry = {'Name': config, 'In Collection': collection, 'Metadata': metadata}
    if results:
        entry['Results'] = [
            {'Task': task, 'Dataset': dataset, 'Metrics': metrics}
            for (task, dataset), metrics in results.items()
        ]
    entry['Config'] = f'configs/{path.relative_to(CONFIGS).as_posix()}'
    if config in WEIGHTS:
        name = WEIGHTS[config]
        entry['Weights'] = f'{RELEASE_URL}{name}-{RELEASED[name]}.pth'
    return entry


def metafiles() -> dict[Path, str]:
    """What each of the files is to hold."""
    MMLogger.get_current_instance().setLevel('WARNING')  # mmpretrain tells the channels of timm's networks
    files = {}
    for method, collection in COLLECTIONS.items():
        content = {
            'Collections': [{'Name': collection, 'Paper': PAPER}],
            'Models': [
                model(config, path, collection)
                for config, path in shipped_configs().items()
                if path.parent.name == method or re.match(rf'{method}_r(2n|\d)', config)
            ],
        }
        files[ROOT / 'configs' / 'metafiles' / f'{method}.yml'] = content
    index = {'Import': [path.relative_to(ROOT).as_posix() for path in files]}
    return {
        path: NOTE + yaml.safe_dump(content, sort_keys=False, default_flow_style=None, width=110)
        for path, content in {**files, ROOT / 'model-index.yml': index}.items()
    }


if __name__ == '__main__':
    for path, text in metafiles().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, 'utf-8')
