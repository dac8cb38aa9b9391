"""Preparing data sets: small archives with the real formats and names, and what can be wrong with them."""

import dataclasses
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from archives import encoded, files, picture, run, tar, times
from dataset_converters import layouts, prepare
from PIL import Image
from scipy.io import savemat

from res2net_mm.errors import UserError

ROOT = Path(__file__).parents[2]
XML = (
    '<annotation><filename>{0}.jpg</filename><size><width>24</width><height>16</height><depth>3</depth></size>'
    '<object><name>cow</name><difficult>0</difficult><bndbox><xmin>3</xmin><ymin>3</ymin><xmax>20</xmax>'
    '<ymax>12</ymax></bndbox></object></annotation>'
)
COCO_NAMES = {
    'train2017': [f'{n:012d}' for n in range(9, 29)],
    'val2017': [f'{n:012d}' for n in (139, 285, 632)],
}
VOC07_NAMES = {'trainval': ['000005', '000007', '000009', '000012'], 'test': ['000001', '000002', '000003']}
VOC12_NAMES = {'train': ['2007_000032', '2007_000039', '2007_000063'], 'val': ['2007_000033', '2007_000042']}
# SBD's lists name images of VOC's train and val, too.
SBD_NAMES = {
    'train': ['2008_000002', '2008_000003', '2007_000032', '2007_000033'],
    'val': ['2008_000007', '2010_000001', '2007_000039'],
}
AUG = ['2008_000002', '2008_000003', '2008_000007', '2010_000001']
COUNTS = {
    'annotations/instances_train2017.json': 20,
    'annotations/person_keypoints_train2017.json': 20,
    'annotations/instances_val2017.json': 3,
    'annotations/person_keypoints_val2017.json': 3,
    'VOC2007/ImageSets/Main/trainval.txt': 4,
    'VOC2007/ImageSets/Main/test.txt': 3,
    'VOC2007/ImageSets/Segmentation/trainval.txt': 2,
    'VOC2007/ImageSets/Segmentation/test.txt': 1,
    'VOC2012/ImageSets/Segmentation/train.txt': 3,
    'VOC2012/ImageSets/Segmentation/val.txt': 2,
    'VOC2012/ImageSets/Segmentation/trainval.txt': 5,
    'VOC2012/ImageSets/Segmentation/aug.txt': 4,
    'VOC2012/ImageSets/Segmentation/trainaug.txt': 7,
}
PERSONS = 'COCO_val2017_detections_AP_H_56_person.json'
FIRST = 'train2017/000000000009.jpg'


def small(layout):
    splits = (dataclasses.replace(split, count=COUNTS.get(split.list)) for split in layout.splits)
    return dataclasses.replace(layout, splits=tuple(splits))


COCO, VOC07, VOC12AUG = map(small, (layouts.COCO, layouts.VOC07, layouts.VOC12AUG))


# ---- archives ------------------------------------------------------------------------------------


def mask(seed):
    labels = np.random.default_rng(seed).integers(0, 21, (16, 24)).astype(np.uint8)
    labels[0] = 255
    return labels


def annotations(names, **extra):
    images = [dict(id=int(n), file_name=f'{n}.jpg', width=24, height=16) for n in names]
    boxes = [
        dict(id=i, image_id=int(n), category_id=1, bbox=[2, 2, 12, 9], area=108, iscrowd=0, **extra)
        for i, n in enumerate(names, 1)
    ]
    category = dict(id=1, name='person', supercategory='person', keypoints=['nose'], skeleton=[])
    return json.dumps(dict(images=images, annotations=boxes, categories=[category]))


def boxes(names):
    return json.dumps([dict(category_id=1, image_id=int(n), bbox=[1, 1, 9, 9], score=0.7) for n in names])


def coco_files():
    files = {part: {f'{part}/{n}.jpg': picture(int(n)) for n in names} for part, names in COCO_NAMES.items()}
    files['annotations_trainval2017'] = {
        f'annotations/{kind}_{part}.json': annotations(names)
        for part, names in COCO_NAMES.items()
        for kind in ('instances', 'person_keypoints', 'captions')
    }
    files['stuffthingmaps_trainval2017'] = {
        f'{part}/{n}.png': encoded('PNG', mask(int(n))) for part, names in COCO_NAMES.items() for n in names
    }
    return files


