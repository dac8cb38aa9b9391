"""The demo data set: what is written is COCO and VOC, and the real dataset classes read it."""

import json
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import make_data
import numpy as np
import pytest
from figures import FIGURES, person
from make_data import COUNTS, DIGIT_SIZE, PERSON_DETECTIONS, VOC_CLASSES, make_demo_data
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.mask import iou
from scenes import draw_scene
from shapes import KEYPOINTS

from res2net_mm.errors import UserError

TOOL = Path(make_data.__file__)
TINY = dict.fromkeys(COUNTS, 3) | {'coco/train': 42, 'coco/val': 8, 'digits/train': 23}
TINIEST = dict.fromkeys(COUNTS, 1)


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp('data') / 'demo'
    _, written = make_demo_data(root, TINY)
    assert written
    return root


def contents(root):
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob('*') if p.is_file()}


@pytest.fixture(scope='module', params=['train', 'val'])
def coco(request, root):
    split = request.param
    api = {
        kind: COCO(str(root / f'coco/annotations/{kind}_{split}2017.json'))
        for kind in ('instances', 'person_keypoints')
    }
    return root / f'coco/{split}2017', api['instances'], api['person_keypoints']


# ---- drawing -------------------------------------------------------------------------------------


def test_scene_depends_on_its_seed_alone():
    first, again, other = draw_scene((0, 1, 2)), draw_scene((0, 1, 2)), draw_scene((0, 1, 3))
    assert np.array_equal(first[0], again[0])
    assert all(np.array_equal(a.mask, b.mask) for a, b in zip(first[1], again[1], strict=True))
    assert first[0].shape != other[0].shape or (first[0] != other[0]).any()


def test_visible_parts_do_not_overlap():
    for seed in range(6):
        _, instances = draw_scene((seed,), crowd=seed == 0)
        assert np.sum([i.mask for i in instances], axis=0).max(initial=0) <= 1


def test_no_instance_is_a_sliver():
    areas = [np.count_nonzero(i.mask) for seed in range(12) for i in draw_scene((seed,))[1]]
    assert min(areas) > 150


def test_empty_scene_is_a_picture_without_instances():
    image, instances = draw_scene((0,), empty=True)
    assert instances == [] and image.std() > 5


@pytest.mark.parametrize('category', FIGURES)
def test_figure_is_as_large_as_its_area_says(category):
    figure = FIGURES[category](np.random.default_rng(0))
    sprite = figure.render(np.random.default_rng(0), 150)
    assert np.count_nonzero(sprite.alpha >= 0.5) == pytest.approx(figure.area() * 150**2, rel=0.08)


def test_person_facing_the_viewer_has_the_left_on_the_right():
    seen = 0
    for seed in range(40):
        figure = person(np.random.default_rng(seed))
        sprite = figure.render(np.random.default_rng(0), 200)
        points = dict(zip(KEYPOINTS, sprite.keypoints, strict=True))
        if points['nose'][2] == 2 and abs(points['left_shoulder'] - points['right_shoulder'])[0] > 20:
            seen += 1
            for part in ('eye', 'ear', 'shoulder', 'hip'):
                assert points[f'left_{part}'][0] > points[f'right_{part}'][0]
            assert points['nose'][1] < points['left_hip'][1] < points['left_ankle'][1]
    assert seen > 10


def test_person_from_behind_hides_the_face():
    for seed in range(60):
        sprite = person(np.random.default_rng(seed)).render(np.random.default_rng(0), 200)
        points = dict(zip(KEYPOINTS, sprite.keypoints, strict=True))
        if points['left_shoulder'][0] < points['right_shoulder'][0] - 20:
            assert points['nose'][2] == points['left_eye'][2] == points['right_eye'][2] == 1
            return
    pytest.fail('nobody was seen from behind')


# ---- formats -------------------------------------------------------------------------------------


def test_polygons_follow_the_edges_of_the_pixels():
    mask = np.zeros((20, 30), bool)
    mask[4:10, 5:17] = True
    (outline,) = make_data.polygons(mask)
    xy = np.reshape(outline, (-1, 2))
    assert xy.min(0) == pytest.approx((5, 4), abs=0.2) and xy.max(0) == pytest.approx((17, 10), abs=0.2)


def test_rle_counts_zeros_then_ones_down_the_columns():
    assert make_data.rle(np.array([[0, 1], [1, 1]], bool)) == {'counts': [1, 3], 'size': [2, 2]}
    assert make_data.rle(np.array([[1, 0], [0, 0]], bool)) == {'counts': [0, 1, 3], 'size': [2, 2]}


