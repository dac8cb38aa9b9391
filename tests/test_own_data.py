"""own_data.py: what it finds in folders of every format, and that the configs it writes are right."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import own_data
import own_folders as folders
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DATASETS, METRICS, MODELS, DefaultScope
from PIL import Image

from res2net_mm import preflight
from res2net_mm.config import load_config
from res2net_mm.errors import UserError
from res2net_mm.own_data import read, write
from res2net_mm.own_data.configs import by_epochs, by_iterations
from res2net_mm.own_data.detection import swap
from res2net_mm.own_data.folder import split_of
from res2net_mm.toolboxes import import_toolbox

DETECTION = [
    folders.coco_layout,
    folders.roboflow_coco,
    folders.cvat_coco,
    folders.voc_layout,
    folders.labelimg,
    folders.yolo_layout,
    folders.roboflow_yolo,
    folders.cvat_yolo,
    folders.labelimg_yolo,
]
MASKS = [folders.masks_layout, folders.masks_in_splits, folders.roboflow_masks, folders.cvat_masks]
CLASSES = [folders.class_folders, folders.class_splits, folders.class_train_test]


@pytest.fixture
def tool(tmp_path, monkeypatch, capsys):
    """Run the tool in an empty folder; return the config's name, and what was printed."""
    monkeypatch.chdir(tmp_path)

    def run(*args):
        monkeypatch.setattr(sys, 'argv', ['own_data.py', *map(str, args)])
        own_data.main()
        printed = capsys.readouterr().out
        return re.search(r'^Written: (\S+)', printed, re.M)[1], printed

    return run


def built(config):
    """The config, its data sets by split, and its model, of meta tensors."""
    cfg = load_config(config)
    preflight.check(cfg, 'test')
    import_toolbox(cfg.default_scope)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        datasets = {s: DATASETS.build(cfg[f'{s}_dataloader'].dataset) for s in ('train', 'val', 'test')}
        for split in ('val', 'test'):
            METRICS.build(cfg[f'{split}_evaluator'])
        cfg.model.backbone.init_cfg = None
        with torch.device('meta'):
            model = MODELS.build(cfg.model)
    return cfg, datasets, model


def lengths(datasets, expected):
    """Whether the data sets have as many images as expected; None is 10 that are divided."""
    train, val, test = (len(datasets[split]) for split in ('train', 'val', 'test'))
    if expected is None:
        return train + val == 10 and 1 <= val <= 4 and test == val
    return (train, val, test) == (*expected[:2], expected[2] or expected[1])


def labels(dataset):
    return {int(label) for item in dataset for label in item['data_samples'].gt_instances.labels}


@pytest.mark.parametrize('make', DETECTION, ids=lambda make: make.__name__)
def test_boxes(make, tool, tmp_path):
    expected = make(tmp_path / 'my pets')
    config, printed = tool('my pets', '--method', 'faster_rcnn')
    cfg, datasets, model = built(config)
    assert config == 'my_pets_faster_rcnn.py' and lengths(datasets, expected), printed
    assert model.roi_head.bbox_head.num_classes == 2
    x, y, width, height = folders.BOX
    for dataset in (datasets['val'], datasets['test']):
        assert dataset.metainfo['classes'] == datasets['train'].metainfo['classes'] == ('cat', 'dog')
        boxes = dataset[0]['data_samples'].gt_instances.bboxes.numpy()
        assert np.allclose(boxes, [[x, y, x + width, y + height]], atol=0.02)
    assert labels(datasets['train']) == {0, 1}
    assert cfg.train_dataloader.batch_size == 2 and cfg.auto_scale_lr.base_batch_size == 2
    assert cfg.optim_wrapper.optimizer.lr == 0.0025 and cfg.optim_wrapper.optimizer.momentum == 0.9
    assert re.search(r'^  cat +\d+ +\d+', printed, re.M)
    chance = set() if expected else {'classes without a validation example'}  # of ten images that are divided
    assert {*re.findall(r'^  \d+ (.+):', printed.partition('Problems:')[2], re.M)} <= chance


@pytest.mark.parametrize(
    'make', [folders.coco_outlines, folders.coco_with_points, folders.cvat_outlines, folders.yolo_outlines]
)
def test_outlines(make, tool, tmp_path):
    expected = make(tmp_path / 'pets')
    config, printed = tool('pets', '--method', 'mask_rcnn', '-o', 'sub/mine.py')
    cfg, datasets, model = built(config)
    assert config == 'sub/mine.py' and lengths(datasets, expected) and 'left out' not in printed
    assert model.roi_head.bbox_head.num_classes == model.roi_head.mask_head.num_classes == 2
    masks = datasets['val'][0]['data_samples'].gt_instances.masks
    assert masks.masks.shape[1:] == masks.masks[0].shape and masks.masks.sum() == 320


def test_points(tool, tmp_path):
    expected = folders.points(tmp_path / 'cats')
    config, printed = tool('cats', '--method', 'simplebaseline')
    cfg, datasets, model = built(config)
    assert lengths(datasets, expected) and model.head.out_channels == 3
    info = datasets['train'].metainfo
    assert info['flip_pairs'] == [[1, 0], [0, 1]] or {tuple(p) for p in info['flip_pairs']} == {
        (0, 1),
        (1, 0),
    }
    assert info['flip_indices'] == [1, 0, 2] and info['skeleton_links'] == [(0, 1), (1, 2)]
    assert info['keypoint_id2name'] == dict(enumerate(folders.POINTS)) and len(info['sigmas']) == 3
    assert datasets['val'].bbox_file is None
    written = json.loads((tmp_path / 'cats_simplebaseline/val.json').read_text())
    assert written['annotations'][0]['num_keypoints'] == 3  # which the metric needs


