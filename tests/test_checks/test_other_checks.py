"""VOC's XML, segmentation, classes of images, salient objects: a row breaks a valid data set in one way."""

import copy
import re
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import cv2
import numpy as np
import pytest
from mmseg.datasets import PascalVOCDataset
from PIL import Image

from res2net_mm import checks
from res2net_mm.checks import contents, decoding
from res2net_mm.checks.contents import report
from res2net_mm.config import load_config

load = cache(load_config)
BOX = '<xmin>5</xmin><ymin>5</ymin><xmax>20</xmax><ymax>30</ymax>'
OBJECT = f'<object><name>cat</name><bndbox>{BOX}</bndbox></object>'
XML = f'<annotation><size><width>80</width><height>60</height></size>{OBJECT}</annotation>'
BOMB = (
    '<!DOCTYPE a [<!ENTITY a0 "ha">'
    + ''.join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 12))
    + ']><annotation>&a11;</annotation>'
)


def said(cfg, kind='errors', phases=('train', 'val')):
    return report(checks.look(cfg, phases), kind)


def image(path, mask=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((60, 80, 3), 99, np.uint8) if mask is None else mask)


def replace(**parts):
    def change(root):
        file = root / 'Annotations' / '1.xml'
        text = file.read_text()
        for old, new in parts.items():
            text = text.replace(f'<{old}>', f'<{old}>{new}<!--').replace(f'</{old}>', f'--></{old}>')
        file.write_text(text)

    return change


def xml(text):
    return lambda root: (root / 'Annotations' / '1.xml').write_bytes(
        text if isinstance(text, bytes) else text.encode()
    )


def names(text):
    return lambda root: (root / 'list.txt').write_text(text)


# ---- VOC -------------------------------------------------------------------------------------------


@pytest.fixture
def voc(tmp_path):
    (tmp_path / 'Annotations').mkdir()
    for i in '12':
        image(tmp_path / 'JPEGImages' / f'{i}.jpg')
        (tmp_path / 'Annotations' / f'{i}.xml').write_text(XML)
    (tmp_path / 'list.txt').write_text('1\n2\n')
    cfg = copy.deepcopy(load('res2net_mm::faster_rcnn_r2n50_voc07.py'))
    for phase in ('train', 'val'):
        dataset = cfg[f'{phase}_dataloader'].dataset
        dataset.update(data_root=f'{tmp_path}/', ann_file='list.txt', data_prefix=dict(sub_data_root=''))
    return tmp_path, cfg


def test_valid_voc(voc):
    assert said(voc[1]) == said(voc[1], 'warnings') == ''