def test_voc_palette_is_the_devkit_s():
    colors = np.reshape(make_data.voc_palette(), (256, 3)).tolist()
    assert colors[:4] == [[0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0]]
    assert colors[15] == [192, 128, 128] and colors[255] == [224, 224, 192]


# ---- COCO ----------------------------------------------------------------------------------------


def test_coco_ids_and_categories(coco):
    _, instances, people = coco
    for api in (instances, people):
        assert set(api.dataset) == {'info', 'licenses', 'images', 'annotations', 'categories'}
        ids = [a['id'] for a in api.dataset['annotations']]
        assert len(set(ids)) == len(ids) and min(ids) > 0
        assert {a['image_id'] for a in api.dataset['annotations']} <= set(api.imgs)
    categories = instances.dataset['categories']
    assert len(categories) == 80 and categories[-1] == {'id': 90, 'name': 'toothbrush'}
    used = {instances.cats[a['category_id']]['name'] for a in instances.dataset['annotations']}
    assert used <= set(FIGURES) and 'person' in used
    (category,) = people.dataset['categories']
    assert category['name'] == 'person' and category['keypoints'] == list(KEYPOINTS)


def test_coco_images_are_there(coco):
    folder, instances, people = coco
    assert instances.dataset['images'] == people.dataset['images']
    names = {image['file_name'] for image in instances.dataset['images']}
    assert names == {path.name for path in folder.iterdir()}
    assert all(re.fullmatch(r'\d{12}\.jpg', name) for name in names)
    for image in instances.dataset['images']:
        with Image.open(folder / image['file_name']) as picture:
            assert picture.size == (image['width'], image['height']) and picture.format == 'JPEG'


def test_coco_mask_area_and_box_agree(coco):
    _, instances, _ = coco
    for annotation in instances.dataset['annotations']:
        mask = instances.annToMask(annotation)
        assert mask.sum() == pytest.approx(annotation['area'], rel=0.05, abs=8)
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        x, y, w, h = annotation['bbox']
        assert (x, y) == pytest.approx((columns[0], rows[0]), abs=1)
        assert (x + w, y + h) == pytest.approx((columns[-1] + 1, rows[-1] + 1), abs=1)
        if annotation['iscrowd']:
            assert annotation['segmentation']['size'] == list(mask.shape)
            assert sum(annotation['segmentation']['counts']) == mask.size
        else:
            assert all(len(p) >= 6 and len(p) % 2 == 0 for p in annotation['segmentation'])


def test_coco_has_crowds_sizes_and_an_image_without_objects(root):
    api = COCO(str(root / 'coco/annotations/instances_train2017.json'))
    annotations = api.dataset['annotations']
    assert any(a['iscrowd'] for a in annotations)
    areas = np.array([a['area'] for a in annotations if not a['iscrowd']])
    sizes = np.digitize(areas, [32**2, 96**2])
    assert (np.bincount(sizes, minlength=3) / len(sizes) > 0.12).all()
    assert len(set(api.imgs) - {a['image_id'] for a in annotations}) == 1


def test_keypoints_lie_in_the_image_and_visible_ones_on_the_person(coco):
    _, instances, people = coco
    values = set()
    for annotation in people.dataset['annotations']:
        points = np.reshape(annotation['keypoints'], (17, 3))
        image = people.imgs[annotation['image_id']]
        values |= set(points[:, 2].tolist())
        assert annotation['num_keypoints'] == np.count_nonzero(points[:, 2])
        assert (points[points[:, 2] == 0] == 0).all()
        assert (points >= 0).all() and (points[:, :2] < (image['width'], image['height'])).all()
        mask = instances.annToMask(instances.anns[annotation['id']])
        on = [mask[y, x] for x, y, v in points if v == 2]
        assert np.mean(on or [1]) > 0.9  # a polygon may cut off a pixel
        if annotation['iscrowd'] or annotation['area'] < 900:
            assert annotation['num_keypoints'] == 0
    assert values == {0, 1, 2}


def test_train_and_val_differ(root):
    pictures = [
        {p.read_bytes() for p in (root / f'coco/{split}2017').iterdir()} for split in ('train', 'val')
    ]
    assert not pictures[0] & pictures[1]
    names = [{p.name for p in (root / f'coco/{split}2017').iterdir()} for split in ('train', 'val')]
    assert not names[0] & names[1]