@pytest.mark.parametrize('make', MASKS, ids=lambda make: make.__name__)
def test_masks(make, tool, tmp_path):
    expected = make(tmp_path / 'pets')
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / 'pets').rglob('*')}
    config, printed = tool('pets', '--method', 'deeplabv3plus')
    cfg, datasets, model = built(config)
    assert lengths(datasets, expected) and 'Problems' not in printed
    assert model.decode_head.num_classes == 3 == len(datasets['train'].metainfo['classes'])
    named = make in (folders.roboflow_masks, folders.cvat_masks)
    assert datasets['val'].metainfo['classes'] == (
        'background',
        *(('cat', 'dog') if named else ('class_1', 'class_2')),
    )
    values = datasets['val'][0]['data_samples'].gt_sem_seg.data[0, 0].unique(sorted=True).tolist()
    assert [v for v in values if v != 255] == [0, 1, 2]
    assert cfg.crop_size == (65, 65) and cfg.model.data_preprocessor['size'] == (65, 65)
    assert (tmp_path / 'pets_deeplabv3plus/masks').exists() == (make is folders.cvat_masks)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / 'pets').rglob('*')} == before


def test_voc_masks_follow_their_own_lists_and_255_is_ignored(tool, tmp_path):
    expected = folders.voc_layout(tmp_path / 'voc')
    config, _ = tool('voc', '--method', 'deeplabv3plus')
    _, datasets, model = built(config)
    assert lengths(datasets, expected) and model.decode_head.num_classes == 2
    seg = datasets['val'][0]['data_samples'].gt_sem_seg.data
    assert seg.unique().tolist() == [0, 1, 255]


def test_values_with_gaps_and_several_endings_become_new_masks(tool, tmp_path):
    folders.mixed_masks(tmp_path / 'pets')
    config, _ = tool('pets', '--method', 'deeplabv3plus')
    _, datasets, model = built(config)
    assert lengths(datasets, None) and datasets['val'].metainfo['classes'] == ('background', 'class_200')
    assert datasets['val'][0]['data_samples'].gt_sem_seg.data.unique().tolist()[:2] == [0, 1]


@pytest.mark.parametrize('names', [('background', 'foreground'), ('sky', 'ground')])
def test_black_and_white_masks_have_two_classes(names, tool, tmp_path):
    folders.binary_masks(tmp_path / 'pets')
    if 'sky' in names:
        folders.write(tmp_path / 'pets/classes.txt', '\n'.join(names))
    _, datasets, _ = built(tool('pets', '--method', 'deeplabv3plus')[0])
    assert datasets['val'].metainfo['classes'] == names
    assert datasets['val'][0]['data_samples'].gt_sem_seg.data.unique().tolist() == [0, 1]


@pytest.mark.parametrize(
    'make', [folders.binary_masks, folders.msra, folders.masks_layout, folders.mixed_masks]
)
def test_saliency(make, tool, tmp_path):
    expected = make(tmp_path / 'pets')
    config, _ = tool('pets', '--method', 'dss')
    cfg, datasets, _ = built(config)
    assert lengths(datasets, expected)
    for dataset in datasets.values():
        assert dataset[0]['data_samples'].gt_sem_seg.data.unique().tolist() == [0, 1]
    assert cfg.optim_wrapper.optimizer.lr == pytest.approx(1e-8 * 120000 / (64 * 48), rel=0.01)
    assert cfg.optim_wrapper.accumulative_counts == 10


@pytest.mark.parametrize('make', CLASSES, ids=lambda make: make.__name__)
def test_classes(make, tool, tmp_path):
    expected = make(tmp_path / 'pets')
    config, printed = tool('pets', '--method', 'classify')
    cfg, datasets, model = built(config)
    assert lengths(datasets, expected), printed
    names = dict(class_folders=('cat', "dog's"), class_splits=('with_mask', 'without_mask'))
    assert datasets['val'].metainfo['classes'] == names.get(make.__name__, tuple('abcde'))
    assert model.head.num_classes == len(datasets['val'].metainfo['classes'])
    assert {int(item['data_samples'].gt_label) for item in datasets['val']} == {
        *range(model.head.num_classes)
    }
    five = make is folders.class_train_test
    assert tuple(cfg.val_evaluator.topk) == tuple(cfg.model.head.topk) == ((1, 5) if five else (1,))
    assert datasets['train'][0]['inputs'].shape[1:] == (128, 128)
    cfg = Config.fromfile(config)
    assert cfg.model.backbone.init_cfg.checkpoint == 'res2net://res2net50_26w_4s'


# ---- what is wrong, odd or missing -----------------------------------------------------------------


def two_formats(root):
    folders.labelimg(root)
    folders.labelimg_yolo(root)


def two_masks(root):
    folders.masks_layout(root)
    folders.mask(root / 'labels/train/0.png', [0])


def pictures_only(root):
    folders.write(root / 'more.zip', '')
    for i in range(3):
        folders.picture(root / f'{i}.jpg')


