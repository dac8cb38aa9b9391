"""Each row breaks a small valid data set in one way: what is said of it, and whether it stops a run."""

import copy
import gc
import json
import os
import random
import re
from functools import cache

import cv2
import numpy as np
import pytest
from mmengine.registry import DATASETS, DefaultScope

from res2net_mm import checks
from res2net_mm.checks import contents
from res2net_mm.checks.problems import spread
from res2net_mm.config import load_config
from res2net_mm.errors import UserError

NAN = float('nan')
PEOPLE = [5.0, 5.0, 2] * 17


def coco():
    images = [dict(id=i, file_name=f'{i}.jpg', width=80, height=60) for i in (1, 2, 3)]
    polygon = [[10, 10, 30, 10, 30, 30]]
    annotations = [
        dict(id=10 + i, image_id=i, category_id=1 + i % 2, bbox=[10, 10, 20, 20], area=200, iscrowd=0,
             segmentation=polygon, keypoints=PEOPLE, num_keypoints=17)
        for i in (1, 2, 3)
    ]  # fmt: skip
    return dict(
        images=images, annotations=annotations, categories=[dict(id=1, name='cat'), dict(id=2, name='dog')]
    )


@pytest.fixture
def root(tmp_path):
    for split in ('train', 'val'):
        (tmp_path / split).mkdir()
        for i in (1, 2, 3):
            cv2.imwrite(str(tmp_path / split / f'{i}.jpg'), np.full((60, 80, 3), 99, np.uint8))
        write(tmp_path, split, coco())
    return tmp_path


def write(root, split, data):
    (root / f'{split}.json').write_text(data if isinstance(data, str) else json.dumps(data))


load = cache(load_config)


def configured(root, name='mask_rcnn_r2n50_coco.py', classes=('cat', 'dog'), heads=2):
    cfg = copy.deepcopy(load(f'res2net_mm::{name}'))
    for phase, split in dict(train='train', val='val', test='val').items():
        dataset = cfg[f'{phase}_dataloader'].dataset
        dataset.update(data_root=f'{root}/', ann_file=f'{split}.json', data_prefix=dict(img=f'{split}/'))
        if 'mask' in name:
            dataset.metainfo = dict(classes=classes)
        elif phase != 'train':
            dataset.bbox_file = None
    if 'mask' in name:
        cfg.model.roi_head.bbox_head.num_classes = cfg.model.roi_head.mask_head.num_classes = heads
    return cfg


def said(cfg, kind='errors', phases=('train', 'val'), every=False):
    return contents.report(checks.look(cfg, phases, every), kind)


def each(name, /, **values):
    """Change an entry, the first, of a list in the JSON."""
    return lambda data: data[name][0].update(values)


def annotation(**values):
    return each('annotations', **values)


def image(**values):
    return each('images', **values)


def without(name, key):
    return lambda data: data.update(
        {name: [{k: v for k, v in data[name][0].items() if k != key}, *data[name][1:]]}
    )


def doubled(name):
    return lambda data: data[name].append(copy.deepcopy(data[name][0]))


def test_a_valid_data_set_passes(root):
    data = coco()
    for entry, box in zip(data['annotations'], ([-2, -2, 20, 20], [60, 12, 22, 22], [1, 1, 1, 1])):
        entry.update(bbox=box)  # as far out, and as small, as a box may be
    for entry in data['images']:
        entry.update(height=32)  # as small as the shipped filter_cfg lets an image be
    annotation(segmentation=dict(size=[32, 80], counts='P`2'))(data)  # compressed
    for name, needless in (('mask_rcnn_r2n50_coco.py', ''), ('simplebaseline_r2n50_coco.py', 'area')):
        for entry in data['annotations']:
            entry.pop(needless, None)
        write(root, 'train', data)
        for kind in ('errors', 'warnings'):
            assert said(configured(root, name), kind, ('train', 'val', 'test'), True) == ''


