"""Preparing ImageNet and CIFAR-100: small archives with the real formats and names, and what can be wrong."""

import dataclasses
import functools
import hashlib
import io
import os
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
from archives import files, messages, picture, run, tar, times
from dataset_converters import imagenet, layouts, prepare
from scipy.io import savemat
from torchvision import datasets

from res2net_mm.errors import UserError

COUNTS = {'n01440764': 4, 'n01443537': 3, 'n02119789': 5}
IDS = dict(zip((2, 3, 1), COUNTS))  # the published numbers aren't in the order of the names
TRUTH = [1, 3, 2, 2, 1, 3]
VAL = [f'ILSVRC2012_val_{n:08d}.JPEG' for n in range(1, 7)]
PLACES = [f'{IDS[number]}/{name}' for number, name in zip(TRUTH, VAL)]
IMAGENET = dataclasses.replace(layouts.IMAGENET, classes=3, train=12, val=6)
TRAIN_TAR, VAL_TAR, KIT_TAR = (a.name for a in (imagenet.TRAIN, imagenet.VAL, imagenet.DEVKIT))
KIT = 'ILSVRC2012_devkit_t12'


def meta(ids=IDS, counts=COUNTS):
    fields = 'ILSVRC2012_ID WNID words gloss num_children children wordnet_height num_train_images'.split()
    rows = [(n, name, 'a fish', 'it swims', 0, np.zeros((1, 0)), 0, counts[name]) for n, name in ids.items()]
    rows.append((len(ids) + 1, 'n00001740', 'entity', 'it is', 2, np.arange(1.0, 3.0), 19, 0))
    synsets = np.array(sorted(rows, key=lambda row: row[0]), [(field, object) for field in fields])
    file = io.BytesIO()
    savemat(file, {'synsets': synsets[:, None]})
    return file.getvalue()


def kit(truth=TRUTH, **others):
    files = {f'{KIT}/readme.txt': b'not wanted', f'{KIT}/data/meta.mat': meta(**others)}
    files[f'{KIT}/data/ILSVRC2012_validation_ground_truth.txt'] = ''.join(f'{n}\n' for n in truth).encode()
    return tar(files, 'w:gz')


def train_images(name):
    return {f'{name}_{7 * n + 2}.JPEG': picture(n) for n in range(COUNTS[name])}


def train(**replaced):
    inner = {name: tar(train_images(name)) for name in COUNTS} | replaced
    return tar({f'{name}.tar': content for name, content in inner.items()})


@pytest.fixture
def archives(tmp_path):
    folder = tmp_path / 'archives'
    folder.mkdir()
    (folder / TRAIN_TAR).write_bytes(train())
    (folder / VAL_TAR).write_bytes(tar({name: picture(i) for i, name in enumerate(VAL)}))
    (folder / KIT_TAR).write_bytes(kit())
    return folder


@pytest.fixture
def root(tmp_path):
    return tmp_path / 'imagenet'


@pytest.fixture
def ready(root, archives):
    """The whole data set, without the development kit."""
    assert run(IMAGENET, root, archives) == (0, '')
    for file in (root / KIT / 'data').iterdir():
        file.unlink()
    return root


# ---- ImageNet, whole -----------------------------------------------------------------------------


@pytest.mark.parametrize('workers', [1, 2])
def test_imagenet_from_archives_and_once_more(root, archives, workers):
    assert run(IMAGENET, root, archives, workers) == (0, '')
    assert files(root / 'train') == {f'{name}/{image}' for name in COUNTS for image in train_images(name)}
    assert files(root / 'val') == set(PLACES)
    assert (root / 'val' / PLACES[3]).read_bytes() == picture(3)
    assert len(files(root / KIT)) == 2
    before = times(root)
    assert run(IMAGENET, root, archives, workers) == run(IMAGENET, root) == (0, '')
    assert times(root) == before


def test_imagenet_that_was_sorted_needs_no_development_kit(ready):
    there, trouble = messages(IMAGENET, ready)
    assert trouble == ''
    assert '12  train/*/*.JPEG' in there and '6  val/*/*.JPEG' in there
    assert f"only for knowing the classes of val's images: {KIT_TAR}, from the ImageNet web site" in there
    assert 'ready: python tools/train.py ' in there and 'imagenet/r2n50_imagenet.py' in there