def masks_only(root):
    for name in ('masks/a.png', 'gt/b.png'):
        folders.mask(root / name, [0, 1])


def no_coco(root):
    folders.write(root / 'a.json', '{"images": [{}], "annotations": [], "categories": []}')


def other_categories(root):
    folders.coco_layout(root)
    file = root / 'annotations/instances_val2017.json'
    content = json.loads(file.read_text())
    content['annotations'][1]['category_id'] = 77
    file.write_text(json.dumps(content))


def other_points(root):
    folders.points(root)
    file = root / 'train/_annotations.coco.json'
    content = json.loads(file.read_text())
    content['categories'].append(dict(id=9, name='dog', keypoints=['nose']))
    file.write_text(json.dumps(content))


def one_class(root):
    folders.picture(root / 'cat/0.jpg')


def archive(root):
    folders.write(root / 'leaves.tar.gz', '')


LOOKED_FOR = r"nothing for faster_rcnn in pets, which has no files.*\n  COCO's.*\n  VOC's.*\n  YOLO's"
NO_OUTLINES = r'no training image has a label\n  5 objects without segmentation, left out: '


@pytest.mark.parametrize('make, method, message', [
    (lambda root: root.mkdir(), 'faster_rcnn', LOOKED_FOR),
    (lambda root: None, 'dss', 'there is no folder pets'),
    (lambda root: root.write_text(''), 'dss', 'pets is not a folder'),
    (pictures_only, 'classify', r'has 3 \.jpg.*\n.*folder for each class'),
    (pictures_only, 'faster_rcnn', r'has 3 \.jpg(?!(?s:.*)Unpack)'),
    (masks_only, 'dss', 'nothing for dss in pets'),
    (folders.voc_layout, 'mask_rcnn', r'6 \.xml(?s:.*)for --method faster_rcnn or deeplabv3plus or dss$'),
    (folders.coco_layout, 'mask_rcnn', NO_OUTLINES),
    (folders.coco_layout, 'simplebaseline', r'nothing for simplebaseline'),
    (two_formats, 'faster_rcnn', r'holds VOC XML \(10 images\) and YOLO txt \(20 images\)'),
    (two_masks, 'dss', 'train/0.jpg has two masks'),
    (no_coco, 'faster_rcnn', "a.json is not as COCO has it: KeyError 'file_name'"),
    (other_categories, 'faster_rcnn',
     'val2017.json: the annotation of id 2 has category_id 77, and the categories have 3, 4$'),
    (other_points, 'simplebaseline', 'categories of different key points; there can be only one set'),
    (one_class, 'classify', r'\n  .*two or more: (?s:.*)\n  1 class only, and .* two or more: cat'),
    (archive, 'dss', r'which has 1 \.gz. (?s:.*)\nUnpack leaves.tar.gz: only files outside of archives are'),
])  # fmt: skip
def test_what_is_no_data_set(make, method, message, tool, tmp_path):
    make(tmp_path / 'pets')
    with pytest.raises(UserError) as error:
        tool('pets', '--method', method)
    assert re.search(message, str(error.value)), error.value
    assert not list(tmp_path.glob('*.py')) and len(list(tmp_path.glob('.own*'))) == 0


def test_blended_masks_are_refused(tool, tmp_path):
    folders.picture(tmp_path / 'pets/images/a.jpg')
    folders.picture(tmp_path / 'pets/masks/a.jpg')
    with pytest.raises(UserError, match=r'values, such as those of masks/a.jpg: blends.*not as JPEG'):
        tool('pets', '--method', 'deeplabv3plus')


def test_nothing_is_overwritten(tool, tmp_path):
    folders.labelimg(tmp_path / 'pets')
    config, _ = tool('pets', '--method', 'faster_rcnn')
    text = (tmp_path / config).read_text()
    with pytest.raises(UserError, match='pets_faster_rcnn.py is there already: delete it, or give another'):
        tool('pets', '--method', 'faster_rcnn')
    assert (tmp_path / 'pets_faster_rcnn').stat().st_mode & 0o777 == 0o755
    (tmp_path / 'link').symlink_to('nowhere')
    with pytest.raises(UserError, match='link is there already'):
        tool('pets', '--method', 'faster_rcnn', '-o', 'link.py')
    (tmp_path / config).unlink()
    with pytest.raises(UserError, match='pets_faster_rcnn is there already'):
        tool('pets', '--method', 'faster_rcnn')
    with pytest.raises(UserError, match='must end in .py'):
        tool('pets', '--method', 'faster_rcnn', '-o', 'mine')
    assert tool('pets', '--method', 'faster_rcnn', '-o', 'other.py')[0] == 'other.py'
    assert (tmp_path / 'other.py').read_text() == text.replace('pets_faster_rcnn', 'other').replace(
        '--method faster_rcnn', '--method faster_rcnn -o other.py'
    )


def test_backbones(tool, tmp_path):
    folders.labelimg(tmp_path / 'pets')
    with pytest.raises(UserError, match=r'no backbone r2n5; did you mean r2n50\?\nThere are: .*r2n101v1b'):
        tool('pets', '--method', 'faster_rcnn', '--backbone', 'r2n5')
    config, _ = tool('pets', '--method', 'faster_rcnn', '--backbone', 'r50')
    assert load_config(config).model.backbone.type == 'ResNet'
    with pytest.raises(SystemExit):
        tool('pets', '--method', 'yolo')