def voc_files(year, names, lists, masks):
    base = f'VOCdevkit/VOC{year}'
    files = {
        f'{base}/ImageSets/{name}.txt': ''.join(f'{n}\n' for n in members) for name, members in lists.items()
    }
    for n in names:
        files[f'{base}/JPEGImages/{n}.jpg'] = picture(int(n[-4:]))
        files[f'{base}/Annotations/{n}.xml'] = XML.format(n)
    for n in masks:
        files[f'{base}/SegmentationClass/{n}.png'] = encoded('PNG', mask(int(n[-4:])), [*range(256)] * 3)
    return files


def voc07_files():
    return {
        f'VOC{part}_06-Nov-2007': voc_files(
            2007, names, {f'Main/{part}': names, f'Segmentation/{part}': names[:k]}, names[:k]
        )
        for (part, names), k in zip(VOC07_NAMES.items(), (2, 1), strict=True)
    }


def voc12_files():
    own = VOC12_NAMES['train'] + VOC12_NAMES['val']
    lists = {f'Segmentation/{part}': names for part, names in (*VOC12_NAMES.items(), ('trainval', own))}
    return {'VOCtrainval_11-May-2012': voc_files(2012, own + AUG, lists, own)}


def mat(seed):
    file, labels = io.BytesIO(), mask(seed)
    labels[0] = 0
    fields = [('Boundaries', object), ('Segmentation', object), ('CategoriesPresent', object)]
    struct = np.zeros((1, 1), fields)
    edges = np.empty((20, 1), object)
    edges[:] = [[np.zeros((16, 24), np.uint8)]] * 20
    struct[0, 0] = edges, labels, np.unique(labels)[1:, None].astype(np.uint8)
    savemat(file, {'GTcls': struct}, do_compression=True)
    return file.getvalue()


def sbd_files():
    base = 'benchmark_RELEASE/dataset'
    files = {f'{base}/{part}.txt': '\n'.join(names) for part, names in SBD_NAMES.items()}
    names = SBD_NAMES['train'] + SBD_NAMES['val']
    files |= {f'{base}/cls/{n}.mat': mat(100 + int(n[-4:])) for n in names}
    return files | {f'{base}/img/{n}.jpg': b'not wanted' for n in names}


def write_zip(path, files):
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)


def write_archive(path, files):
    if path.suffix == '.zip':
        write_zip(path, files)
    else:
        path.write_bytes(tar(files, 'w:gz' if path.suffix == '.tgz' else 'w'))


@pytest.fixture(scope='session')
def published(tmp_path_factory):
    """The archives of all data sets, and what is in them."""
    folder = tmp_path_factory.mktemp('published')
    contents = {f'{name}.zip': files for name, files in coco_files().items()}
    contents |= {f'{name}.tar': files for name, files in (voc07_files() | voc12_files()).items()}
    contents['benchmark.tgz'] = sbd_files()
    for name, members in contents.items():
        write_archive(folder / name, members)
    (folder / PERSONS).write_text(boxes(COCO_NAMES['val2017'] * 2))
    return folder, contents


@pytest.fixture
def archives(published, tmp_path):
    """A folder of links to the archives, in which each can be replaced."""
    folder = tmp_path / 'archives'
    folder.mkdir()
    for path in published[0].iterdir():
        (folder / path.name).symlink_to(path)
    return folder


@pytest.fixture
def replace(archives, published):
    """Replace an archive by one with other content, or a file by one with other bytes."""

    def replace(name, content):
        (archives / name).unlink()
        if isinstance(content, bytes):
            (archives / name).write_bytes(content)
        else:
            changed = {k: v for k, v in (published[1][name] | content).items() if v is not None}
            write_archive(archives / name, changed)

    return replace


@pytest.fixture
def root(tmp_path):
    return tmp_path / 'data'


# ---- whole data sets -----------------------------------------------------------------------------