VOC = {
    'a blank line': (names('1\n \n2\n'), "1 lines are blank: line 2: ' '"),
    'trailing blanks': (names('1 \n2\n'), "1 lines have blanks around the name: line 1: '1 '"),
    'labels behind names': (names('1 -1\n2  1\n'), '2 names of the list have no XML file'),
    'a path that leads out': (names('../../x\n1\n'), 'paths lead out of the data root'),
    'an empty list': (names(''), 'the list is empty'),
    'a list with a byte order mark': (names('\ufeff1\n2\n'), 'begins with a byte order mark'),
    'a list that is no text': (
        lambda root: (root / 'list.txt').write_bytes(b'\xff\xfe1'),
        "the list can't be read",
    ),
    'a missing XML file': (
        lambda root: (root / 'Annotations/1.xml').unlink(),
        '1 names of the list have no XML file',
    ),
    'a missing image': (
        lambda root: (root / 'JPEGImages/1.jpg').unlink(),
        '1 of 2 files looked for are missing',
    ),
    'an empty XML file': (xml(''), '1 XML files are faulty, not XML: no element found'),
    'cut off': (xml(XML[:70]), '1 XML files are faulty, not XML: '),
    'an unknown encoding': (xml('<?xml version="1.0" encoding="utf-99"?>' + XML), 'not XML: '),
    'an entity bomb': (xml(BOMB), 'entities (<!DOCTYPE, <!ENTITY), which is refused: 1.xml'),
    'an entity bomb in UTF-16': (xml(BOMB.encode('utf-16')), 'which is refused: 1.xml'),
    'a file of the system': (xml('<!DOCTYPE a SYSTEM "file:///etc/hosts"><a/>'), 'which is refused: 1.xml'),
    'nested deep': (xml('<a>' * 10_000), '1 XML files are faulty, not XML: '),
    'width of zero': (replace(width=0), 'width or height is not positive: 1.xml'),
    'no width': (xml(XML.replace('<width>80</width>', '')), 'size has no whole number as width'),
    'width of half a pixel': (replace(width=79.5), 'size has no whole number as width'),
    'an empty difficult': (
        xml(XML.replace('<bndbox>', '<difficult/><bndbox>')),
        'object has no whole number as difficult',
    ),
    'NaN in a box': (replace(xmin='nan'), 'bndbox has no finite number as xmin'),
    'infinity in a box': (replace(xmax='inf'), 'bndbox has no finite number as xmax'),
    'a word in a box': (replace(ymin='five'), 'bndbox has no finite number as ymin'),
    'a box without area': (replace(xmax=5), '1 XML files are faulty, a box has no area: 1.xml'),
    'a box without height': (replace(ymax=5), '1 XML files are faulty, a box has no area: 1.xml'),
    'no box': (xml(XML.replace('bndbox', 'box')), 'an object has no name or no bndbox'),
    'no name': (xml(XML.replace('name', 'title')), 'an object has no name or no bndbox'),
    'other classes': (
        lambda root: [p.write_text(XML.replace('cat', 'lynx')) for p in (root / 'Annotations').iterdir()],
        'classes of the files: lynx\n    classes of the config: aeropl',
    ),
}


@pytest.mark.parametrize('fault', VOC)
def test_voc(fault, voc):
    change, text = VOC[fault]
    change(voc[0])
    found = said(voc[1])
    assert text in found and ('no object is of a class' in found) == (fault == 'other classes')
    assert ('lines have blanks around' in found) == (fault == 'trailing blanks')


def test_voc_warnings(voc):
    root, cfg = voc
    lynx = OBJECT.replace('cat', 'lynx').replace('<xmax>20', '<xmax>5').replace('<ymax>30', '<ymax>300')
    xml(XML.replace('</annotation>', lynx + '</annotation>'))(root)
    assert said(cfg) == '' and 'no classes of the config and left out: lynx (1)' in said(cfg, 'warnings')
    assert 'beyond the image' not in said(cfg, 'warnings')
    xml(XML)(root)
    replace(xmin=-1, ymin=-1, xmax=82, ymax=62)(root)
    assert said(cfg, 'warnings') == ''
    xml(XML)(root)
    xml(f'<annotation>{OBJECT}</annotation>')(root)  # which needs no size
    assert said(cfg) == said(cfg, 'warnings') == ''
    xml(XML)(root)
    replace(xmax=200)(root)
    assert said(cfg) == '' and 'box that reaches beyond the image: 1.xml' in said(cfg, 'warnings')


def test_voc_whose_results_are_submitted(voc):
    root, cfg = voc
    VOC['other classes'][0](root)
    assert 'no object is of a class' in said(cfg, phases=('val',))
    cfg.val_evaluator.format_only = True
    assert said(cfg, phases=('val',)) == ''


# ---- segmentation ----------------------------------------------------------------------------------


@pytest.fixture
def segments(tmp_path):
    for i in '12':
        image(tmp_path / 'images' / f'{i}.jpg')
        image(tmp_path / 'masks' / f'{i}.png', np.full((60, 80), 20, np.uint8))
    (tmp_path / 'list.txt').write_text('1\n2\n')
    cfg = copy.deepcopy(load('res2net_mm::deeplabv3plus_r2n50_voc12aug.py'))
    for phase in ('train', 'val'):
        cfg[f'{phase}_dataloader'].dataset.update(
            data_root=f'{tmp_path}/',
            ann_file='list.txt',
            data_prefix=dict(img_path='images', seg_map_path='masks'),
        )
    return tmp_path, cfg