ERRORS = {
    'NaN in a box': (annotation(bbox=[NAN, 1, 2, 3]), '1 boxes or areas are not finite'),
    'infinity in a box': (annotation(bbox=[1, 1, float('inf'), 3]), 'finite numbers (annotation ids): 11'),
    'a box of three': (annotation(bbox=[1, 2, 3]), '1 annotations have a bbox that is not [x, y, width'),
    'a box of words': (
        annotation(bbox=['a', 'b', 'c', 'd']),
        "bbox that is not a list of numbers: id 11 (list ['a', 'b', 'c', 'd'])",
    ),
    'a box of numbers as strings': (
        annotation(bbox=['1', '2', '3', '4']),
        "1 annotations have a value of bbox that is not a list of numbers: id 11 (list ['1', '2', '3', '4'])",
    ),
    'a box that is a number': (annotation(bbox=7), 'bbox that is not a list of numbers: id 11 (7)'),
    'an area as a string': (annotation(area='200'), "area that is not a number: id 11 (string '200')"),
    'an area of null': (annotation(area=None), 'area that is not a number: id 11 (None)'),
    'an area of true': (annotation(area=True), 'area that is not a number: id 11 (boolean True)'),
    'a box of true and false': (annotation(bbox=[True, False, 9, 9]), 'bbox that is not a list of numbers'),
    'a width as a string': (image(width='80'), "width that is not a number: 1.jpg (string '80')"),
    'a height as a string': (image(height='60'), "height that is not a number: 1.jpg (string '60')"),
    'a polygon of strings': (
        annotation(segmentation=[['1', '2', '3', '4', '5', '6']]),
        '1 masks are neither polygons nor run lengths of the image size (annotation ids): 11',
    ),
    'a category id as a string': (
        annotation(category_id='2'),
        "1 annotations have a value of category_id that is not a number: id 11 (string '2')",
    ),
    'categories of string ids': (
        lambda data: [c.update(id=str(c['id'])) for c in data['categories']],
        '3 annotations have a value of category_id that is not a string: id 11 (2), id 12 (1), id 13 (2)',
    ),
    'images of string ids': (
        lambda data: [i.update(id=str(i['id'])) for i in data['images']],
        '3 annotations have a value of image_id that is not a string: id 11 (1)',
    ),
    'iscrowd of a word': (annotation(iscrowd='no'), "iscrowd that is not 0 or 1: id 11 (string 'no')"),
    'iscrowd of two': (annotation(iscrowd=2), 'iscrowd that is not 0 or 1: id 11 (2)'),
    'iscrowd of null': (annotation(iscrowd=None), 'iscrowd that is not 0 or 1: id 11 (None)'),
    'a list as file name': (
        image(file_name=['1.jpg']),
        "1 images have a value of file_name that is not a string: id 1 (list ['1.jpg'])",
    ),
    'true as id of an image': (
        image(id=True),
        '1 images have a value of id that is not a number or a string: 1.jpg (boolean True)',
    ),
    'a list as id of an annotation': (
        annotation(id=[1]),
        '1 annotations have a value of id that is not a number or a string: index 0 (list [1])',
    ),
    'a dict as id of a category': (
        each('categories', id={}),
        '1 categories have a value of id that is not a number or a string: index 0 (dict {})',
    ),
    'a number as name of a category': (each('categories', name=3), 'name that is not a string: id 1 (3)'),
    'no id': (without('annotations', 'id'), '1 annotations have no id: index 0'),
    'no box': (without('annotations', 'bbox'), '1 annotations have no bbox: id 11'),
    'no area': (without('annotations', 'area'), '1 annotations have no area'),
    'no category': (without('annotations', 'category_id'), '1 annotations have no category_id'),
    'no width': (without('images', 'width'), '1 images have no width: 1.jpg'),
    'no height': (without('images', 'height'), '1 images have no height: 1.jpg'),
    'width of zero': (image(width=0), 'width or height that is no positive number: 1.jpg'),
    'width of infinity': (image(width=float('inf')), 'width or height that is no positive number: 1.jpg'),
    'width beyond all floats': (image(width=10**400), 'width or height that is no positive number: 1.jpg'),
    'height is None': (image(height=None), 'height that is not a number: 1.jpg (None)'),
    'no file name': (without('images', 'file_name'), '1 images have no file_name: id 1'),
    'an image twice': (doubled('images'), '1 ids of images appear more than once: 1'),
    'an annotation twice': (doubled('annotations'), '1 ids of annotations appear more than once: 11'),
    'a category twice': (doubled('categories'), '1 ids of categories appear more than once: 1'),
    'an unknown image': (annotation(image_id=9), '1 annotations are of images'),
    'ids as text': (image(id='1'), '1 annotations are of images'),
    'no annotations': (lambda data: data.pop('annotations'), 'none of its 0 annotations is of a class'),
    'annotations are null': (
        lambda data: data.update(annotations=None),
        'annotations is not a list of dicts',
    ),
    'a category id of no kind': (annotation(category_id={}), 'not a number: id 11 (dict {})'),
    'no images': (
        lambda data: [annotation(image_id='1')(data), data.update(images=[])],
        'there are no images in it',
    ),
    'a missing image': (image(file_name='9.jpg'), '1 of 3 files looked for are missing'),
    'a path that leads out': (image(file_name='../../x.jpg'), '1 paths lead out of the data root'),
    'an absolute path': (image(file_name='/etc/hosts'), '1 paths lead out of the data root'),
    'NaN in a polygon': (annotation(segmentation=[[1, 2, NAN, 4, 5, 6]]), '1 polygons have a coordinate'),
    'infinity in a polygon': (annotation(segmentation=[[1, float('inf'), 3, 4, 5, 6]]), '1 polygons have'),
    'an empty polygon, and one far off': (
        annotation(segmentation=[[], [1, 1e12, 3, 4, 5, 6]]),
        '1 polygons have',
    ),
    'a polygon far off': (annotation(segmentation=[[1, 1e12, 3, 4, 5, 6]]), '1 polygons have'),
    'no mask': (
        without('annotations', 'segmentation'),
        '1 annotations have no segmentation, which masks need',
    ),
    'a mask of another size': (
        annotation(segmentation=dict(size=[9, 9], counts='abc')),
        '1 masks are neither polygons nor run lengths of the image size',
    ),
    'boxes in shares of the image': (
        lambda data: [a.update(bbox=[0.1, 0.1, 0.4, 0.5]) for a in data['annotations']],
        '3 boxes, that is all, are smaller than a pixel: COCO has pixels, no shares',
    ),
    'all images too small': (
        lambda data: [image.update(height=20 + image['id']) for image in data['images']],
        "no image is left: filter_cfg drops those of less than 32 pixels, the largest's short side is 23",
    ),
    'all images with an object too small': (
        lambda data: [image(height=20)(data), data.update(annotations=data['annotations'][:1])],
        "no image is left: filter_cfg drops those of less than 32 pixels, the largest's short side is 20",
    ),
    'no width, and an image twice': (
        lambda data: [without('images', 'width')(data), data['images'].append(data['images'][1])],
        '1 ids of images appear more than once: 2',
    ),
    'a list of annotations': (lambda data: json.dumps(data['annotations']), 'a list in place of a dict'),
    'words for annotations': (
        lambda data: data.update(annotations=['x']),
        'annotations is not a list of dicts',
    ),
    'cut off': (lambda data: json.dumps(data)[:-9], 'not JSON: '),
    'empty': (lambda data: ' ', 'not JSON: '),
    'a byte order mark': (lambda data: '\ufeff' + json.dumps(data), 'begins with a byte order mark'),
    'nested too deep': (lambda data: '[' * 200_000, 'nests too deep'),
}