# ---- VOC -----------------------------------------------------------------------------------------


@pytest.mark.parametrize('year', ['VOC2007', 'VOC2012'])
def test_voc_xml_and_masks_agree(root, year):
    folder = root / 'VOCdevkit' / year
    difficult = 0
    for path in sorted((folder / 'Annotations').iterdir()):
        tree = ElementTree.parse(path).getroot()
        assert tree.findtext('folder') == year and tree.findtext('filename') == f'{path.stem}.jpg'
        width, height = (int(tree.findtext(f'size/{side}')) for side in ('width', 'height'))
        with Image.open(folder / 'JPEGImages' / f'{path.stem}.jpg') as picture:
            assert picture.size == (width, height)
        named, boxes = [], []
        for thing in tree.findall('object'):
            named.append(thing.findtext('name'))
            difficult += int(thing.findtext('difficult'))
            x0, y0, x1, y1 = (int(thing.findtext(f'bndbox/{k}')) for k in ('xmin', 'ymin', 'xmax', 'ymax'))
            assert 1 <= x0 < x1 <= width and 1 <= y0 < y1 <= height
            boxes.append((x0, y0, x1, y1))
        assert set(named) <= set(VOC_CLASSES)
        if tree.findtext('segmented') == '0':
            assert not (folder / 'SegmentationClass' / f'{path.stem}.png').exists()
            continue
        png = {}
        for kind in ('SegmentationClass', 'SegmentationObject'):
            with Image.open(folder / kind / f'{path.stem}.png') as image:
                assert image.mode == 'P' and image.getpalette()[:6] == [0, 0, 0, 128, 0, 0]
                png[kind] = np.asarray(image)
        assert set(np.unique(png['SegmentationClass'])) <= {*range(21), 255}
        assert (png['SegmentationClass'] == 255).any()
        for number, (name, (x0, y0, x1, y1)) in enumerate(zip(named, boxes, strict=True), 1):
            y, x = np.nonzero(png['SegmentationObject'] == number)
            assert len(y) and set(png['SegmentationClass'][y, x]) == {VOC_CLASSES.index(name)}
            # The mask ends where the box does, but for the void border.
            assert (x.min() + 1 - x0, y.min() + 1 - y0) >= (0, 0) and x.max() < x1 and y.max() < y1
        assert png['SegmentationObject'][png['SegmentationObject'] < 255].max() == len(named)
    assert difficult


def test_voc_lists(root):
    def names(year, kind, split):
        path = root / 'VOCdevkit' / year / 'ImageSets' / kind / f'{split}.txt'
        return [line.split()[0] for line in path.read_text().splitlines()]

    for kind in ('Main', 'Segmentation'):
        splits = {s: names('VOC2007', kind, s) for s in ('train', 'val', 'trainval', 'test')}
        assert splits['trainval'] == splits['train'] + splits['val']
        assert not set(splits['trainval']) & set(splits['test'])
    seg = {s: names('VOC2012', 'Segmentation', s) for s in ('train', 'val', 'trainval', 'aug', 'trainaug')}
    assert seg['trainaug'] == seg['train'] + seg['aug'] and not set(seg['aug']) & set(seg['val'])
    aug = root / 'VOCdevkit/VOC2012/SegmentationClassAug'
    for name in seg['trainaug'] + seg['val']:
        with Image.open(aug / f'{name}.png') as image:
            assert image.mode == 'L' and set(np.unique(np.asarray(image))) <= set(range(21))


def test_voc_lists_of_a_class_say_present_difficult_or_absent(root):
    folder = root / 'VOCdevkit/VOC2007'
    for label in ('person', 'cow'):
        for line in (folder / f'ImageSets/Main/{label}_trainval.txt').read_text().splitlines():
            name, mark = line.split()
            tree = ElementTree.parse(folder / f'Annotations/{name}.xml').getroot()
            marks = [
                thing.findtext('difficult')
                for thing in tree.findall('object')
                if thing.findtext('name') == label
            ]
            assert int(mark) == (-1 if not marks else int('0' in marks))


# ---- the real readers ----------------------------------------------------------------------------