def test_what_the_tool_and_runs_wrote_is_no_data(tool, tmp_path, monkeypatch):
    folders.cvat_coco(tmp_path / 'pets')
    monkeypatch.chdir(tmp_path / 'pets')
    first, _ = tool('.', '--method', 'faster_rcnn')
    folders.coco(tmp_path / 'pets/work_dirs/run/gt.json', ['0.png'])
    folders.picture(tmp_path / 'pets/predictions/0.png')
    _, printed = tool('.', '--method', 'faster_rcnn', '-o', 'again.py')
    assert 'Problems' not in printed and first == 'pets_faster_rcnn.py'
    assert (tmp_path / 'pets/again/val.json').read_text() == (
        tmp_path / 'pets/pets_faster_rcnn/val.json').read_text()  # fmt: skip


def test_what_is_wrong_is_listed_and_left_out(tool, tmp_path):
    root = tmp_path / 'pets'
    folders.labelimg(root)
    folders.write(root / 'broken.jpg', 'no image')
    folders.voc(root / 'broken.xml')
    folders.voc(root / 'lost.xml')
    folders.write(root / 'half.xml', '<annotation>')
    folders.picture(root / 'unlabeled.jpg')
    folders.picture(root / 'x/same.jpg')
    folders.picture(root / 'y/same.jpg')
    folders.voc(root / 'z/same.xml')
    folders.picture(root / 'flat.jpg')
    folders.voc(root / 'flat.xml', box=(70, 6, 20, 9))
    folders.picture(root / 'nameless.jpg')
    folders.write(root / 'nameless.xml', '<annotation><object><bndbox/></object></annotation>')
    config, printed = tool('pets', '--method', 'faster_rcnn')
    for line in [
        "1 images that can't be read, left out: broken.jpg (it is not an image, it begins with b'no image')",
        '1 labels without an image, left out: lost.xml',
        "1 XML files that can't be read: half.xml",
        '3 images without labels, left out: unlabeled.jpg, x/same.jpg, y/same.jpg',
        '1 labels that may be of several images, left out: z/same.xml',
        '1 boxes without an area, left out: flat.jpg',
        '1 objects without a name or a box, left out: nameless.xml',
    ]:
        assert f'\n  {line}\n' in printed, printed
    _, datasets, _ = built(config)
    assert len(datasets['val'].metainfo['classes']) == 2


def test_one_picture_is_for_both(tool, tmp_path):
    folders.picture(tmp_path / 'pets/a.jpg')
    folders.voc(tmp_path / 'pets/a.xml')
    config, printed = tool('pets', '--method', 'faster_rcnn')
    _, datasets, _ = built(config)
    assert len(datasets['train']) == len(datasets['val']) == 1 and 'too few images to divide' in printed


def test_two_classes_of_one_picture_each(tool, tmp_path):
    for name in ('cat', 'dog'):
        folders.picture(tmp_path / f'pets/{name}/0.jpg')
    _, printed = tool('pets', '--method', 'classify')
    split = 'Splits: train 2, val 2 (the same images in both)'
    assert f'class folders, 2 images of 64 x 48, 2 classes\n{split}' in printed
    assert '\n  too few images to divide' in printed


def test_classes_that_no_validation_image_has(tmp_path):
    folders.yolo_layout(tmp_path)
    folders.yolo(tmp_path / 'labels/val/1.txt', 0)
    printed = read(tmp_path, 'faster_rcnn').describe()
    assert printed.endswith('Problems:\n  1 classes without a validation example: dog')


def test_what_is_said_of_a_division_is_true(tmp_path):
    folders.labelimg(tmp_path)
    data = read(tmp_path, 'faster_rcnn')
    printed = (
        f'Splits: train {len(data.splits["train"])}, val {len(data.splits["val"])} (each image is in val by'
    )
    assert printed in data.describe() and len(data.splits['val']) != 2


def test_classes_of_every_spelling(tool, tmp_path):
    names = ["dog's", 'say "hi"', 'Köter 犬', 'a b', '{x}', 'back\\slash']
    for i, name in enumerate(names * 2):
        folders.picture(tmp_path / f'my \'pets"/{i}.jpg')
        folders.voc(tmp_path / f'my \'pets"/{i}.xml', name)
    config, _ = tool('my \'pets"', '--method', 'faster_rcnn')
    cfg, datasets, _ = built(config)
    assert datasets['train'].metainfo['classes'] == tuple(sorted(names))
    Config.fromstring(cfg.dump(), '.py')  # as a run writes it down


def test_a_division_is_stable(tmp_path):
    """More pictures change nobody's split."""
    folders.labelimg(tmp_path / 'a')
    before = {p.file for p in read(tmp_path / 'a', 'faster_rcnn').splits['val']}
    folders.picture(tmp_path / 'a/more.jpg')
    folders.voc(tmp_path / 'a/more.xml')
    assert before <= {p.file for p in read(tmp_path / 'a', 'faster_rcnn').splits['val']}


def test_annotations_that_need_nothing_are_used_as_they_are(tool, tmp_path):
    folders.coco_layout(tmp_path / 'a')
    cfg = load_config(tool('a', '--method', 'faster_rcnn')[0])
    assert cfg.train_dataloader.dataset.ann_file == 'a/annotations/instances_train2017.json'
    assert cfg.train_dataloader.dataset.data_prefix.img == 'a/train2017/'
    assert not (tmp_path / 'a_faster_rcnn').exists()


