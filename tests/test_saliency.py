"""Salient objects (Table 9): the data sets' layouts, the metrics against pysodmetrics, training, testing."""

import json
import re
import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from helpers import on_every_device
from mmengine.config import Config
from mmengine.registry import DATASETS, DefaultScope
from mmengine.runner import Runner
from networks import SMALL_DSS

from res2net_mm.config import load_config
from res2net_mm.datasets import LoadSaliencyMask, SaliencyDataset
from res2net_mm.engine import RecordHook
from res2net_mm.engine.options import scale_lr
from res2net_mm.errors import UserError
from res2net_mm.evaluation import SaliencyMetric
from res2net_mm.evaluation import saliency as evaluation
from res2net_mm.evaluation.saliency import measure

CONFIG = Path(__file__).parents[1] / 'configs' / 'dss_r2n50_msrab.py'
SETS = ('ECSSD', 'PASCAL-S', 'HKU-IS', 'DUT-OMRON')


def draw(image_path, mask_path, size=(48, 40), seed=0):
    """A bright rectangle on a dark ground, and its mask."""
    rng = np.random.default_rng(seed)
    width, height = size
    mask = np.zeros((height, width), np.uint8)
    x, y = rng.integers(0, width // 2), rng.integers(0, height // 2)
    mask[y : y + height // 2, x : x + width // 2] = 255
    image = rng.integers(0, 60, (height, width, 3), dtype=np.uint8) + (mask[..., None] // 2)
    for path, pixels in ((image_path, image), (mask_path, mask)):
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), pixels)


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    """The five sets in the layouts of the config, two to four images each, of several sizes."""
    root = tmp_path_factory.mktemp('saliency')
    cfg = Config.fromfile(CONFIG)
    for number, each in enumerate([*cfg.train_dataloader.dataset.sets, *cfg.test_dataloader.dataset.sets]):
        for i in range(4 if number == 0 else 2):
            draw(
                root / each.img_path / f'{i}{each.get("img_suffix", ".jpg")}',
                root / each.seg_map_path / f'{i}.png',
                size=(48 + 7 * i, 40 + i),
                seed=10 * number + i,
            )
    (root / 'MSRA-B' / 'train.txt').write_text('0\n1.jpg\n\n2.png\n')
    (root / 'MSRA-B' / 'val.txt').write_text('3.jpg\n')
    return root


# ---- data ------------------------------------------------------------------------------------------


def test_the_published_layouts_are_read(root):
    cfg = Config.fromfile(CONFIG)
    names = {}
    with DefaultScope.overwrite_default_scope('mmseg'):
        for phase in ('train', 'val', 'test'):
            dataset = DATASETS.build(dict(cfg[f'{phase}_dataloader'].dataset, data_root=str(root)))
            names[phase] = [dataset.get_data_info(i)['dataset'] for i in range(len(dataset))]
            sample = dataset[1 if phase != 'val' else 0]
            mask = sample['data_samples'].gt_sem_seg.data
            assert sample['inputs'].shape[1:] == mask.shape[1:] and mask.unique().tolist() == [0, 1]
            assert dataset.metainfo['classes'] == ('background', 'salient')
            if phase != 'train':
                assert sample['data_samples'].dataset == names[phase][0]
    assert names['train'] == ['MSRA-B'] * 3 and names['val'] == ['MSRA-B']  # the lists'
    assert names['test'] == [name for name in SETS for _ in range(2)]


def one_set(root, **changes):
    return SaliencyDataset(
        sets=[dict(name='A', img_path='images', seg_map_path='masks') | changes], data_root=str(root)
    )


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(UserError, match=rf'A: no folder {re.escape(str(tmp_path / "images"))}$'):
        one_set(tmp_path)
    for i in range(3):
        draw(tmp_path / 'images' / f'{i}.jpg', tmp_path / 'masks' / f'{i}.png')
    assert [Path(one_set(tmp_path)[i]['img_path']).name for i in range(3)] == ['0.jpg', '1.jpg', '2.jpg']
    with pytest.raises(UserError, match=r'A: no \.tif files in .*images'):
        one_set(tmp_path, img_suffix='.tif')
    with pytest.raises(UserError, match=r'A: no list .*train\.txt'):
        one_set(tmp_path, list_file='train.txt')
    (tmp_path / 'train.txt').write_text('\n')
    with pytest.raises(UserError, match=r'train\.txt is empty'):
        one_set(tmp_path, list_file='train.txt')
    (tmp_path / 'train.txt').write_text('0\n7\n8\n')
    with pytest.raises(UserError, match=r'A: 2 of 3 have no image, the first is .*images/7\.jpg'):
        one_set(tmp_path, list_file='train.txt')
    (tmp_path / 'masks' / '1.png').unlink()
    with pytest.raises(UserError, match=r'A: 1 of 3 have no mask, the first is .*masks/1\.png'):
        one_set(tmp_path)


def load(path, shape, **kwargs):
    results = dict(img_path='image.jpg', seg_map_path=str(path), ori_shape=shape, seg_fields=[])
    return LoadSaliencyMask(**kwargs)(results)['gt_seg_map'].tolist()


def test_masks_of_any_kind_are_read(tmp_path):
    from PIL import Image

    gray = np.array([[0, 128], [129, 255]], np.uint8)
    expected = [[0, 0], [1, 1]]
    for mode in ('L', 'RGB', 'RGBA'):
        Image.fromarray(gray).convert(mode).save(tmp_path / f'{mode}.png')
        assert load(tmp_path / f'{mode}.png', (2, 2)) == expected
    Image.fromarray(gray > 128).save(tmp_path / 'bits.png')
    assert load(tmp_path / 'bits.png', (2, 2)) == expected
    indexed = Image.fromarray(np.array([[0, 0], [1, 2]], np.uint8), 'P')
    indexed.putpalette([0, 0, 0, 128, 0, 0, 224, 224, 192])  # as VOC's labels
    indexed.save(tmp_path / 'palette.png')
    assert load(tmp_path / 'palette.png', (2, 2), threshold=0) == expected


def test_masks_that_are_wrong_are_refused(tmp_path):
    cv2.imwrite(str(tmp_path / 'mask.png'), np.zeros((4, 6), np.uint8))
    with pytest.raises(UserError, match=r'mask\.png is 6 x 4 pixels, its image image\.jpg 4 x 6'):
        load(tmp_path / 'mask.png', (6, 4))
    (tmp_path / 'mask.png').write_bytes(b'no image')
    with pytest.raises(UserError, match=r'mask\.png is not an image'):
        load(tmp_path / 'mask.png', (6, 4))


def test_an_image_without_a_mask_passes():
    assert LoadSaliencyMask()(dict(img_path='image.jpg')) == dict(img_path='image.jpg')


# ---- metrics ---------------------------------------------------------------------------------------


def maps():
    """Pairs of a saliency map and a mask: random ones and those at the edge."""
    rng = np.random.default_rng(0)
    shape = (23, 31)
    black, white = np.zeros(shape, np.uint8), np.full(shape, 255, np.uint8)
    one = black.copy()
    one[5, 7] = 255
    blob = black.copy()
    blob[4:15, 6:20] = 255
    noise = rng.integers(0, 256, shape, dtype=np.uint8)
    good = np.clip(blob.astype(int) // 2 + noise // 2, 0, 255).astype(np.uint8)
    gray = np.full(shape, 77, np.uint8)
    predictions = dict(black=black, white=white, gray=gray, one=one, noise=noise, good=good, exact=blob)
    masks = dict(none=black, all=white, one=one, blob=blob)
    return {f'{p}_{m}': (predictions[p], masks[m] > 128) for p in predictions for m in masks}


def sample(saliency, mask, name='A', device='cpu'):
    """What mmseg's model gives of it."""
    return dict(
        seg_logits=dict(data=torch.from_numpy(saliency)[None].float().to(device) / 255),
        gt_sem_seg=dict(data=torch.from_numpy(mask)[None].long().to(device)),
        dataset=name,
    )


def evaluate(samples):
    metric = SaliencyMetric()
    for each in samples:
        metric.process({}, [each])
    return metric.evaluate(len(samples))


def reference(pairs):
    """pysodmetrics' own accumulation over all images."""
    import py_sod_metrics as sod

    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # its first F-measure is to go: one more road to the numbers
        f, e, s, mae = sod.Fmeasure(beta=0.3), sod.Emeasure(), sod.Smeasure(), sod.MAE()
    for saliency, mask in pairs:
        for each in (f, e, s, mae):
            each.step(saliency, mask.astype(np.uint8) * 255)
    f, e = f.get_results(), e.get_results()['em']
    p, r = f['pr']['p'], f['pr']['r']
    return dict(
        max_F=f['fm']['curve'].max(),
        max_F_PR=(1.3 * p * r / np.maximum(0.3 * p + r, 1e-12)).max(),
        adaptive_F=f['fm']['adp'],
        MAE=mae.get_results()['mae'],
        S=s.get_results()['sm'],
        max_E=e['curve'].max(),
        mean_E=e['curve'].mean(),
        adaptive_E=e['adp'],
        images=len(pairs),
    )


@pytest.mark.parametrize('name', [*maps(), None])
def test_metrics_are_pysodmetrics(name):
    pairs = [maps()[name]] if name else list(maps().values())
    measured = evaluate([sample(*pair) for pair in pairs])
    expected = {f'A/{key}': value for key, value in reference(pairs).items()}
    assert measured.keys() == expected.keys()
    assert measured == pytest.approx(expected, abs=1e-4)


@on_every_device
def test_a_map_by_hand(device):
    """Eight pixels, three of them salient; at 255 one is found and one is wrong."""
    mask = np.array([[1, 1, 1, 0], [0, 0, 0, 0]], bool)
    saliency = np.array([[255, 100, 0, 255], [0, 0, 0, 0]], np.uint8)
    measured = evaluate([sample(saliency, mask, device=device)])
    at_100 = 1.3 * (2 / 3) * (2 / 3) / (0.3 * (2 / 3) + 2 / 3)
    assert measured['A/max_F'] == pytest.approx(at_100) == pytest.approx(2 / 3)
    assert measured['A/MAE'] == pytest.approx((155 / 255 + 1 + 1) / 8)


def test_each_set_has_its_own_metrics(caplog):
    first, second = maps()['good_blob'], maps()['noise_blob']
    both = evaluate([sample(*first, 'A'), sample(*second, 'B'), sample(*first, 'A')])
    alone = evaluate([sample(*first, 'A')]) | evaluate([sample(*second, 'B')])
    assert both.pop('A/images') == 2 and alone.pop('A/images') == 1
    assert both == pytest.approx(alone)


def test_maps_are_rounded_to_8_bits(monkeypatch):
    seen = []
    monkeypatch.setattr(evaluation, 'measure', lambda saliency, mask: seen.append(saliency.tolist()))
    logits, mask = torch.tensor([[[0.999, 0.001, 0.499]]]), torch.zeros(1, 1, 3)
    sample = dict(dataset='a', seg_logits=dict(data=logits), gt_sem_seg=dict(data=mask))
    SaliencyMetric().process(None, [sample])
    assert seen == [[[255, 0, 127]]]


def test_several_processes_measure_what_one_does():
    """The sampler gives the second process the first image again, so that both have two."""
    images = [sample(*maps()[name]) for name in ('good_blob', 'noise_blob', 'exact_one')]
    ranks = [SaliencyMetric(), SaliencyMetric()]
    for rank, metric in enumerate(ranks):
        for i in (rank, (rank + 2) % 3):
            metric.process({}, [images[i]])
    assert all(len(metric.results) == 2 for metric in ranks)  # one entry an image: mmengine drops the surplus
    gathered = [entry for pair in zip(*(metric.results for metric in ranks)) for entry in pair][:3]
    assert ranks[0].compute_metrics(gathered) == evaluate(images)


def test_an_image_leaves_three_curves():
    measured = measure(*maps()['good_blob'])
    assert sum(values.nbytes for values in measured.values()) < 4096


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr('res2net_mm.evaluation.saliency.find_spec', lambda name: None)
    with pytest.raises(UserError, match='pip install pysodmetrics'):
        SaliencyMetric()


# ---- training and testing --------------------------------------------------------------------------


@pytest.fixture(scope='module')
def small(root, tmp_path_factory):
    """The config with fewer and narrower layers, on the drawn sets, four updates of two images."""
    options = {f'{phase}_dataloader.dataset.data_root': str(root) for phase in ('train', 'val', 'test')}
    for phase in ('train', 'val', 'test'):
        options |= {f'{phase}_dataloader.num_workers': 0, f'{phase}_dataloader.persistent_workers': False}
    options |= {
        'train_cfg.max_iters': 8,
        'train_cfg.val_interval': 8,
        'optim_wrapper.accumulative_counts': 2,
        'optim_wrapper.optimizer.lr': 1e-4,
        'default_hooks.checkpoint.interval': 8,
        'randomness': dict(seed=0),
    }
    cfg = load_config(str(CONFIG), options | SMALL_DSS)
    cfg.work_dir = str(tmp_path_factory.mktemp('work'))
    return cfg


def test_it_trains_and_tests_all_sets_at_once(small):
    runner = Runner.from_cfg(small)
    runner.register_hook(RecordHook())
    runner.model.init_weights()
    before = {name: p.clone() for name, p in runner.model.named_parameters()}
    runner.train()
    after = dict(runner.model.named_parameters())
    changed = {name for name in after if not torch.equal(before[name], after[name])}
    assert {name for name in after if name.startswith('decode_head')} <= changed
    assert any(name.startswith('backbone') for name in changed)
    assert not any('.bn' in name or 'downsample.1' in name for name in changed)  # frozen
    trained = json.loads(Path(runner.log_dir, 'record.json').read_text())
    assert 0 <= trained['metrics']['MSRA-B/max_F'] <= 1
    assert trained['images_per_iteration'] == 2 and trained['progress']['reached'] == 8
    assert [trained['data'][part]['images'] for part in ('train', 'val')] == [3, 1]
    changed = trained['changes']['evaluation']
    assert {line.partition('.')[0] for line in changed} == {'model'}  # the fewer and narrower layers
    metrics = runner.test()
    for name in SETS:
        assert metrics[f'{name}/images'] == 2
        for key in ('max_F', 'max_F_PR', 'adaptive_F', 'MAE', 'S', 'max_E', 'mean_E', 'adaptive_E'):
            assert 0 <= metrics[f'{name}/{key}'] <= 1
    tested = json.loads(Path(runner.log_dir, 'record.json').read_text())
    assert tested['config'] == 'dss_r2n50_msrab' and tested['data']['test']['images'] == 8  # of all sets
    assert tested['metrics'] == pytest.approx(metrics)
    log = Path(runner.log_dir, f'{runner.timestamp}.log').read_text()
    table = re.findall(r'(?m)^ +max_F .*(?:\n.*){5}', log)[-1]
    assert [line.split()[0] for line in table.splitlines()[2:]] == list(SETS)


def test_a_scaled_learning_rate_is_for_all_images_of_an_update():
    """One image a batch, ten of them accumulated, is what the config's rate is meant for."""
    cfg = load_config(str(CONFIG))
    scale_lr(cfg)
    assert cfg.auto_scale_lr == dict(enable=True, base_batch_size=1)  # mmengine compares it with a batch


def test_it_learns_a_rectangle(small):
    """By an optimizer of its own: the config's rate is for a pretrained network and 12,000 updates."""
    cfg = small.copy()
    cfg.work_dir += '/learns'
    cfg.model = cfg.model.copy()
    cfg.model.backbone.norm_cfg = dict(type='BN')
    cfg.train_cfg.max_iters = 120
    cfg.train_cfg.val_interval = 120
    cfg.param_scheduler = []
    cfg.optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=3e-3))
    runner = Runner.from_cfg(cfg)
    runner.train()
    assert runner.message_hub.get_scalar('val/MSRA-B/max_F').current() > 0.85