@pytest.mark.parametrize('fault', ERRORS)
def test_errors(fault, root):
    change, text = ERRORS[fault]
    data = coco()
    result = change(data)
    write(root, 'train', result if isinstance(result, str) else data)
    found = said(configured(root))
    assert gc.isenabled() and 'Error: ' not in found
    assert text in found and f'train_dataloader.dataset ({root}/train.json)' in found


@pytest.mark.parametrize('iscrowd', [0, 1, False, True])
def test_iscrowd_may_be_true_or_false(iscrowd, root):
    data = coco()
    annotation(iscrowd=iscrowd, segmentation=dict(size=[60, 80], counts=[0, 4800]))(data)
    write(root, 'train', data)
    assert said(configured(root)) == ''


def test_ids_may_be_strings_throughout(root):
    data = coco()
    for name in ('images', 'annotations', 'categories'):
        for entry in data[name]:
            entry.update({k: str(v) for k, v in entry.items() if k in ('id', 'image_id', 'category_id')})
    write(root, 'train', data)
    cfg = configured(root)
    assert said(cfg) == ''
    with DefaultScope.overwrite_default_scope('mmdet'):
        dataset = DATASETS.build(cfg.train_dataloader.dataset)
    assert [len(dataset[i]['inputs']) for i in range(len(dataset))] == [3] * 3