@pytest.mark.parametrize('workers', [1, 2])
def test_coco_from_archives_and_once_more(root, archives, workers):
    assert run(COCO, root, archives, workers) == (0, '')
    assert len(files(root / 'train2017')) == 20 and len(files(root / 'stuffthingmaps/val2017')) == 3
    assert (root / FIRST).read_bytes() == picture(9)
    before = times(root)
    assert run(COCO, root, archives) == run(COCO, root) == (0, '')
    assert times(root) == before


def test_voc07_merges_trainval_and_test(root, archives, published):
    assert run(VOC07, root, archives) == (0, '')
    contents = published[1]
    wanted = {*contents['VOCtrainval_06-Nov-2007.tar'], *contents['VOCtest_06-Nov-2007.tar']}
    assert {f'VOCdevkit/{name}' for name in files(root)} == wanted
    before = times(root)
    assert run(VOC07, root, archives) == (0, '')
    assert times(root) == before


@pytest.mark.parametrize('workers', [1, 2])
def test_voc12aug_converts_what_voc_did_not_annotate(root, archives, workers):
    assert run(VOC12AUG, root, archives, workers) == (0, '')
    voc = root / 'VOC2012'
    names = VOC12_NAMES['train'] + VOC12_NAMES['val']
    assert files(voc / 'SegmentationClassAug') == {f'{name}.png' for name in names + AUG}
    for name in names + AUG:
        with Image.open(voc / f'SegmentationClassAug/{name}.png') as image:
            assert image.mode == 'L'
            labels = np.asarray(image)
        own = name in names
        assert (labels[0] == (255 if own else 0)).all()
        assert np.array_equal(labels[1:], mask(int(name[-4:]) + (0 if own else 100))[1:])
    lists = voc / 'ImageSets/Segmentation'
    assert (lists / 'aug.txt').read_text().split() == AUG
    assert (lists / 'trainaug.txt').read_text().split() == sorted(VOC12_NAMES['train'] + AUG)
    assert not (root / 'benchmark_RELEASE/dataset/img').exists()
    before = times(root)
    assert run(VOC12AUG, root, archives) == run(VOC12AUG, root) == (0, '')
    assert times(root) == before


def test_what_was_unpacked_by_hand_is_converted(root, archives):
    for name in ('VOCtrainval_11-May-2012.tar', 'benchmark.tgz'):
        with tarfile.open(archives / name) as archive:
            archive.extractall(root, filter='data')
    (root / 'VOCdevkit/VOC2012').rename(root / 'VOC2012')
    assert run(VOC12AUG, root) == (0, '')


@pytest.fixture
def salient(tmp_path):
    """The archives of salient objects, four images in MSRA-B and two in each other set."""
    folder = tmp_path / 'archives'
    (folder / 'MSRA-B').mkdir(parents=True)

    def images(pattern, count=2):
        return {pattern.format(i): picture(i) for i in range(count)}

    def masks(pattern, count=2):
        return {pattern.format(i): encoded('PNG', mask(i)) for i in range(count)}

    for name, members in {
        'MSRA-B.zip': images('MSRA-B/{}.jpg', 4) | masks('MSRA-B/{}.png', 4),
        'images.zip': images('images/{}.jpg') | {'__MACOSX/images/._0.jpg': b'not wanted'},
        'ground_truth_mask.zip': masks('ground_truth_mask/{}.png'),
        'salObj.zip': images('datasets/imgs/pascal/{}.jpg')
        | masks('datasets/masks/pascal/{}.png')
        | {'datasets/fixations/pascalFix.mat': b'not wanted'},
        'DUT-OMRON-image.zip': images('DUT-OMRON-image/{}.jpg'),
        'DUT-OMRON-gt-pixelwise.zip.zip': masks('pixelwiseGT-new-PNG/{}.png'),
    }.items():
        write_zip(folder / name, members)
    (folder / 'HKU-IS.rar').write_bytes(b'Rar!')
    (folder / 'MSRA-B/train.txt').write_text('0.jpg\n1.jpg\n')
    (folder / 'MSRA-B/val.txt').write_text('2.png\n')
    counts = {'MSRA-B/train.txt': 2, 'MSRA-B/val.txt': 1, 'MSRA-B/test.txt': 1}
    splits = [dataclasses.replace(s, count=counts.get(s.list, 2)) for s in layouts.SALIENCY.splits]
    return dataclasses.replace(layouts.SALIENCY, splits=tuple(splits)), folder