def test_published_figures():
    layout = layouts.LAYOUTS['imagenet']
    assert (layout.classes, layout.train, layout.val) == (1_000, 1_281_167, 50_000)
    assert [split.count for split in layouts.LAYOUTS['cifar100'].splits] == [50_000, 10_000, 100]


def test_mmpretrain_reads_imagenet(ready):
    mmpretrain = pytest.importorskip('mmpretrain.datasets')
    for split, count in (('train', 12), ('val', 6)):
        dataset = mmpretrain.ImageNet(
            data_root=str(ready),
            data_prefix=split,
            split=split,
            metainfo=dict(classes=[*COUNTS]),
            pipeline=[],
        )
        assert len(dataset) == count
        for info in map(dataset.get_data_info, range(count)):
            assert [*COUNTS][info['gt_label']] == Path(info['img_path']).parent.name


@pytest.mark.parametrize('workers', [1, 2])
def test_val_that_was_unpacked_by_hand_is_sorted(root, archives, workers):
    run(IMAGENET, root, archives)
    for place, name in zip(PLACES, VAL):
        (root / 'val' / place).rename(root / 'val' / name)
    other = b''.join([picture(99), b'more'])
    (root / 'val' / PLACES[0]).write_bytes(other)  # another one is in its place
    assert run(IMAGENET, root)[1] == f'val: 1 images are in no folder of a class: {VAL[0]}'
    (root / 'val' / PLACES[0]).write_bytes(other[:99])  # a damaged one
    assert run(IMAGENET, root, workers=workers) == (0, '')
    assert (root / 'val' / PLACES[0]).read_bytes() == picture(0)
    assert files(root / 'val') == set(PLACES)


def test_val_cannot_be_sorted_without_the_development_kit(root, archives):
    (archives / KIT_TAR).unlink()
    there, trouble = messages(IMAGENET, root, archives)
    assert f"{KIT}/data: not there, which says the classes of val's images [{KIT_TAR}]" in trouble
    assert f'  {KIT_TAR}, which is not in {archives}, from the ImageNet web site' in trouble
    assert '12  train/*/*.JPEG' in there and files(root / 'val') == set(VAL)
    trouble = messages(IMAGENET, root)[1]
    assert f'val: 6 images are in no folder of a class: {", ".join(VAL[:5])}, ...' in trouble
    assert 'missing' not in trouble and VAL_TAR not in trouble and f'  {KIT_TAR}, from the' in trouble
    (archives / KIT_TAR).write_bytes(kit())
    assert run(IMAGENET, root, archives) == (0, '')


# ---- ImageNet, incomplete ------------------------------------------------------------------------


def test_nothing_there_names_folders_and_archives(root):
    state = prepare.prepare(layouts.IMAGENET, root, workers=1)
    trouble = '\n'.join(prepare.report(layouts.IMAGENET, root, None, state)[1])
    assert state.code == 1 and not root.exists()
    assert f'train/*/*.JPEG: 0 there, 1,281,167 published [{TRAIN_TAR}]' in trouble
    assert 'val/*/*.JPEG: 50,000 of 50,000 missing: ILSVRC2012_val_00000001.JPEG, ' in trouble
    for name in (TRAIN_TAR, VAL_TAR, KIT_TAR):
        assert f'  {name}, from the ImageNet web site, https://image-net.org' in trouble
    assert trouble.endswith(f'tools/prepare_data.py imagenet --root {root} --archives FOLDER_WITH_THEM')