WARNINGS = {
    'a box without area': (annotation(bbox=[1, 1, 0, 5]), '1 boxes have no area'),
    'a box of negative width': (annotation(bbox=[9, 1, -3, 5]), '1 boxes have no area'),
    'an area of zero': (annotation(area=0), '1 boxes have no area'),
    'a box outside': (annotation(bbox=[200, 1, 9, 5]), '1 boxes are outside of their image'),
    'a box that ends where its image begins': (annotation(bbox=[-9, 1, 9, 5]), '1 boxes are outside of'),
    'a box that begins where its image ends': (annotation(bbox=[1, 60, 9, 5]), '1 boxes are outside of'),
    'a box beyond the edge': (annotation(bbox=[60, 1, 60, 5]), '1 boxes reach beyond their image'),
    'a box three pixels beyond': (annotation(bbox=[60, 1, 23, 5]), '1 boxes reach beyond their image'),
    'another category': (annotation(category_id=7), 'no classes of the config and left out: id 7 (1)'),
    'categories in another order': (
        lambda data: data['categories'].reverse(),
        "metainfo=dict(classes=('dog', 'cat",
    ),
}


@pytest.mark.parametrize('fault', WARNINGS)
def test_warnings_stop_nothing(fault, root):
    change, text = WARNINGS[fault]
    data = coco()
    change(data)
    for split in ('train', 'val'):
        write(root, split, data)
    cfg = configured(root)
    assert said(cfg) == '' and text in said(cfg, 'warnings')
    with DefaultScope.overwrite_default_scope('mmdet'):
        dataset = DATASETS.build(cfg.train_dataloader.dataset)
    assert [len(dataset[i]['inputs']) for i in range(len(dataset))] == [3] * len(dataset)


@pytest.mark.parametrize('cases', [70, pytest.param(2000, marks=pytest.mark.slow)])
def test_what_passes_is_read_by_mmdet(cases, root):
    """Files with values of any kind anywhere: an error is said, or MMDetection reads the file."""
    odd = [
        None,
        'x',
        '',
        -1,
        0,
        10**400,
        NAN,
        [],
        {},
        [[]],
        [NAN],
        True,
        1e308,
        7,
        2.5,
        '1',
        dict(counts=1),
        [[1, 2, 3, 4, 5, 6]],
    ]
    rng, cfg, passed = random.Random(0), configured(root), 0
    for _ in range(cases):
        data = coco()
        for _ in range(rng.randint(1, 3)):
            entries = [
                e for v in data.values() for e in (v if isinstance(v, list) else ()) if isinstance(e, dict)
            ]
            entry = data if rng.random() < 0.05 else rng.choice(entries or [data])
            if entry:
                entry[rng.choice([*entry])] = rng.choice(odd)
        write(root, 'train', data)
        if not said(cfg, phases=('train',)):
            with DefaultScope.overwrite_default_scope('mmdet'):
                dataset = DATASETS.build(cfg.train_dataloader.dataset)
            assert [len(dataset[i]['inputs']) for i in range(len(dataset))] == [3] * len(dataset), data
            passed += 1
    assert passed > 2


CONFIGS = {
    'other classes': (
        dict(classes=('person', 'car')),
        'classes of the file: cat, dog\n    classes of the config: person, car',
    ),
    'one class as text': (dict(classes='cat'), "classes=('cat',)"),
    'heads of 80 classes': (
        dict(heads=80),
        'model.roi_head.bbox_head.num_classes=80, model.roi_head.mask_head.'
        'num_classes=80, but the data have 2 classes (cat, dog): set num_classes=2',
    ),
    'heads of one class less': (dict(heads=1), 'num_classes=1, but the data have 2 classes'),
}


@pytest.mark.parametrize('fault', CONFIGS)
def test_configs_that_do_not_fit(fault, root):
    arguments, text = CONFIGS[fault]
    assert text in said(configured(root, **arguments))


KEY_POINTS = {
    'NaN': (annotation(keypoints=[NAN] * 51), '1 annotations have a key point that is not a finite'),
    'other number': (annotation(keypoints=PEOPLE[:-3]), '1 annotations have not 17 key points'),
    'strings': (
        annotation(keypoints=['5'] * 51),
        "1 annotations have a value of keypoints that is not a list of numbers: id 11 (list ['5', '5',",
    ),
    'a number as a string': (annotation(num_keypoints='17'), "id 11 (string '17')"),
    'a box of strings': (annotation(bbox=['1'] * 4), "id 11 (list ['1', '1', '1', '1'])"),
    'none': (lambda data: [a.pop('keypoints') for a in data['annotations']], 'no annotation has key points'),
    'no box': (lambda data: [a.pop('bbox') for a in data['annotations']], 'no annotation has key points'),
}