@pytest.mark.parametrize('change', [
    dict(drop=('area',)),
    dict(drop=('iscrowd',)),
    dict(drop=('id',)),
    dict(classes=('cat', 'dog', 'cat')),
    dict(first=0),
])  # fmt: skip
def test_annotations_that_lack_something_are_written_anew(change, tool, tmp_path):
    folders.coco_layout(tmp_path / 'a', **change)
    config, printed = tool('a', '--method', 'faster_rcnn')
    _, datasets, _ = built(config)
    assert (
        'Problems' not in printed
        and labels(datasets['train']) <= {0, 1}
        and len(datasets['train'][0]['data_samples'].gt_instances) == 1
    )


def test_coco_objects_without_a_box(tmp_path):
    names = [folders.picture(tmp_path / f'{i}.jpg').name for i in range(4)]
    file = folders.coco(tmp_path / 'a.json', names, outlines=True, drop=('bbox',))
    content = json.loads(file.read_text())
    content['annotations'][0]['segmentation'] = dict(size=[48, 64], counts=[0, 3072])
    content['annotations'][1]['segmentation'] = []
    content['annotations'][2]['bbox'] = [1, 1, 0, 9]
    file.write_text(json.dumps(content))
    data = read(tmp_path, 'faster_rcnn')
    assert '\n  3 objects without bbox, left out: 0.jpg, 1.jpg, 2.jpg' in data.describe()
    (item,) = [item for picture in data.pictures.values() for item in picture.objects]
    assert item['bbox'] == [*folders.BOX]  # of its outline


def test_splits_of_files_count_before_those_of_folders(tmp_path):
    for split, names in dict(train='012', val='34').items():
        files = [folders.picture(tmp_path / f'train2017/{name}.jpg').name for name in names]
        folders.coco(tmp_path / f'{split}.json', files)
    assert [len(pictures) for pictures in read(tmp_path, 'faster_rcnn').splits.values()] == [3, 2]


@pytest.mark.parametrize('label, images', [
    ('train.json', ('a/0.jpg', 'a/train/0.jpg')),  # by its path
    ('labels/0.xml', ('images/0.jpg', 'images/small/0.jpg')),  # the one that is less deep
])  # fmt: skip
def test_which_of_two_images_a_label_is_of(label, images, tmp_path):
    for name in images:
        folders.picture(tmp_path / name)
    folders.coco(tmp_path / label, images[:1]) if label == 'train.json' else folders.voc(tmp_path / label)
    assert [file.as_posix() for file in read(tmp_path, 'faster_rcnn').pictures] == [images[0]]


def test_a_label_of_one_of_two_images_of_its_name(tmp_path):
    for name in ('a.jpg', 'a.png'):
        folders.picture(tmp_path / name)
    text = folders.voc(tmp_path / 'a.xml', filename='C:\\elsewhere\\a.png', difficult=1).read_text()
    size = '<size><width>64 pixels</width><height>48</height></size></annotation>'
    folders.write(tmp_path / 'a.xml', text.replace('</annotation>', size))
    data = read(tmp_path, 'faster_rcnn')
    assert [file.name for file in data.pictures] == ['a.png'] and 'another size' not in data.describe()
    assert [item['iscrowd'] for picture in data.pictures.values() for item in picture.objects] == [1]


def test_categories_in_another_order_do_not_change_classes(tool, tmp_path):
    """MMDetection numbers classes by each JSON's own order."""
    folders.coco_layout(tmp_path / 'a')
    folders.coco(tmp_path / 'a/annotations/instances_val2017.json', ['0.jpg', '1.jpg'], ('dog', 'cat'))
    config, _ = tool('a', '--method', 'faster_rcnn')
    _, datasets, _ = built(config)
    assert [int(item['data_samples'].gt_instances.labels) for item in datasets['val']] == [1, 0]
    assert [int(item['data_samples'].gt_instances.labels) for item in datasets['train']] == [0, 1, 0]


@pytest.mark.parametrize('images, epochs, warmup, iterations', [
    (3, 100, 20, 2000), (100, 80, 400, 2500), (401, 20, 402, 10025), (20_000, 12, 500, 30000),
])  # fmt: skip
def test_how_long_a_run_learns_follows_the_number_of_images(images, epochs, warmup, iterations):
    text = by_epochs(images, 2, 4000, 12, 100)
    assert f'max_epochs={epochs},' in text and f'end={warmup})' in text
    text, count = by_iterations(images, 100, 4, 2000, 30000)
    assert count == iterations and f'max_iters={count},' in text


@pytest.mark.parametrize('sizes, scale', [
    ([(60, 40), (60, 40), (40, 60)], (120, 80)),
    ([(700, 100)], (1333, 800)),
])  # fmt: skip
def test_detectors_enlarge_images_to_twice_their_size_at_most(sizes, scale, tool, tmp_path):
    for split in ('train', 'val'):
        for i, size in enumerate(sizes):
            folders.picture(tmp_path / f'pets/{split}/{i}.jpg', size)
            folders.voc(tmp_path / f'pets/{split}/{i}.xml')
    cfg = load_config(tool('pets', '--method', 'faster_rcnn')[0])
    for split, step in dict(train=2, val=1).items():
        assert cfg[f'{split}_dataloader'].dataset.pipeline[step].scale == scale