def unpack_by_hand(root):
    for folder in ('imgs', 'gt'):
        (root / 'HKU-IS' / folder).mkdir(parents=True)
        for i in range(2):
            (root / f'HKU-IS/{folder}/{i}.png').write_bytes(encoded('PNG', mask(i)))


def test_salient_objects_from_archives_are_what_the_config_reads(root, salient):
    from mmengine.config import Config

    from res2net_mm.datasets import SaliencyDataset

    layout, archives = salient
    state = prepare.prepare(layout, root, archives, 1)
    there, trouble = prepare.report(layout, root, archives, state)
    assert state.code == 1 and there[-1].startswith('not there, and only for testing on MSRA-B')
    assert trouble[1:5] == [
        '  HKU-IS: missing [HKU-IS.rar]',
        '  HKU-IS/imgs/*.png: 0 there, 2 published [HKU-IS.rar]',
        '  HKU-IS/gt/*.png: 0 there, 2 published [HKU-IS.rar]',
        'What is needed:',
    ]
    assert trouble[5].startswith('  HKU-IS.rar, to be unpacked into the folder by hand, from ')
    assert not {'HKU-IS.rar', '__MACOSX'} & {path.name for path in root.iterdir()}
    unpack_by_hand(root)
    assert run(layout, root) == (0, '')
    cfg = Config.fromfile(ROOT / 'configs/dss_r2n50_msrab.py')
    for phase, count in dict(train=2, val=1, test=8).items():
        sets = cfg[f'{phase}_dataloader'].dataset.sets
        assert len(SaliencyDataset(sets=sets, data_root=str(root))) == count
    before = times(root)
    assert run(layout, root, archives) == (0, '') and times(root) == before


def test_salient_objects_that_lack_something(root, salient):
    layout, archives = salient
    run(layout, root, archives)
    unpack_by_hand(root)
    (root / 'ECSSD/images/1.jpg').unlink()
    (root / 'HKU-IS/gt/0.png').unlink()
    (root / 'DUT-OMRON/DUT-OMRON-image/mine.jpg').write_bytes(picture(0))
    (root / 'MSRA-B/2.png').write_bytes(encoded('PNG', mask(2))[:-20])
    (root / 'MSRA-B/val.txt').write_text('2\n3\n')
    code, text = run(layout, root)
    assert code == 2 and text.splitlines() == [
        'MSRA-B/val.txt: it has 2 names, 1 were published',
        'DUT-OMRON: it has 3 names, 2 were published',
        'ECSSD/images/*.jpg: 1 of 2 missing: 1',
        'HKU-IS/gt/*.png: 1 of 2 missing: 0',
        'DUT-OMRON/pixelwiseGT-new-PNG/*.png: 1 of 3 missing: mine',
        'MSRA-B/*.png: 1 damaged: 2',
    ]
    (root / 'DUT-OMRON/DUT-OMRON-image/mine.jpg').unlink()
    code, text = run(layout, root, archives)
    assert (code, text) == (1, 'HKU-IS/gt/*.png: 1 of 2 missing: 0')


def test_published_figures():
    published = (layouts.COCO, layouts.VOC07, layouts.VOC12AUG)
    counts = {s.list: s.count for layout in published for s in layout.splits}
    assert counts['annotations/instances_train2017.json'] == 118_287
    assert counts['annotations/person_keypoints_val2017.json'] == 5_000
    assert counts['VOC2007/ImageSets/Main/trainval.txt'] + counts['VOC2007/ImageSets/Main/test.txt'] == 9_963
    sets = {name.split('/')[-1][:-4]: n for name, n in counts.items() if name.startswith('VOC2012')}
    assert sets == dict(train=1_464, val=1_449, trainval=2_913, aug=9_118, trainaug=10_582)
    salient = {split.list: split.count for split in layouts.SALIENCY.splits}
    assert list(salient.values()) == [2_500, 500, 2_000, 1_000, 850, 4_447, 5_168]
    assert set(COUNTS) | {f'person_detection_results/{PERSONS}'} == set(counts)