def test_missing_images_are_named_and_unpacked(ready, archives):
    (ready / 'train/n01443537/n01443537_9.JPEG').unlink()
    (ready / 'val' / PLACES[4]).unlink()
    (ready / 'train/n01443537/.n01443537_9.JPEG.1.part').write_bytes(b'left by a killed run')
    code, text = run(IMAGENET, ready)
    assert code == 1 and 'train/*/*.JPEG: 11 there, 12 published\n' in text
    assert f'val/*/*.JPEG: 1 of 6 missing: {VAL[4]}' in text
    others = times(ready / 'train/n02119789')
    assert run(IMAGENET, ready, archives) == (0, '')
    assert times(ready / 'train/n02119789') == others
    (ready / 'train/n01443537/n01443537_9.JPEG').unlink()
    # With the development kit it is known where.
    assert run(IMAGENET, ready) == (1, 'train/*/*.JPEG: 11 there, 12 published: n01443537 has 2, not 3')


def test_a_missing_and_a_foreign_folder(ready, archives):
    (ready / 'train/n01443537').rename(ready / 'train/mine')
    code, text = run(IMAGENET, ready)
    assert code == 1 and 'val: not the same folders as in train: mine, n01443537' in text
    assert "train: 3 images that don't belong where they are: train/mine/n01443537_16.JPEG, train/mi" in text
    (ready / 'train/mine').rename(ready / 'mine')
    assert 'train: 2 folders, 3 classes were published' in run(IMAGENET, ready)[1]
    (ready / 'train/empty').mkdir()
    assert run(IMAGENET, ready, archives) == (1, 'train: 4 folders, 3 classes were published')


def test_images_that_are_too_much(ready, archives):
    (ready / 'train/n01440764/n01440764_0.JPEG').write_bytes(picture(0))
    (ready / 'val/n01440764/mine.JPEG').write_bytes(picture(0))
    code, text = run(IMAGENET, ready)
    assert code == 1 and 'train/*/*.JPEG: 13 there, 12 published' in text
    assert "val: 1 images that don't belong where they are: val/n01440764/mine.JPEG" in text
    assert 'n01440764 has 5, not 4' in run(IMAGENET, ready, archives)[1]
    (ready / 'train/n01443537/n01443537_2.JPEG').unlink()
    assert '12 there, 12 published: n01440764 has 5, not 4, n01443537 has 2, not 3' in run(IMAGENET, ready)[1]
    assert '13 there, 12 published: n01440764 has 5, not 4\n' in run(IMAGENET, ready, archives)[1]
    (ready / 'train/n01440764/n01440764_0.JPEG').unlink()
    (ready / 'val/n01440764/mine.JPEG').unlink()
    assert run(IMAGENET, ready, archives) == (0, '')


def test_an_image_of_val_in_another_class_s_folder(ready, archives):
    other = next(place for place in PLACES if place.split('/')[0] != PLACES[0].split('/')[0])
    wrong = ready / 'val' / other.split('/')[0] / VAL[0]
    (ready / 'val' / PLACES[0]).rename(wrong)
    code, text = run(IMAGENET, ready)
    assert code == 1 and text.startswith('val: other than 2 images in n')
    code, text = run(IMAGENET, ready, archives)
    assert code == 1 and f"val: 1 images that don't belong where they are: {wrong.relative_to(ready)}" in text


def test_numbers_of_the_development_kit_that_make_another_sum_do_not_count(root, archives):
    (archives / KIT_TAR).write_bytes(kit(counts=dict.fromkeys(COUNTS, 1300)))
    assert run(IMAGENET, root, archives) == (0, '')


# ---- ImageNet, damaged ---------------------------------------------------------------------------


@pytest.mark.parametrize('path', ['train/n02119789/n02119789_16.JPEG', f'val/{PLACES[2]}'])
def test_cut_off_image_is_found_and_unpacked_again(ready, archives, path):
    whole = (ready / path).read_bytes()
    (ready / path).write_bytes(whole[:-40] + bytes(40))  # of the same size
    part = path.partition('/')[0]
    assert run(IMAGENET, ready) == (2, f'{part}/*/*.JPEG: 1 damaged: {Path(path).stem}')
    assert run(IMAGENET, ready, archives) == (0, '') and (ready / path).read_bytes() == whole