def test_detectors_learn_from_images_with_objects(tmp_path):
    folders.yolo_layout(tmp_path / 'pets')
    folders.picture(tmp_path / 'pets/images/train/3.jpg')
    data = read(tmp_path / 'pets', 'faster_rcnn')
    data.splits['train'] *= 50
    config, _ = write(data, 'faster_rcnn', 'r2n50', tmp_path / 'mine.py', 'a test')
    assert 'max_epochs=54,' in config.read_text()  # 4,000 iterations of 2 of 150 images, not of 200


@pytest.mark.parametrize('name, other', [
    ('left_ear', 'right_ear'), ('Left Ear', 'Right Ear'), ('LEFT_EAR', 'RIGHT_EAR'), ('ear_L', 'ear_R'),
    ('l_ear', 'r_ear'), ('ear', ''), ('cleft', ''),
])  # fmt: skip
def test_key_points_of_the_other_side(name, other):
    assert swap(name, [name, other]) == other and (not other or swap(other, [name, other]) == name)


def test_the_split_of_a_path_is_that_of_its_innermost_folder():
    assert split_of(Path('test drive/train2017/0.jpg')) == 'train'


def test_a_validation_set_without_labels_is_left_out(tmp_path):
    folders.yolo_layout(tmp_path)
    for i in range(2):
        (tmp_path / f'labels/val/{i}.txt').unlink()
    data = read(tmp_path, 'faster_rcnn')
    assert '2 val images, none of them labeled, left out' in data.describe() and len(data.splits['val']) == 1


def test_images_of_no_class_are_listed_whatever_their_names(tmp_path):
    folders.class_folders(tmp_path)
    for name in ('a.jpg', 'a_mask.jpg'):
        folders.picture(tmp_path / name)
    assert '2 images without labels, left out: a.jpg, a_mask.jpg' in read(tmp_path, 'classify').describe()


def test_named_values_of_masks_are_classes_though_none_has_them(tmp_path):
    folders.masks_layout(tmp_path)
    folders.write(tmp_path / 'classes.txt', 'wall\nfloor\nroof\ndoor\n')
    assert read(tmp_path, 'deeplabv3plus').classes == ['wall', 'floor', 'roof', 'door']


@pytest.mark.parametrize(
    'value, dark, classes', [(128, True, ['salient']), (129, False, ['salient']), (0, True, [])]
)
def test_how_light_masks_of_salient_objects_are(value, dark, classes, tmp_path):
    for name, each in dict(a=value, b=1).items():
        folders.picture(tmp_path / f'images/{name}.jpg')
        folders.mask(tmp_path / f'masks/{name}.png', [0, each])
    data = read(tmp_path, 'dss')
    assert data.dark == dark and data.pictures[Path('images/a.jpg')].classes == classes


def test_masks_of_one_bit_and_of_sixteen(tmp_path):
    for kind, bits in dict(one=Image.new('1', (64, 48), 1), sixteen=np.ones((48, 64), np.uint16)).items():
        for i in range(2):
            folders.picture(tmp_path / kind / f'images/{i}.jpg')
            folders.mask(tmp_path / kind / f'masks/{i}.png', [0, 1])
        image = bits if kind == 'one' else Image.fromarray(bits)
        image.save(tmp_path / kind / 'masks/0.png')
    folders.mask(tmp_path / 'one/masks/1.png', [0, 255])
    assert read(tmp_path / 'one', 'deeplabv3plus').classes == ['background', 'foreground']
    assert not read(tmp_path / 'sixteen', 'deeplabv3plus').as_they_are


def test_crops_are_no_larger_than_the_images(tool, tmp_path):
    for i in range(4):
        folders.picture(tmp_path / f'pets/images/{i}.jpg', (200, 96))
        folders.mask(tmp_path / f'pets/masks/{i}.png', [0, 1], (200, 96))
    assert load_config(tool('pets', '--method', 'deeplabv3plus')[0]).crop_size == (81, 81)


def test_images_to_classify_are_small_by_their_shorter_sides(tool, tmp_path):
    for i in range(4):
        folders.picture(tmp_path / f'pets/{"ab"[i % 2]}/{i}.jpg', (200, 100))
    cfg = load_config(tool('pets', '--method', 'classify')[0])
    assert cfg.test_dataloader.dataset.pipeline[2].crop_size == 128


def test_masks_named_in_another_case_become_new_ones(tool, tmp_path):
    for i in range(4):
        folders.picture(tmp_path / f'pets/images/A{i}.jpg')
        folders.mask(tmp_path / f'pets/masks/a{i}.png', [0, 1])
    _, datasets, _ = built(tool('pets', '--method', 'deeplabv3plus')[0])
    assert datasets['val'][0]['data_samples'].gt_sem_seg.data.unique().tolist()[:2] == [0, 1]