def test_mmdet_reads_coco(root):
    from mmdet.datasets import CocoDataset

    dataset = CocoDataset(
        data_root=str(root / 'coco'),
        pipeline=[],
        ann_file='annotations/instances_train2017.json',
        data_prefix={'img': 'train2017/'},
        filter_cfg={'filter_empty_gt': True, 'min_size': 32},
    )
    assert len(dataset) == TINY['coco/train'] - 1
    info = dataset.get_data_info(0)
    assert Path(info['img_path']).is_file() and info['instances'][0]['mask']
    labels = {
        dataset.metainfo['classes'][i['bbox_label']]
        for n in range(len(dataset))
        for i in dataset.get_data_info(n)['instances']
    }
    assert labels <= set(FIGURES) and 'person' in labels


@pytest.mark.parametrize(
    'split, masks',
    [
        ('train', 'SegmentationClass'),
        ('val', 'SegmentationClass'),
        ('aug', 'SegmentationClassAug'),
        ('trainaug', 'SegmentationClassAug'),
    ],
)
def test_mmseg_reads_voc(root, split, masks):
    from mmseg.datasets import PascalVOCDataset

    dataset = PascalVOCDataset(
        data_root=str(root / 'VOCdevkit/VOC2012'),
        ann_file=f'ImageSets/Segmentation/{split}.txt',
        data_prefix={'img_path': 'JPEGImages', 'seg_map_path': masks},
        pipeline=[{'type': 'LoadImageFromFile'}, {'type': 'mmseg.LoadAnnotations'}],
    )
    assert len(dataset) == sum(TINY[f'VOC2012/{s}'] for s in ('train', 'val', 'aug') if s in split)
    sample = dataset[0]
    assert sample['gt_seg_map'].shape == sample['img'].shape[:2]
    assert set(np.unique(sample['gt_seg_map'])) <= {*range(21), 255}


def test_person_detections_are_near_the_persons_of_val(root):
    detections = json.loads((root / 'coco' / PERSON_DETECTIONS).read_text())
    people = COCO(str(root / 'coco/annotations/person_keypoints_val2017.json'))
    boxes = [a for a in people.dataset['annotations'] if not a['iscrowd']]
    assert len(detections) == len(boxes) + TINY['coco/val']
    sure = [d for d in detections if d['score'] >= 0.6]
    assert len(sure) == len(boxes)
    for box, found in zip(boxes, sure):
        assert found['image_id'] == box['image_id'] and found['category_id'] == 1
        assert 0.5 < float(iou([found['bbox']], [box['bbox']], [0])[0, 0]) < 1


def test_thing_maps_hold_the_objects_classes(root):
    api = COCO(str(root / 'coco/annotations/instances_train2017.json'))
    for image in api.dataset['images']:
        labels = np.array(Image.open(root / 'coco/stuffthingmaps/train2017' / f'{image["id"]:012d}.png'))
        assert labels.shape == (image['height'], image['width'])
        categories = {a['category_id'] for a in api.imgToAnns[image['id']]}
        assert set(np.unique(labels).tolist()) - {255} == {c - 1 for c in categories}


# ---- digits --------------------------------------------------------------------------------------


@pytest.fixture(scope='module')
def digits(tmp_path_factory):
    """All of them, by split and class."""
    root = tmp_path_factory.mktemp('digits')
    make_data.write_digits(root, COUNTS['digits/train'], COUNTS['digits/test'])
    return {
        split: {folder.name: sorted(folder.iterdir()) for folder in sorted((root / split).iterdir())}
        for split in ('train', 'test')
    }


def test_digits_are_split_by_class_and_none_is_in_both(digits):
    names = {
        split: [path.name for paths in classes.values() for path in paths]
        for split, classes in digits.items()
    }
    assert all(list(classes) == list('0123456789') for classes in digits.values())
    assert {len(paths) for paths in digits['train'].values()} == {50} and len(names['test']) == 1297
    assert len({*names['train'], *names['test']}) == 1797  # all that scikit-learn has
    for label in digits['train']:  # in its order, so that hands aren't in both
        assert digits['train'][label][-1].name < digits['test'][label][0].name


def test_digits_are_scikit_learns_enlarged(digits):
    from sklearn.datasets import load_digits

    expected = load_digits()
    for split in digits:
        for label, paths in digits[split].items():
            path = paths[-1]
            with Image.open(path) as image:
                assert image.size == (DIGIT_SIZE, DIGIT_SIZE) == (32, 32) and image.mode == 'L'
                pixels = np.asarray(image, float)
            assert expected.target[int(path.stem)] == int(label)
            blocks = pixels.reshape(8, 4, 8, 4)[:, 1:3, :, 1:3].mean(
                (1, 3)
            )  # the middles of the 8 x 8 pixels
            original = expected.images[int(path.stem)] * 255 / 16
            assert np.corrcoef(blocks.ravel(), original.ravel())[0, 1] > 0.98
            assert abs(blocks - original).mean() < 20