@pytest.mark.parametrize('fault', KEY_POINTS)
def test_key_points(fault, root):
    change, text = KEY_POINTS[fault]
    data = coco()
    change(data)
    write(root, 'train', data)
    cfg = configured(root, 'simplebaseline_r2n50_coco.py')
    assert text in said(cfg)
    info = dict(from_file='configs/_base_/datasets/coco.py')
    cfg.train_dataloader.dataset = dict(
        type='CombinedDataset', metainfo=info, datasets=[cfg.train_dataloader.dataset]
    )
    assert text in said(cfg) and said(cfg).count('\n') == 1  # nothing of what combines them


def test_annotations_of_other_classes(root):
    """MMDetection reads their boxes, and not their masks."""
    data = coco()
    annotation(bbox=[NAN] * 4, segmentation=[])(data)
    write(root, 'train', data)
    for name in ('cat', 'fox'):
        found = said(configured(root, classes=(name,), heads=1), phases=('train',))
        assert 'boxes or areas are not finite' in found and 'no segmentation' not in found


def test_detected_persons(root):
    cfg = configured(root, 'simplebaseline_r2n50_coco.py')
    cfg.val_dataloader.dataset.bbox_file = str(root / 'found.json')
    for found, text in (
        (dict(image_id=1, category_id=2, bbox=[1, 2, 3, 4], score=0.5), 'has no person'),
        (dict(image_id=1, category_id=1, bbox=[1, NAN, 3, 4], score=0.5), 'not finite numbers'),
        (dict(image_id=1, category_id=1, bbox=[1, 2, 3, 4], score=NAN), 'not finite numbers'),
        (dict(image_id=8, category_id=1, bbox=[1, 2, 3, 4], score=0.5), 'are unknown (image ids): 8'),
        ('x', 'is not a list of detections'),
    ):
        (root / 'found.json').write_text(json.dumps([found]))
        assert text in said(cfg, phases=('val',))
    write(root, 'val', {})
    assert 'there are no images in it' in said(cfg, phases=('val',))


def test_labels_of_training_and_evaluation_mean_the_same(root):
    cfg = configured(root, classes=('cat', 'dog', 'fox'), heads=3)
    assert said(cfg) == '' and 'the file has no category fox' in said(cfg, 'warnings')
    data = coco()
    data['categories'] = data['categories'][1:]
    data['annotations'] = data['annotations'][:1]
    write(root, 'val', data)
    train, other = cfg.train_dataloader.dataset, copy.deepcopy(cfg.val_dataloader.dataset)
    cfg.train_dataloader.dataset = dict(type='ConcatDataset', datasets=[train, other])
    assert 'labels mean other classes' in said(cfg, phases=('train',))
    annotation(bbox=[NAN] * 4)(data)
    write(root, 'val', data)
    assert re.search(
        r'labels mean other classes in train_dataloader.* than in val_dataloader.*: only in '
        r'train_dataloader.dataset \(.*\): cat',
        said(configured(root)),
    )


@pytest.mark.parametrize('last', [0, 1])
def test_data_to_learn_from_may_lack_the_last_classes(last, root):
    data = coco()
    data['categories'] = data['categories'][:1]
    data['annotations'] = data['annotations'][1:2]
    write(root, 'some', data)
    cfg = configured(root)
    train = cfg.train_dataloader.dataset
    datasets = [train, {**train, 'ann_file': 'some.json'}]
    cfg.train_dataloader.dataset = dict(type='ConcatDataset', datasets=datasets[:: 1 if last else -1])
    assert said(cfg) == ''
    cfg.val_dataloader.dataset.update(ann_file='some.json', data_prefix=train.data_prefix)
    assert 'dog' in said(cfg)  # CocoMetric has no category for such a label


def test_an_evaluation_needs_no_annotations_where_results_are_submitted(root):
    bare = dict(id=1, image_id=1, category_id=1, bbox=[1, 1, 9, 9], area=9, iscrowd=0)
    for name, annotations, text in (
        ('mask_rcnn', [], 'none of its 0 annotations'),
        ('mask_rcnn', [bare], 'annotations have no segmentation'),
        ('simplebaseline', [bare], 'no annotation has key points'),
    ):
        write(root, 'val', coco() | dict(annotations=annotations))
        cfg = configured(root, f'{name}_r2n50_coco.py')
        assert text in said(cfg, phases=('test',))
        cfg.test_evaluator = dict(cfg.test_evaluator, format_only=True)
        assert said(cfg, phases=('test',)) == ''