def test_valid_segmentation(segments):
    root, cfg = segments
    names('1 \n2\n')(root)  # MMSegmentation strips lines
    image(root / 'masks/1.png', np.full((60, 80), 255, np.uint8))  # is ignored
    picture = Image.new('P', (80, 60), 7)
    picture.putpalette([200, 30, 90] * 256)
    picture.save(root / 'masks/2.png')
    assert said(cfg) == said(cfg, 'warnings') == ''
    for phase in ('train', 'val'):
        cfg[f'{phase}_dataloader'].dataset.update(
            type='BaseSegDataset', ann_file='' if phase == 'train' else '.', metainfo=dict(classes=['x'] * 21)
        )
    assert said(cfg) == ''
    image(root / 'images/deep/3.jpg')
    assert '1 of 6 files looked for are missing' in said(cfg) and 'masks/deep/3.png' in said(cfg)
    image(root / 'masks/deep/3.png', np.full((60, 80), 20, np.uint8))
    cfg.train_dataloader.dataset.metainfo = {}  # of which nothing is known
    assert said(cfg) == ''
    cfg.train_dataloader.dataset.update(reduce_zero_label=True, metainfo=dict(classes=['x'] * 20))
    cfg.model.decode_head.num_classes = 20
    assert said(cfg, phases=('train',)) == ''  # 20 is the last of them: 0 is ignored
    (root / 'empty').mkdir()
    cfg.train_dataloader.dataset.data_prefix.img_path = 'empty'
    assert 'no .jpg files in' in said(cfg)
    cfg.train_dataloader.dataset.data_prefix.img_path = 'images'
    names('1\n2\ndeep/3\n')(root)
    some = PascalVOCDataset.METAINFO['classes'][:20]  # 20 is none of them, and ignored
    cfg.train_dataloader.dataset.update(
        type='PascalVOCDataset', reduce_zero_label=False, metainfo=dict(classes=some), ann_file='list.txt'
    )
    assert said(cfg, phases=('train',)) == ''


def mask(array):
    return lambda root: image(root / 'masks' / '1.png', array)


SEGMENTATION = {
    'a label too high': (
        mask(np.full((60, 80), 21, np.uint8)),
        '1.png has the labels 21; of 21 classes are 0 ... 20',
    ),
    'colors': (
        mask(np.zeros((60, 80, 3), np.uint8)),
        '1.png has 3 channels, not one with the number of a class',
    ),
    'another size': (mask(np.zeros((59, 80), np.uint8)), '1.png is 80 x 59, its image 80 x 60 pixels'),
    'not an image': (lambda root: (root / 'masks/1.png').write_text('x'), "1.png can't be read: "),
    'a missing mask': (lambda root: (root / 'masks/1.png').unlink(), '1 of 4 files looked for are missing'),
    'a missing image': (lambda root: (root / 'images/1.jpg').unlink(), '1 of 4 files looked for are missing'),
    'a blank line': (names('1\n\n2\n'), "1 lines are blank: line 2: ''"),
    'labels behind names': (names('1 7\n2 7\n'), '4 of 4 files looked for are missing: '),
    'a path that leads out': (names('../../x\n1\n'), '2 paths lead out of the data root'),
}


@pytest.mark.parametrize('fault', SEGMENTATION)
def test_segmentation(fault, segments):
    change, text = SEGMENTATION[fault]
    change(segments[0])
    found = said(segments[1])
    assert text in found and ('masks are faulty' in found) == ('1.png' in text)


def test_heads_of_segmentation(segments):
    segments[1].model.decode_head.num_classes = 19
    assert 'model.decode_head.num_classes=19, but the data have 21 classes' in said(segments[1])