def test_mmpretrain_reads_digits(root):
    from mmpretrain.datasets import CustomDataset

    for split, labels in (('train', [0] * 3 + [1] * 3 + [2] * 3), ('test', None)):
        dataset = CustomDataset(data_root=str(root / 'digits'), data_prefix=split, pipeline=[])
        assert dataset.CLASSES == tuple('0123456789') and len(dataset) == TINY[f'digits/{split}']
        if labels:  # 23: three of the first three classes, two of the others
            assert dataset.get_gt_labels().tolist() == labels + [n for n in range(3, 10) for _ in range(2)]


def test_without_scikit_learn_nothing_is_drawn(tmp_path, monkeypatch, root):
    monkeypatch.setattr('make_data.find_spec', lambda name: None)
    with pytest.raises(UserError, match='^[^\\n]*pip install scikit-learn$'):
        make_demo_data(tmp_path / 'demo', TINIEST)
    assert list(tmp_path.iterdir()) == []
    assert not make_demo_data(root, TINY)[1]  # what is complete needs it no more


# ---- writing -------------------------------------------------------------------------------------


def test_same_bytes_again(root, tmp_path):
    make_demo_data(tmp_path / 'again', TINY)
    assert contents(tmp_path / 'again') == contents(root)


def test_complete_data_are_left_alone(root):
    before = {path: path.stat().st_mtime_ns for path in root.rglob('*')}
    manifest, written = make_demo_data(root, TINY)
    assert not written and before == {path: path.stat().st_mtime_ns for path in root.rglob('*')}
    assert manifest['counts'] == TINY


def test_nothing_but_the_data_is_left_behind(root):
    assert [path.name for path in root.parent.iterdir()] == [root.name]


def test_empty_folder_is_used(tmp_path):
    (tmp_path / 'demo').mkdir()
    assert make_demo_data(tmp_path / 'demo', TINIEST)[1]


def test_foreign_folder_is_not_touched(tmp_path):
    (tmp_path / 'notes.txt').write_text('mine')
    with pytest.raises(UserError, match='no demo data set'):
        make_demo_data(tmp_path, TINIEST)
    with pytest.raises(UserError, match='no demo data set'):
        make_demo_data(tmp_path / 'notes.txt', TINIEST)
    assert contents(tmp_path) == {'notes.txt': b'mine'}


def test_other_versions_and_incomplete_data_are_not_taken_for_whole(tmp_path):
    make_demo_data(tmp_path / 'demo', TINIEST)
    with pytest.raises(UserError, match='another version'):
        make_demo_data(tmp_path / 'demo', TINIEST, seed=1)
    next((tmp_path / 'demo/coco/train2017').iterdir()).unlink()
    with pytest.raises(UserError, match='lacks some'):
        make_demo_data(tmp_path / 'demo', TINIEST)


@pytest.mark.parametrize('problem', [KeyboardInterrupt, OSError(28, 'No space left on device')])
def test_interrupted_writing_leaves_nothing(tmp_path, monkeypatch, problem):
    def fail(*_):
        raise problem

    monkeypatch.setattr('make_data.write_coco_annotations', fail)
    with pytest.raises((KeyboardInterrupt, UserError)):
        make_demo_data(tmp_path / 'demo', TINIEST)
    assert list(tmp_path.iterdir()) == []


def test_tool_reports_errors_in_one_line(tmp_path):
    (tmp_path / 'file').write_text('')
    for root, message in ((tmp_path, 'is no demo data set'), (tmp_path / 'file/demo', "can't write")):
        run = subprocess.run([sys.executable, str(TOOL), str(root)], capture_output=True, text=True)
        assert run.returncode == 2 and run.stdout == ''
        assert message in run.stderr and len(run.stderr.splitlines()) == 1


def test_tool_recognizes_a_complete_data_set(tmp_path):
    manifest, _ = make_demo_data(tmp_path / 'demo', TINIEST)
    path = tmp_path / 'demo/demo.json'
    path.write_text(json.dumps(manifest | {'counts': COUNTS}))
    run = subprocess.run([sys.executable, str(TOOL), str(tmp_path / 'demo')], capture_output=True, text=True)
    assert run.returncode == 0 and 'left alone' in run.stdout