@pytest.mark.parametrize(
    'content, message',
    [
        (dict(truth=TRUTH[:-1]), 'ground_truth.txt: it has 5 lines, 6 were published'),
        (dict(truth=[*TRUTH[:-1], 7]), 'ground_truth.txt: damaged: no class 7'),
        (dict(truth=['1,', *TRUTH[1:]]), 'ground_truth.txt: damaged: no class'),
        (dict(truth=[4, *TRUTH[1:]]), 'ground_truth.txt: damaged: no class 4'),  # which isn't a leaf
        (dict(ids={1: 'n01440764', 2: 'n01443537'}, truth=[1, 2] * 3), 'meta.mat: it has 2 classes, 3 were'),
        (b'no mat', f'{KIT}/data/meta.mat: damaged: '),
        (meta()[:-100], f'{KIT}/data/meta.mat: damaged: '),
    ],
)
def test_broken_development_kit(root, archives, content, message):
    if isinstance(content, dict):
        content = kit(**content)
    else:
        content = tar({f'{KIT}/data/meta.mat': content}, 'w:gz')
    good = (archives / KIT_TAR).read_bytes()
    (archives / KIT_TAR).write_bytes(content)
    code, text = run(IMAGENET, root, archives)
    assert code == 2 and message in text
    (archives / KIT_TAR).write_bytes(good)
    assert run(IMAGENET, root, archives) == (0, '')  # nothing was sorted by the broken one


CUT = tar(train_images('n02119789'))[:2000]
CORRUPT = tar(train_images('n02119789'))
CORRUPT = CORRUPT[:1536] + b'\xff' * 512 + CORRUPT[2048:]


@pytest.mark.parametrize('workers', [1, 2])
@pytest.mark.parametrize(
    'name, content',
    [
        (TRAIN_TAR, train()[:-30_000]),
        (TRAIN_TAR, train(n02119789=CUT)),
        (TRAIN_TAR, train(n02119789=CORRUPT)),
        (TRAIN_TAR, train(n02119789=b'<html>404</html>' * 99)),
        (TRAIN_TAR, b'<html>404</html>' * 99),
        (VAL_TAR, tar({name: picture(i) for i, name in enumerate(VAL)})[:3000]),
        (KIT_TAR, kit()[:-200]),
        (KIT_TAR, b''),
    ],
)
def test_damaged_archive_is_named_and_leaves_no_half_files(root, archives, name, content, workers):
    good = (archives / name).read_bytes()
    (archives / name).write_bytes(content)
    with pytest.raises(UserError, match=rf'{name} is damaged or incomplete \(.+\): download it again, from '):
        run(IMAGENET, root, archives, workers)
    assert not [name for name in files(root) if name.endswith('.part')]
    assert all(prepare.is_whole(path) for path in root.rglob('*.JPEG'))
    (archives / name).write_bytes(good)
    assert run(IMAGENET, root, archives, workers) == (0, '')


@pytest.mark.parametrize('name', ['../out.JPEG', '../../out.JPEG', 'a/../../out.JPEG'])
def test_members_that_lead_outside_are_refused(root, archives, name):
    (archives / TRAIN_TAR).write_bytes(train(n02119789=tar({name: picture(1)})))
    with pytest.raises(UserError, match=f'{TRAIN_TAR} is not the published one'):
        run(IMAGENET, root, archives)
    assert not list(root.parent.rglob('out.JPEG'))


def test_scipy_is_asked_for(root, archives, monkeypatch):
    monkeypatch.setitem(sys.modules, 'scipy.io', None)
    with pytest.raises(UserError, match='pip install scipy'):
        run(IMAGENET, root, archives)


# ---- CIFAR-100 -----------------------------------------------------------------------------------

SIZES = dict(train=5, test=3, meta=1)
PARTS = {
    part: pickle.dumps({'data': np.full((n, 3072), n, np.uint8), 'fine_labels': [5] * n}, protocol=2)
    for part, n in SIZES.items()
}
CIFAR100 = dataclasses.replace(
    layouts.CIFAR100,
    splits=tuple(
        dataclasses.replace(split, read=functools.partial(layouts.published, n), count=n)
        for split, n in zip(layouts.CIFAR100.splits, SIZES.values())
    ),
)
CIFAR_TAR = 'cifar-100-python.tar.gz'