def test_report_of_ready_data_names_configs(root, archives, monkeypatch, tmp_path):
    (tmp_path / 'configs').mkdir()
    for name in ('faster_rcnn_r2n50_voc07', 'faster_rcnn_r50_voc07', 'faster_rcnn_r2n50_coco'):
        (tmp_path / f'configs/{name}.py').touch()
    monkeypatch.setattr(prepare, 'CONFIGS', tmp_path / 'configs')
    monkeypatch.chdir(tmp_path)
    there, trouble = prepare.report(VOC07, root, archives, prepare.prepare(VOC07, root, archives, 1))
    assert trouble == [] and there[0] == str(root)
    assert '          7  VOC2007/JPEGImages/*.jpg' in there
    assert there[-2] == 'ready: python tools/train.py configs/faster_rcnn_r2n50_voc07.py'
    assert there[-1] == f'which looks for it in data/VOCdevkit: ln -s {root} data/VOCdevkit'
    (tmp_path / 'data').mkdir(exist_ok=True)
    (tmp_path / 'data/VOCdevkit').symlink_to(root)
    assert prepare.report(VOC07, Path('data/VOCdevkit'), archives, prepare.State())[0][-1] == there[-2]


# ---- the real readers ----------------------------------------------------------------------------


def test_mmdet_reads_coco_and_voc07(root, archives):
    datasets = pytest.importorskip('mmdet.datasets')
    run(COCO, root, archives), run(VOC07, root, archives)
    coco = datasets.CocoDataset(
        data_root=str(root),
        ann_file='annotations/instances_train2017.json',
        data_prefix=dict(img='train2017/'),
        pipeline=[],
    )
    voc = datasets.VOCDataset(
        data_root=str(root),
        ann_file='VOC2007/ImageSets/Main/trainval.txt',
        data_prefix=dict(sub_data_root='VOC2007/'),
        pipeline=[],
    )
    for dataset, count in ((coco, 20), (voc, 4)):
        assert len(dataset) == count
        for info in map(dataset.get_data_info, range(count)):
            assert Path(info['img_path']).is_file() and info['instances']


@pytest.mark.parametrize('backend', ['pillow', 'cv2'])
@pytest.mark.parametrize('part, count', [('trainaug', 7), ('aug', 4), ('val', 2)])
def test_mmseg_reads_class_indices(root, archives, part, count, backend):
    datasets = pytest.importorskip('mmseg.datasets')
    run(VOC12AUG, root, archives)
    dataset = datasets.PascalVOCDataset(
        data_root=str(root / 'VOC2012'),
        ann_file=f'ImageSets/Segmentation/{part}.txt',
        data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClassAug'),
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='mmseg.LoadAnnotations', imdecode_backend=backend),
        ],
    )
    assert len(dataset) == count
    for sample in map(dataset.__getitem__, range(count)):
        assert sample['gt_seg_map'].shape == sample['img'].shape[:2]
        assert set(np.unique(sample['gt_seg_map'])) <= {*range(21), 255}


# ---- incomplete ----------------------------------------------------------------------------------


def test_nothing_there_names_lists_files_and_archives(root):
    state = prepare.prepare(COCO, root, workers=1)
    there, trouble = prepare.report(COCO, root, None, state)
    text = '\n'.join(trouble)
    assert state.code == 1 and not root.exists()
    assert 'annotations/instances_val2017.json: missing [annotations_trainval2017.zip]' in text
    assert 'train2017/*.jpg: 0 there, 20 published [train2017.zip]' in text
    assert f'{PERSONS}, from the release of SimpleBaseline' in text
    assert 'stuffthingmaps' not in text and 'only for HTC' in '\n'.join(there)
    assert trouble[-1].endswith(f'tools/prepare_data.py coco --root {root} --archives FOLDER_WITH_THEM')