def test_sizes_follow_the_images(tool, tmp_path):
    for i in range(4):
        folders.picture(tmp_path / f'pets/images/{i}.jpg', (1600, 1200))
        folders.mask(tmp_path / f'pets/masks/{i}.png', [0, 1], (1600, 1200))
    cfg, datasets, _ = built(tool('pets', '--method', 'deeplabv3plus')[0])
    assert datasets['val'][0]['inputs'].shape[1:] == (768, 1024) and cfg.crop_size == (513, 513)
    assert datasets['val'][0]['data_samples'].gt_sem_seg.shape == (1200, 1600)
    assert max(datasets['train'][0]['inputs'].shape[1:]) <= 513
    assert cfg.tta_pipeline[1].type == 'Resize'
    cfg, datasets, _ = built(tool('pets', '--method', 'dss')[0])
    assert datasets['train'][0]['inputs'].shape[1:] == datasets['val'][0]['inputs'].shape[1:] == (300, 400)
    assert datasets['train'][0]['data_samples'].gt_sem_seg.shape == (300, 400)
    assert cfg.optim_wrapper.optimizer.lr == 1e-8


def test_turned_photographs_have_the_size_that_they_are_shown_in(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / 'a').mkdir()
    Image.new('RGB', (64, 48)).save(tmp_path / 'a/a.jpg', exif=exif)
    folders.voc(tmp_path / 'a/a.xml')
    (picture,) = read(tmp_path / 'a', 'faster_rcnn').pictures.values()
    assert picture.size == (48, 64)