@pytest.fixture
def md5(monkeypatch):
    """The small files are the published ones."""
    md5 = {part: hashlib.md5(content).hexdigest() for part, content in PARTS.items()}
    monkeypatch.setattr(datasets.CIFAR100, 'train_list', [['train', md5['train']]])
    monkeypatch.setattr(datasets.CIFAR100, 'test_list', [['test', md5['test']]])
    monkeypatch.setattr(datasets.CIFAR100, 'meta', dict(filename='meta', md5=md5['meta']))


class Hostile:
    def __reduce__(self):
        return os.mkdir, ('executed',)


def cifar(**replaced):
    contents = {
        f'cifar-100-python/{part}': content for part, content in (PARTS | replaced).items() if content
    }
    return tar(contents | {'cifar-100-python/file.txt~': b'not wanted'}, 'w:gz')


@pytest.mark.parametrize('workers', [1, 2])
def test_cifar100_from_its_archive_and_once_more(tmp_path, workers, md5):
    (tmp_path / CIFAR_TAR).write_bytes(cifar())
    root = tmp_path / 'cifar100'
    assert run(CIFAR100, root, tmp_path, workers) == (0, '')
    assert files(root) == {f'cifar-100-python/{part}' for part in PARTS}
    before = times(root)
    assert run(CIFAR100, root, tmp_path) == run(CIFAR100, root) == (0, '')
    assert times(root) == before
    there, _ = messages(CIFAR100, root)
    assert '5  cifar-100-python/train' in there and 'cifar100/r2nx29_6c24w4s_cifar100.py' in there


def test_cifar100_is_what_mmpretrain_takes():
    cifar100 = pytest.importorskip('mmpretrain.datasets').CIFAR100
    assert {Path(split.list).parent.name for split in layouts.CIFAR100.splits} == {cifar100.base_folder}
    assert layouts.CIFAR.name == cifar100.filename


def test_cifar100_missing_and_damaged(tmp_path, md5):
    root = tmp_path / 'cifar100'
    assert '[cifar-100-python.tar.gz]' in messages(CIFAR100, root)[1]
    (tmp_path / CIFAR_TAR).write_bytes(cifar(test=None))
    code, text = run(CIFAR100, root, tmp_path)
    assert (code, text) == (1, 'cifar-100-python/test: missing')
    assert (
        f'(the one in {tmp_path} lacks it), from the CIFAR web site' in messages(CIFAR100, root, tmp_path)[1]
    )
    path = root / 'cifar-100-python/train'
    path.write_bytes(PARTS['train'][:-1] + b' ')  # of the same size
    code, text = run(CIFAR100, root)
    assert code == 2 and 'cifar-100-python/train: damaged: not the published file: its MD5 is ' in text
    (tmp_path / CIFAR_TAR).write_bytes(cifar())
    assert run(CIFAR100, root, tmp_path) == (0, '') and path.read_bytes() == PARTS['train']


def test_code_in_cifar100_is_not_executed(tmp_path, monkeypatch, md5):
    monkeypatch.chdir(tmp_path)
    (tmp_path / CIFAR_TAR).write_bytes(cifar(meta=pickle.dumps(Hostile()), train=pickle.dumps(Hostile())))
    code, text = run(CIFAR100, tmp_path / 'cifar100', tmp_path)
    assert code == 2 and text.count('not the published file') == 2
    assert not (tmp_path / 'executed').exists()


@pytest.mark.parametrize('content', [cifar()[:200], b'<html>404</html>' * 99])
def test_damaged_archive_of_cifar100(tmp_path, content, md5):
    (tmp_path / CIFAR_TAR).write_bytes(content)
    with pytest.raises(UserError, match=rf'{CIFAR_TAR} is damaged or incomplete'):
        run(CIFAR100, tmp_path / 'cifar100', tmp_path)
    assert not [name for name in files(tmp_path / 'cifar100') if name.endswith('.part')]
    (tmp_path / CIFAR_TAR).write_bytes(cifar())
    assert run(CIFAR100, tmp_path / 'cifar100', tmp_path) == (0, '')