def test_filter_cfg_is_not_for_tests(root):
    data = coco()
    for entry in data['images']:
        entry.update(height=20)
    write(root, 'val', data)
    cfg = configured(root)
    cfg.val_dataloader.dataset.filter_cfg = cfg.train_dataloader.dataset.filter_cfg
    assert said(cfg) == ''
    cfg.val_dataloader.dataset.test_mode = False
    assert 'no image is left' in said(cfg)


def test_heads_that_have_classes_of_their_own():
    boxes = dict(bbox_head=[dict(num_classes=80)], semantic_head=dict(num_classes=183))  # HTC's
    model = dict(rpn_head=dict(num_classes=1), roi_head=boxes)
    assert dict(contents._heads(model)) == {'model.roi_head.bbox_head.0': 80}


def test_every_image_or_a_sample(root):
    data = coco()
    data['images'] = [dict(id=i, file_name=f'{i}.jpg', width=80, height=60) for i in range(1, 1001)]
    write(root, 'train', data)
    assert '200 of 200' not in said(configured(root)) and 'of 200 files looked for' in said(configured(root))
    assert '997 of 1,000 files looked for are missing' in said(configured(root), every=True)
    assert [*spread(range(399))] == [*range(0, 399, 2)]  # 200 at most


def test_a_large_file_is_read_once(root, tmp_path, monkeypatch):
    monkeypatch.setattr(contents, 'CACHED_FROM', 0)
    monkeypatch.setattr(contents, 'CACHE', tmp_path / 'cache')
    data = coco()
    annotation(bbox=[1, 1, 0, 5])(data)
    write(root, 'train', data)
    first = said(configured(root), 'warnings')
    assert '1 boxes have no area' in first and len(list((tmp_path / 'cache').iterdir())) == 2
    with monkeypatch.context() as patch:
        patch.setattr(contents, 'check_coco', None)  # not called again
        assert said(configured(root), 'warnings') == first
        assert 'TypeError' in said(configured(root), every=True)  # but where all is looked at,
        patch.setattr(contents, '__version__', '0')
        assert 'TypeError' in said(configured(root))  # or by another version
    assert 'is of a class of the config' in said(configured(root, classes=('fox', 'owl')))  # not as cached
    write(root, 'val', coco() | dict(categories=coco()['categories'][::-1]))
    assert all(': another order' in said(configured(root)) for _ in range(2))  # as cached, too
    write(root, 'val', coco())
    (root / 'train' / '2.jpg').unlink()
    assert '1 of 3 files looked for are missing' in said(configured(root))  # images are always looked for
    cfg = configured(root)
    cfg.train_dataloader.dataset.update(
        data_root=f'{root}/tra', ann_file=f'{root}/train.json', data_prefix=dict(img=f'{root}/train/')
    )
    assert 'paths lead out of the data root' in said(cfg)
    file, stat = root / 'train.json', (root / 'train.json').stat()
    annotation(bbox=[1, 1, 0, 50], area=NAN)(data)
    write(root, 'train', data)
    os.utime(file, ns=(stat.st_mtime_ns, stat.st_mtime_ns))  # another size
    assert 'not finite' in said(configured(root))
    file.write_text(file.read_text().replace('NaN', '200'))  # another time
    assert 'not finite' not in said(configured(root))
    write(root, 'train', data)
    for file in (tmp_path / 'cache').iterdir():
        file.write_text('{torn')
    assert 'not finite' in said(configured(root))


def test_check_prints_warnings_and_raises_errors(root, capsys):
    data = coco()
    annotation(bbox=[1, 1, 0, 5])(data)
    write(root, 'train', data)
    checks.check(configured(root), 'train')
    assert capsys.readouterr().err.count('1 boxes have no area') == 1
    with pytest.raises(UserError, match=r"can't be used(.|\n)*num_classes=2(.|\n)*--no-check") as error:
        checks.check(configured(root, heads=7), 'train')
    assert str(error.value).count('num_classes=2') == 1  # of both data sets
    write(root, 'val', '')
    with pytest.raises(UserError, match=r'val_dataloader.*\n  - not JSON'):
        checks.check(configured(root), 'train')