def test_stuff_maps_are_optional_but_not_in_part(root, archives):
    (archives / 'stuffthingmaps_trainval2017.zip').unlink()
    assert run(COCO, root, archives) == (0, '')
    folder = root / 'stuffthingmaps/val2017'
    folder.mkdir(parents=True)
    (folder / '000000000139.png').write_bytes(encoded('PNG', mask(0)))
    assert run(COCO, root) == (1, 'stuffthingmaps/val2017/*.png: 2 of 3 missing: 000000000285, 000000000632')


def test_missing_and_extra_images_are_named(root, archives):
    run(COCO, root, archives)
    for name in COCO_NAMES['train2017'][:6]:
        (root / f'train2017/{name}.jpg').unlink()
    (root / 'val2017/mine.jpg').write_bytes(picture(0))
    (root / 'val2017/.mine.jpg.1.part').write_bytes(b'left by a killed run')
    code, text = run(COCO, root)
    first = ', '.join(COCO_NAMES['train2017'][:5])
    assert code == 1 and f'train2017/*.jpg: 6 of 20 missing: {first}, ...' in text
    assert "val2017/*.jpg: 1 that don't belong there, to be removed: mine" in text
    (root / 'val2017/mine.jpg').unlink()
    assert run(COCO, root, archives) == (0, '')


@pytest.mark.parametrize('layout', [COCO, VOC07, VOC12AUG], ids=lambda layout: layout.name)
def test_archive_that_is_not_there_is_asked_for(root, archives, layout):
    name = layout.archives[-1].name
    (archives / name).unlink()
    state = prepare.prepare(layout, root, archives, 1)
    _, trouble = prepare.report(layout, root, archives, state)
    assert state.code == 1 and f'  {name}, which is not in {archives}, from ' in '\n'.join(trouble)


def test_archive_without_a_member_is_blamed(root, archives, replace):
    replace('VOCtest_06-Nov-2007.tar', {'VOCdevkit/VOC2007/JPEGImages/000002.jpg': None})
    state = prepare.prepare(VOC07, root, archives, 1)
    _, trouble = prepare.report(VOC07, root, archives, state)
    assert state.code == 1
    assert '  VOC2007/JPEGImages/*.jpg: 1 of 3 missing: 000002 [VOCtest_06-Nov-2007.tar]' in trouble
    assert any(f'(the one in {archives} lacks it), from the PASCAL VOC web site' in line for line in trouble)


def test_list_with_another_count(root, archives, replace):
    replace('VOCtrainval_06-Nov-2007.tar', {'VOCdevkit/VOC2007/ImageSets/Main/trainval.txt': '000005\n'})
    code, text = run(VOC07, root, archives)
    assert code == 1 and 'Main/trainval.txt: it has 1 names, 4 were published' in text
    assert "JPEGImages/*.jpg: 3 that don't belong there" in text


def test_other_lists_of_sbd_make_no_trainaug(root, archives, replace):
    replace('benchmark.tgz', {'benchmark_RELEASE/dataset/val.txt': '2008_000007\n'})
    code, text = run(VOC12AUG, root, archives)
    assert (
        code == 2 and "benchmark_RELEASE/dataset/*.txt with VOC's train and val make 6 names, not 7" in text
    )
    assert not (root / 'VOC2012/ImageSets/Segmentation/trainaug.txt').exists()


# ---- damaged -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    'damage, whole',
    [
        (lambda content: b'', False),
        (lambda content: content[:-40], False),
        (lambda content: content[:-40] + bytes(40), False),
        (lambda content: content + b'\0' * 5, True),  # published images have such ends, too
        (lambda content: encoded('PNG', mask(1)), True),  # and there are PNGs among the .jpgs
    ],
)
def test_cut_off_image_is_found_and_unpacked_again(root, archives, damage, whole):
    run(COCO, root, archives)
    (root / FIRST).write_bytes(damage(picture(9)))
    assert run(COCO, root) == ((0, '') if whole else (2, 'train2017/*.jpg: 1 damaged: 000000000009'))
    assert run(COCO, root, archives) == (0, '')
    assert ((root / FIRST).read_bytes() == picture(9)) is not whole