def test_all_masks_are_looked_at_closely(segments, monkeypatch):
    root, cfg = segments
    monkeypatch.setattr(decoding, 'ProcessPoolExecutor', lambda *_: ThreadPoolExecutor(1))
    monkeypatch.setattr(contents, 'spread', lambda samples: samples[:1])  # of as many as are a sample
    names('1\n2\n3\n')(root)
    (root / 'images/2.jpg').rename(root / 'images/3.jpg')
    for i in '13':
        image(root / f'masks/{i}.png', np.full((60, 80), 21, np.uint8))
    cfg.test_dataloader = copy.deepcopy(cfg.val_dataloader)
    found = report(decoding.look_closely(cfg), 'errors')
    assert found.count('masks are faulty') == found.count('2 masks are faulty') == 2
    assert found.count('1 of 6 files looked for are missing') == 2
    assert "can't be read" not in found and 'test_dataloader' not in found
    cfg.test_dataloader.batch_size = 3
    assert 'test_dataloader' in report(decoding.look_closely(cfg), 'errors')


# ---- classification --------------------------------------------------------------------------------


@pytest.fixture
def folders(tmp_path):
    for path in ('train/cat/1.jpg', 'train/dog/1.jpg', 'val/cat/1.JPG', 'val/dog/1.jpg'):
        image(tmp_path / path)
    (tmp_path / 'train' / 'README').touch()  # is no class
    cfg = copy.deepcopy(load('res2net_mm::imagenet/r2n50_imagenet.py'))
    for phase in ('train', 'val'):
        cfg[f'{phase}_dataloader'].dataset = dict(
            type='CustomDataset',
            data_root=str(tmp_path),
            data_prefix=phase,
            pipeline=cfg[f'{phase}_dataloader'].dataset.pipeline,
        )
    cfg.model.head.num_classes = 2
    cfg.val_evaluator = dict(type='Accuracy', topk=(1, 2))
    return tmp_path, cfg


def test_valid_folders(folders):
    assert said(folders[1]) == said(folders[1], 'warnings') == ''


FOLDERS = {
    'other folders in val': (
        lambda root, cfg: (root / 'val/dog').rename(root / 'val/wolf'),
        r'labels mean other classes in train_dataloader.* than in val_dataloader.*: only in '
        r'train_dataloader.dataset .*: dog; only in val_dataloader.dataset .*: wolf',
    ),
    'a folder less in val': (
        lambda root, cfg: [(root / 'val/dog/1.jpg').unlink(), (root / 'val/dog').rmdir()],
        'only in train_dataloader.dataset .*: dog$',
    ),
    'no images': (
        lambda root, cfg: [(root / f'train/{name}/1.jpg').unlink() for name in ('cat', 'dog')],
        'no images (.bmp, .jpeg, .jpg',
    ),
    'classes of another number': (
        lambda root, cfg: cfg.train_dataloader.dataset.update(metainfo=dict(classes=['cat'])),
        'has 2 folders, the config 1 classes.\n    folders: cat, dog\n    classes of the config: cat',
    ),
    'a head of 1000 classes': (
        lambda root, cfg: cfg.model.head.update(num_classes=1000),
        'model.head.num_classes=1000, but the data have 2 classes (cat, dog)',
    ),
    'fewer classes than topk': (
        lambda root, cfg: cfg.val_evaluator.update(topk=(1, 5)),
        'val_evaluator.topk asks for the best 5 of 2',
    ),
}


@pytest.mark.parametrize('fault', FOLDERS)
def test_folders(fault, folders):
    change, text = FOLDERS[fault]
    change(*folders)
    assert text in said(folders[1]) or re.search(text, said(folders[1]))


def test_no_topk_is_not_complained_of(folders):
    _, cfg = folders
    cfg.model.head.num_classes = 0
    cfg.val_evaluator = dict(type='AveragePrecision')
    assert 'num_classes=0' in said(cfg) and 'topk' not in said(cfg)


def test_empty_folders_are_warned_of(folders):
    (folders[0] / 'train/dog/1.jpg').unlink()
    assert said(folders[1]) == '' and '1 folders hold no images: dog' in said(folders[1], 'warnings')