@pytest.mark.parametrize('size, said', [
    ((64, 48), 'labels say, width and height swapped: labeled without the turn that their EXIF says?: a.jpg'),
    ((48, 50), 'labels say: a.jpg'),
    ((48, 64), ''),
    ((0, 0), ''),
])  # fmt: skip
@pytest.mark.parametrize('label', ['VOC', 'COCO'])
def test_sizes_that_labels_say(size, said, label, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new('RGB', (64, 48)).save(tmp_path / 'a.jpg', exif=exif)
    if label == 'COCO':
        folders.coco(tmp_path / 'a.json', ['a.jpg'], size=size)
    else:
        text = folders.voc(tmp_path / 'a.xml').read_text()
        sides = f'<size><width>{size[0]}</width><height>{size[1]}</height></size></annotation>'
        folders.write(tmp_path / 'a.xml', text.replace('</annotation>', sides))
    printed = read(tmp_path, 'faster_rcnn').describe()
    assert f'1 images of another size than their {said}' in printed if said else 'another size' not in printed


def test_a_test_set_without_labels_is_left_out(tool, tmp_path):
    folders.yolo_layout(tmp_path / 'pets')
    folders.picture(tmp_path / 'pets/images/test/0.jpg')
    config, printed = tool('pets', '--method', 'faster_rcnn')
    _, datasets, _ = built(config)
    assert '1 test images, none of them labeled, left out: images/test/0.jpg' in printed
    assert len(datasets['test']) == len(datasets['val']) == 2


def test_an_image_whose_name_looks_like_a_masks(tool, tmp_path):
    for i in range(4):
        folders.picture(tmp_path / f'a-seg/pets/images/{i}_seg.jpg')
        folders.yolo(tmp_path / f'a-seg/pets/labels/{i}_seg.txt', i % 2, True)
    config, printed = tool('.', '--method', 'mask_rcnn', '-o', 'my.py')
    _, datasets, _ = built(config)
    assert len(datasets['train']) + len(datasets['val']) == 4
    assert datasets['train'].metainfo['classes'] == ('class_0', 'class_1') and 'left out' not in printed


def test_labels_of_no_image_and_numbers_twice(tool, tmp_path):
    """MMDetection would stop at the one, and count the other wrong."""
    folders.coco_layout(tmp_path / 'a')
    file = tmp_path / 'a/annotations/instances_train2017.json'
    content = json.loads(file.read_text())
    content['annotations'] += [content['annotations'][0], content['annotations'][0] | dict(image_id=99)]
    file.write_text(json.dumps(content))
    config, printed = tool('a', '--method', 'faster_rcnn')
    _, datasets, _ = built(config)
    assert len(datasets['train']) == 3 and (tmp_path / 'a_faster_rcnn/train.json').exists()
    where = 'annotations/instances_train2017.json: 1'
    assert f'\n  2 ids of annotations come again, numbered anew: {where}\n' in printed
    assert f'\n  1 annotations of no image, left out: {where}\n' in printed


BAD_YOLO = dict(
    a='0 0.5 0.5 0.1 0.1\n0 0.5 abc 0.1 0.1\n0 nan 0.5 0.1 0.1\n\n1.5 0.5 0.5 0.1 0.1\n-1 0.5 0.5 1 1\n0 5\n',
    b='0 64 48 20 20\n1 0.5 0.5 0.1 0.1\n',
    c='7 0.5 0.5 0.1 0.1\n',
    d='zero 0.5 0.5 0.1 0.1\n',
)


def test_yolo_lines_that_are_wrong_are_listed(tmp_path):
    folders.roboflow_yolo(tmp_path)
    for name, text in BAD_YOLO.items():
        folders.picture(tmp_path / f'train/images/{name}.jpg')
        folders.write(tmp_path / f'train/labels/{name}.txt', text)
    folders.write(tmp_path / 'train/notes.txt', '0 64 48 20 20\n')  # of no image
    data = read(tmp_path, 'faster_rcnn')
    printed, where = data.describe() + '\n', 'train/labels'
    for line in [
        f"6 label lines that can't be read, left out: {where}/a.txt:2, {where}/a.txt:3, {where}/a.txt:5 ...",
        f'1 boxes in pixels, not in 0...1, left out: {where}/b.txt:1',
        '1 objects of classes beyond the names in data.yaml, obj.names or classes.txt, left out: '
        f'{where}/c.txt:1',
        '2 training images without an object: train/images/c.jpg, train/images/d.jpg',
    ]:
        assert f'\n  {line}\n' in printed, printed
    assert data.classes == ['cat', 'dog'] and 'notes' not in printed
    kept = {path.name: picture.classes for path, picture in data.pictures.items() if path.stem in BAD_YOLO}
    assert kept == {'a.jpg': ['cat'], 'b.jpg': ['dog'], 'c.jpg': [], 'd.jpg': []}


def test_yolo_boxes_with_a_score_or_beyond_the_image_and_outlines_with_a_score(tmp_path):
    folders.picture(tmp_path / 'a.jpg')
    lines = '0 0.5 0.5 0.25 0.5 0.9\n0 -0.1 0.5 0.5 0.5\n0 0.25 0.25 0.5 0.25 0.5 0.5 0.9\n'
    folders.write(tmp_path / 'a.txt', lines)
    (picture,) = read(tmp_path, 'faster_rcnn').pictures.values()
    assert [item['bbox'] for item in picture.objects] == [
        [24, 12, 16, 24],
        [0, 12, 9.6, 24],
        [16, 12, 16, 12],
    ]


def test_key_points_behind_a_yolo_box_are_no_outline(tmp_path):
    folders.yolo_layout(tmp_path)
    before = [picture.objects for picture in read(tmp_path, 'faster_rcnn').pictures.values()]
    for file in tmp_path.glob('labels/*/*.txt'):
        file.write_text(file.read_text().strip() + ' 0.1 0.9 2 0.2 0.8 1\n')
    folders.write(tmp_path / 'data.yaml', 'names: [cat, dog]\nkpt_shape: [2, 3]\n')
    assert before == [picture.objects for picture in read(tmp_path, 'faster_rcnn').pictures.values()]


def test_outlines_in_pixels_are_listed(tmp_path):
    folders.yolo_layout(tmp_path, outline=True)
    folders.write(tmp_path / 'labels/train/0.txt', '0 0.1 0.1 0.9 0.1 30 40\n')
    assert '\n  1 boxes in pixels, not in 0...1, left out: labels/train/0.txt:1' in (
        read(tmp_path, 'mask_rcnn').describe()
    )


def test_yolo_in_pixels_only(tmp_path):
    for name in 'ab':
        folders.picture(tmp_path / f'images/{name}.jpg')
        folders.write(tmp_path / f'labels/{name}.txt', '0 64 48 20 20\n')
    with pytest.raises(UserError) as error:
        read(tmp_path, 'faster_rcnn')
    assert re.search(
        r'nothing to learn from, .*\n  2 boxes in pixels, .*: labels/a.txt:1, labels/b.txt:1',
        str(error.value),
    )


def test_captions_beside_images_are_no_labels(tmp_path):
    folders.labelimg(tmp_path)
    folders.write(tmp_path / 'a 0.txt', '2 cats on a mat\n')
    assert read(tmp_path, 'faster_rcnn').kind == 'VOC XML'


@pytest.mark.parametrize('make, labels', [
    (folders.coco_layout, 'annotations'),
    (folders.yolo_layout, 'labels'),
    (folders.voc_layout, 'Annotations'),
])  # fmt: skip
def test_labels_whose_images_are_elsewhere(make, labels, tmp_path):
    make(tmp_path)
    with pytest.raises(
        UserError, match="aren't in this folder: give the folder above that has both\n  [56] "
    ):
        read(tmp_path / labels, 'faster_rcnn')


def test_no_image_is_left(tmp_path):
    folders.picture(tmp_path / 'images/a.jpg')
    folders.mask(tmp_path / 'masks/a.png', [0, 1], (10, 10))
    with pytest.raises(UserError, match='no image is left\n  1 masks of another size than their image'):
        read(tmp_path, 'dss')


def test_a_file_is_listed_once(tmp_path):
    folders.yolo_layout(tmp_path, outline=True)
    folders.write(tmp_path / 'images/train/0.jpg', 'no image')
    folders.write(tmp_path / 'labels/train/1.txt', '0 0.5 0.5 0.1 0.1\n' * 2)
    printed = read(tmp_path, 'mask_rcnn').describe() + '\n'
    assert "\n  1 images that can't be read, left out: images/train/0.jpg (it is not an image, " in printed
    assert '\n  2 objects without an outline, left out: labels/train/1.txt\n' in printed


@pytest.mark.parametrize('make, empty', [
    (folders.class_folders, ['bird', 'fish/.hidden']),
    (folders.class_splits, ['train/bird', 'val/fish/deep']),
])  # fmt: skip
def test_class_folders_without_images(make, empty, tmp_path):
    make(tmp_path)
    for name in empty:
        (tmp_path / name).mkdir(parents=True)
    data = read(tmp_path, 'classify')
    first, second = (name.removesuffix('/.hidden').removesuffix('/deep') for name in empty)
    assert f'\n  2 folders without images, of no class: {first}, {second}' in data.describe()
    assert len(data.classes) == 2


def test_one_class_folder_and_an_empty_one(tmp_path):
    folders.picture(tmp_path / 'cat/a.jpg')
    (tmp_path / 'dog').mkdir()
    with pytest.raises(
        UserError, match='nothing for classify(?s:.*)folders without images, of no class: dog'
    ):
        read(tmp_path, 'classify')