@pytest.mark.parametrize(
    'name', ['JPEGImages/000005.jpg', 'Annotations/000005.xml', 'SegmentationClass/000005.png']
)
def test_damage_is_mended_from_the_archive_that_holds_it(root, archives, name):
    run(VOC07, root, archives)
    path = root / 'VOC2007' / name
    whole = path.read_bytes()
    path.write_bytes(whole[:-20] + bytes(20))  # of the same size
    (archives / 'VOCtest_06-Nov-2007.tar').unlink()
    assert run(VOC07, root)[0] == 2
    assert run(VOC07, root, archives) == (0, '') and path.read_bytes() == whole


def test_cut_off_mask_is_made_again(root, archives):
    run(VOC12AUG, root, archives)
    for name in (VOC12_NAMES['val'][0], AUG[0]):
        path = root / f'VOC2012/SegmentationClassAug/{name}.png'
        whole = path.read_bytes()
        path.write_bytes(whole[:-20])
        assert run(VOC12AUG, root) == (0, '') and path.read_bytes() == whole


@pytest.mark.parametrize('content', [b'no mat', mat(1)[:-200]])
def test_broken_mat_is_named(root, archives, replace, content):
    replace('benchmark.tgz', {f'benchmark_RELEASE/dataset/cls/{AUG[1]}.mat': content})
    code, text = run(VOC12AUG, root, archives)
    assert code == 2 and f'cls/*.mat: 1 damaged, to be deleted: {AUG[1]}' in text
    assert len(files(root / 'VOC2012/SegmentationClassAug')) == 8


@pytest.mark.parametrize(
    'name, content, message',
    [
        ('annotations/instances_train2017.json', '{"images": [', 'damaged: Expecting value'),
        ('annotations/instances_train2017.json', '[]', 'damaged: no COCO annotation file'),
        ('annotations/instances_val2017.json', annotations(['000000000139']), 'it has 1 names, 3 were'),
        ('annotations/person_keypoints_val2017.json', '{}', 'damaged: no COCO annotation file'),
        (PERSONS, annotations(COCO_NAMES['val2017']), 'damaged: no list of detections'),
        (PERSONS, '[{"category_id": 1}]', "damaged: it lacks 'bbox'"),
        (PERSONS, '[[1, 2]]', 'damaged: list indices must be'),
        (PERSONS, boxes(['000000000139']).replace('0.7', '"high"'), 'damaged: no person with box and score'),
        (
            PERSONS,
            boxes(['000000000139', '000000000009']),
            '1 of its names are not in annotations/instances_val',
        ),
    ],
)
def test_broken_json(root, archives, replace, name, content, message):
    if name == PERSONS:
        replace(PERSONS, content.encode())
        name = f'person_detection_results/{PERSONS}'
    else:
        replace('annotations_trainval2017.zip', {name: content})
    code, text = run(COCO, root, archives)
    assert code == (2 if 'damaged' in message else 1) and f'{name}: {message}' in text


@pytest.mark.parametrize(
    'name, workers',
    [
        ('train2017.zip', 1),
        ('train2017.zip', 2),
        ('VOCtest_06-Nov-2007.tar', 1),
        ('VOCtrainval_11-May-2012.tar', 1),
        ('benchmark.tgz', 1),
    ],
)
@pytest.mark.parametrize('damage', ['cut', 'corrupt', 'foreign'])
def test_damaged_archive_is_named_and_leaves_no_half_files(
    root, archives, published, replace, name, damage, workers
):
    layout = next(each for each in (COCO, VOC07, VOC12AUG) if name in [a.name for a in each.archives])
    content = (published[0] / name).read_bytes()
    middle = len(content) // 2
    replace(
        name,
        dict(
            cut=content[:middle],
            # Of a tar it is a header: its data have no checksum.
            corrupt=content[: middle - middle % 512] + b'\xff' * 512 + content[middle - middle % 512 + 512 :],
            foreign=b'<html>404</html>' * 99,
        )[damage],
    )
    if damage == 'corrupt' and name.endswith('.tar'):
        with tarfile.open(published[0] / name) as archive:
            header = archive.getmembers()[2].offset
        replace(name, content[:header] + b'\xff' * 512 + content[header + 512 :])
    with pytest.raises(UserError, match=rf'{name} is damaged or incomplete \(.+\): download it again, from '):
        run(layout, root, archives, workers)
    assert not [name for name in files(root) if name.endswith('.part')]
    assert all(prepare.is_whole(path) for path in root.rglob('*.jpg'))
    replace(name, content)
    assert run(layout, root, archives, workers)[1] == '' or layout is VOC12AUG