LABELS = {
    'a label too high': (
        'cat/1.jpg 0\ndog/1.jpg 2\n',
        '1 labels are not in 0 ... 1, the classes of the config: dog',
    ),
    'a negative label': ('cat/1.jpg -1\n', '1 labels are not in 0 ... 1'),
    'no label': ('cat/1.jpg\n', "1 lines are not NAME LABEL, with a number as label: 'cat/1.jpg'"),
    'a word as label': ('cat/1.jpg cat\n', '1 lines are not NAME LABEL'),
    'a blank line': ('cat/1.jpg 0\n\ndog/1.jpg 1\n', '1 lines are blank'),
    'a name with a blank': ('cat/a b.jpg 0\n', '1 of 1 files looked for are missing'),
    'a missing image': ('cat/9.jpg 0\n', '1 of 1 files looked for are missing'),
    'a path that leads out': ('../../x.jpg 0\n', '1 paths lead out of the data root'),
}


@pytest.mark.parametrize('fault', LABELS)
def test_lists_of_labels(fault, folders):
    root, cfg = folders
    text, expected = LABELS[fault]
    (root / 'list.txt').write_text(text)
    cfg.train_dataloader.dataset.update(ann_file='list.txt', metainfo=dict(classes=['cat', 'dog']))
    assert expected in said(cfg)


# ---- salient objects, and what isn't known ---------------------------------------------------------


def test_saliency(tmp_path):
    cfg = copy.deepcopy(load('res2net_mm::dss_r2n50_msrab.py'))
    dataset = cfg.train_dataloader.dataset
    dataset.update(data_root=str(tmp_path), sets=[dict(name='own', img_path='images', seg_map_path='masks')])
    assert 'own: no folder' in said(cfg, phases=('train',))
    image(tmp_path / 'images/1.jpg')
    image(tmp_path / 'masks/1.png', np.full((60, 80), 255, np.uint8))
    assert said(cfg, phases=('train',)) == ''
    image(tmp_path / 'masks/1.png', np.full((50, 80), 255, np.uint8))
    assert '1 masks are faulty: ' in said(cfg, phases=('train',))
    dataset.sets[0].list_file = 'list.txt'
    (tmp_path / 'list.txt').write_text('../../1\n')
    assert 'have no image' in said(cfg, phases=('train',))


def test_a_data_set_that_cannot_be_built_is_an_error(folders):
    folders[1].train_dataloader.dataset.update(type='CIFAR100', splitt='train')
    assert 'TypeError: ' in said(folders[1]) and 'splitt' in said(folders[1])


def test_data_elsewhere_and_other_readers_are_left_alone(folders):
    root, cfg = folders
    cfg.train_dataloader.dataset.data_root = 's3://bucket/data'
    assert said(cfg) == ''
    cfg.train_dataloader.dataset.update(data_root='/nowhere', backend_args=dict(backend='petrel'))
    assert said(cfg) == ''
    cfg.train_dataloader.dataset.update(data_root=f'{root}/train/cat', data_prefix='', with_label=False)
    del cfg.train_dataloader.dataset.backend_args
    assert said(cfg) == ''
    cfg.train_dataloader.dataset = dict(type='CIFAR100', data_root=str(root), split='train')
    assert (
        said(cfg)
        == 'model\n  - model.head.num_classes=2, but the data have 100 classes (apple, aquarium_fish, '
        'baby, bear, beaver, bed, bee, beetle, bicycle, bottle, ...): set num_classes=100 there, or '
        'metainfo=dict(classes=...) in each data set'
    )


def test_skipping_is_for_training(folders):
    for phase in ('train', 'val'):
        folders[1][f'{phase}_dataloader'].dataset.pipeline[0].update(bad_images='skip')
    found = said(folders[1])
    assert found.count("bad_images='skip' is for training") == 1 and 'val_dataloader.dataset' in found