@pytest.mark.parametrize('name', ['../train2017/out.jpg', '/train2017/out.jpg', 'train2017/../../out.jpg'])
def test_members_that_lead_outside_are_refused(root, archives, replace, name):
    replace('train2017.zip', {name: picture(1)})
    with pytest.raises(UserError, match='train2017.zip is not the published one'):
        run(COCO, root, archives)
    assert not list(root.parent.rglob('out.jpg'))


def test_links_in_a_tar_are_not_followed(root, archives, replace, published):
    path = archives / 'VOCtest_06-Nov-2007.tar'
    replace(path.name, (published[0] / path.name).read_bytes())
    with tarfile.open(path, 'a') as archive:
        link = tarfile.TarInfo('VOCdevkit/VOC2007/JPEGImages/link')
        link.type, link.linkname = tarfile.SYMTYPE, '/etc'
        archive.addfile(link)
    assert run(VOC07, root, archives) == (0, '')
    assert not (root / 'VOC2007/JPEGImages/link').is_symlink()


# ---- the machine ---------------------------------------------------------------------------------


def test_what_cannot_be_written_is_one_sentence(root, archives, monkeypatch):
    root.write_text('a file')
    with pytest.raises(UserError, match='--root .*data: that is a file, not a folder'):
        run(COCO, root, archives)
    root.unlink()

    def full(*_):
        raise OSError(28, 'No space left on device', str(root / 'x.jpg'))

    monkeypatch.setattr(prepare.shutil, 'copyfileobj', full)
    with pytest.raises(UserError, match='x.jpg: No space left on device'):
        run(COCO, root, archives)
    assert files(root) == set()


def test_arguments_are_checked(root):
    with pytest.raises(UserError, match='there is no such folder'):
        run(COCO, root, root / 'nowhere')
    with pytest.raises(UserError, match='--workers 0'):
        run(COCO, root, workers=0)


def start(*args):
    """The tool in a process group of its own: a terminal's signals reach the workers, too."""
    return subprocess.Popen(
        [sys.executable, ROOT / 'tools/prepare_data.py', *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for(condition):
    for _ in range(3000):
        if condition():
            return
        time.sleep(0.01)
    pytest.fail('waited in vain')


def session(process):
    """The processes of its session that run."""
    found = []
    for stat in Path('/proc').glob('[0-9]*/stat'):
        try:
            state, _, group = stat.read_text().rpartition(')')[2].split()[:3]
        except OSError:  # it has just ended
            continue
        if int(group) == process.pid and state != 'Z':
            found.append(stat.parent.name)
    return found


@pytest.fixture(scope='module')
def big():
    """An archive of two images that take a while to unpack."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, 'w', zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name in COCO_NAMES['train2017'][:2]:
            archive.writestr(f'train2017/{name}.jpg', bytes(200 << 20))
    return file.getvalue()


@pytest.mark.skipif(not Path('/proc').is_dir(), reason='looks for processes in /proc')
@pytest.mark.parametrize(
    'send, number', [(os.killpg, signal.SIGINT), (os.killpg, signal.SIGTERM), (os.kill, signal.SIGTERM)]
)
def test_interrupted_while_unpacking(root, archives, published, replace, big, send, number):
    replace('train2017.zip', big)
    process = start('coco', '--root', str(root), '--archives', str(archives), '--workers', '2')
    folder = root / 'train2017'
    wait_for(lambda: folder.is_dir() and any(name.endswith('.part') for name in os.listdir(folder)))
    send(process.pid, number)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 128 + number and out == ''
    assert err == 'prepare_data.py: interrupted; run it again to go on\n'
    wait_for(lambda: not session(process))  # multiprocessing's own helper is the last to end
    assert not [name for name in files(root) if name.endswith('.part')]
    replace('train2017.zip', (published[0] / 'train2017.zip').read_bytes())
    assert run(COCO, root, archives) == (0, '')
