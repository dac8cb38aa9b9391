"""Every config builds, steps and predicts; with its baseline it differs in nothing but the backbone."""

import copy
import hashlib
import pickle
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import torchvision
from make_data import COUNTS, make_demo_data
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DATASETS, MODELS, DefaultScope

from res2net_mm import preflight
from res2net_mm.checkpoints import RELEASED, load_pretrained
from res2net_mm.config import load_config, walk
from res2net_mm.models import Res2Layer, Res2Net
from res2net_mm.results.paper_tables import specs

ROOT = Path(__file__).parents[1]
# Those of configs/ by their names, those of demo/configs/ as demo/NAME.
PATHS = {
    prefix + str(path.relative_to(folder)): path
    for prefix, folder in (('', ROOT / 'configs'), ('demo/', ROOT / 'demo/configs'))
    for path in sorted(folder.glob('**/*.py'))
    if path.parent.name != '_base_'
}
FILES = sorted(PATHS)
REAL = [name for name in FILES if '/' not in name]
CLASSIFIERS = [name for name in FILES if name.startswith(('imagenet/', 'cifar100/'))]
DIGITS = [name for name in FILES if name.startswith('demo/digits/')]
# A config of each experiment.
EXPERIMENTS = [n for n in REAL if re.search(r'_r2n50(_fpn)?_(coco|voc07|voc12aug)|^(cascade|htc)', n)]


def build(name, **changes):
    """Build a config's model, uninitialized, with few RoIs."""
    cfg = load_config(str(PATHS[name]), {'model.backbone.init_cfg': None, **changes})
    for _, node in walk(cfg.model):
        if node.get('type') == 'RandomSampler':
            node.num = 16
        if 'max_per_img' in node and 'nms_pre' in node:
            node.max_per_img = 20
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        return MODELS.build(cfg.model)


def fake_inputs(model):
    """Two images with annotations, as the model's toolbox packs them."""
    toolbox = type(model).__module__.split('.')[0]
    if toolbox == 'mmdet':
        from mmdet.testing import demo_mm_inputs

        return demo_mm_inputs(
            2,
            [[3, 96, 128], [3, 128, 96]],
            num_classes=5,
            with_mask=model.with_mask,
            with_semantic=getattr(model.roi_head, 'with_semantic', False),
        )
    if toolbox == 'mmseg':
        from mmengine.structures import PixelData
        from mmseg.structures import SegDataSample

        samples = []
        for _ in range(2):
            labels = torch.randint(model.decode_head.num_classes, (1, 65, 65))
            samples.append(SegDataSample(gt_sem_seg=PixelData(data=labels)))
            samples[-1].set_metainfo(dict(ori_shape=(65, 65), img_shape=(65, 65)))
        return dict(inputs=list(torch.randint(256, (2, 3, 65, 65), dtype=torch.uint8)), data_samples=samples)
    if toolbox == 'mmpretrain':
        from mmpretrain.structures import DataSample

        # InceptionV3 reduces 75 pixels to one, CIFAR's networks 4.
        size = {'InceptionV3': 80, 'Res2NeXtCIFAR': 16}.get(type(model.backbone).__name__, 64)
        images = torch.randint(256, (2, 3, size, size), dtype=torch.uint8)
        return dict(inputs=list(images), data_samples=[DataSample().set_gt_label(i) for i in range(2)])
    from mmpose.testing import get_packed_inputs

    return get_packed_inputs(2, 1, 17, input_size=(192, 256), heatmap_size=(48, 64), with_heatmap=True)


@pytest.mark.parametrize('name', FILES)
def test_builds_steps_and_predicts(name):
    torch.manual_seed(0)
    model = build(name)
    inputs = fake_inputs(model)
    if getattr(model.data_preprocessor, 'size', None):  # DSS's images keep their own
        model.data_preprocessor.size = (65, 65)
    data = model.data_preprocessor(copy.deepcopy(inputs), training=True)
    loss, _ = model.parse_losses(model(**data, mode='loss'))
    loss.backward()
    assert torch.isfinite(loss)
    assert all(p.grad is not None for p in model.backbone.parameters() if p.requires_grad)
    model.eval()
    with torch.no_grad():
        results = model.test_step(inputs)
    assert len(results) == 2
    if name in CLASSIFIERS + DIGITS:
        classes = dict(imagenet=1000, cifar100=100, digits=10)[Path(name).parent.name]
        assert results[0].pred_score.shape == (classes,)
    elif 'deeplabv3plus' in name or 'dss' in name:
        assert results[0].pred_sem_seg.data.shape == (1, 65, 65)
    elif 'simplebaseline' in name:
        assert results[0].pred_instances.keypoints.shape == (1, 17, 2)
    else:
        found = results[0].pred_instances
        assert found.bboxes.shape == (len(found), 4)
        if model.with_mask:
            assert found.masks.shape[0] == len(found)


@pytest.mark.parametrize('name', FILES)
def test_all_that_a_config_names_exists(name):
    cfg = load_config(str(PATHS[name]))
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        preflight.check_names(cfg)


# The paper's other networks in detection and segmentation.
BEYOND = {
    'faster_rcnn_r2ndla60_fpn_coco.py': dict(type='res2net_mm.Res2NetDLA', depth=60),
    'mask_rcnn_r2nx50_coco.py': dict(type='res2net_mm.Res2Net', depth=50, base_width=4, groups=8),
    'deeplabv3plus_r2nx50_voc12aug.py': dict(type='res2net_mm.Res2Net', depth=50, base_width=4, groups=8),
}


@pytest.mark.parametrize('name', BEYOND)
def test_other_networks_as_backbones(name):
    backbone = Config.fromfile(PATHS[name]).model.backbone
    assert BEYOND[name] == {key: backbone[key] for key in BEYOND[name]}
    assert backbone.init_cfg.checkpoint.removeprefix('res2net://') in RELEASED


# ---- pairs -----------------------------------------------------------------------------------------

PAIRS = [(re.sub(r'_r2n(50|101)(v1b|_\d+w\ds)?_', r'_r\1_', name), name) for name in FILES if '_r2n' in name]
PAIRS = [(a, b) for a, b in PAIRS if not b.startswith(('cascade', 'htc')) and b not in CLASSIFIERS]
CLASSIFIER_PAIRS = [
    (f'imagenet/{baseline}_imagenet.py', f'imagenet/{ours}_imagenet.py')
    for baseline, *many in (
        'r50 r2n50 r2n50v1b r2n50_48w2s r2n50_14w8s r2n50_18w6s r2n50_26w6s r2n50_26w8s r2n50_18w4s'.split(),
        ('r101', 'r2n101', 'r2n101v1b'),
        ('rx50', 'r2nx50'),
        ('se_r50', 'se_r2n50'),
        ('blr50', 'blr2n50'),
        ('dla60', 'r2ndla60'),
        ('dlax60', 'r2nxdla60'),
    )
    for ours in many
] + [('cifar100/rx29_8c64w_cifar100.py', name) for name in CLASSIFIERS if 'cifar' in name]


@pytest.mark.parametrize('baseline,ours', PAIRS + CLASSIFIER_PAIRS)
def test_a_baseline_differs_in_nothing_but_the_backbone(baseline, ours):
    def rest(name):
        cfg = Config.fromfile(PATHS[name])
        del cfg.model.backbone
        if 'roi_head' in cfg.model:
            cfg.model.roi_head.pop('shared_head', None)
        cfg._cfg_dict.pop('pretrained', None)
        return cfg._cfg_dict.to_dict()

    def common(name):
        """What both kinds of backbone have: all but what makes it a Res2Net, and its weights."""
        cfg = Config.fromfile(PATHS[name])
        parts = [cfg.model.backbone, cfg.model.get('roi_head', {}).get('shared_head', {})]
        own = ('type', 'init_cfg', 'scales', 'base_width', 'deep_stem', 'avg_down')
        return [{k: v for k, v in part.items() if k not in own} for part in parts]

    assert rest(baseline) == rest(ours)
    if ours in CLASSIFIERS:  # trained from scratch; a setting of the backbone is its own
        return
    if ours != 'mask_rcnn_r2n101v1b_coco.py':  # the authors' run in MMDetection, whose BN layers learn
        assert common(baseline) == common(ours)


def test_every_backbone_of_the_papers_tables_has_its_config():
    """The rows of Tables 5 to 10, and the authors' results in MMDetection."""
    rows = {
        'faster_rcnn_{}_voc07': 'r50 r2n50',
        'faster_rcnn_{}_coco': 'r50 r2n50',
        'faster_rcnn_{}_fpn_coco': 'r50 r2n50 r101 r2n101 r2n50v1b r2n101v1b',
        'mask_rcnn_{}_coco': 'r50 r2n50_48w2s r2n50 r2n50_18w6s r2n50_14w8s r101 r2n101 r2n101v1b',
        'cascade_rcnn_{}_coco': 'r2n101v1b',
        'cascade_mask_rcnn_{}_coco': 'r2n101v1b',
        'htc_{}_coco': 'r2n101v1b',
        'deeplabv3plus_{}_voc12aug': 'r50 r2n50_48w2s r2n50 r2n50_18w6s r2n50_14w8s r101 r2n101',
        'dss_{}_msrab': 'r50 r2n50',
        'simplebaseline_{}_coco': 'r50 r2n50 r101 r2n101 r2n50v1b r2n101v1b',
    }
    wanted = {name.format(row) + '.py' for name, backbones in rows.items() for row in backbones.split()}
    assert wanted == set(REAL) - set(BEYOND)
    for name in wanted:  # each is the network that its name says
        backbone = Config.fromfile(PATHS[name]).model.backbone
        ours, depth, v1b, setting = re.search(r'_r(2n)?(50|101)(v1b)?(?:_(\d+w\ds))?_', name).groups()
        if name == 'dss_r50_msrab.py':  # which needs the stem's output: this package's ResNet-50
            assert (backbone.pop('type'), backbone.pop('scales'), backbone.pop('base_width')) == (
                'res2net_mm.Res2Net', 1, 64,
            )  # fmt: skip
        assert (backbone.get('type') == 'res2net_mm.Res2Net') == bool(ours)
        assert backbone.depth == int(depth)
        assert backbone.get('deep_stem', False) == backbone.get('avg_down', False) == bool(v1b)
        width, scales = backbone.get('base_width', 26), backbone.get('scales', 4)
        assert f'{width}w{scales}s' == (setting or '26w4s')


@pytest.mark.parametrize('folder,names', [('imagenet', '123'), ('cifar100', ('4', 'Figure 5'))])
def test_every_classifier_has_its_row(folder, names):
    rows = [row for name in names for group in specs()[name]['groups'] for row in group['rows']]
    shown = {f'{folder}/{row["config"]}.py' for row in rows if 'config' in row}
    assert shown == {name for name in CLASSIFIERS if name.startswith(folder)}
    assert [row['row'][0] for row in rows if 'config' not in row] == (
        [] if folder == 'imagenet' else ['Wide ResNet', 'DenseNet-BC (k = 40)']
    )


@pytest.mark.parametrize('name', CLASSIFIERS)
def test_a_classifier_is_the_network_that_its_name_says(name):
    backbone = Config.fromfile(PATHS[name]).model.backbone
    if match := re.search(r'/(se_)?r(2n)?x(\d+)_(\d+)c(\d+)w(\d?)s?_cifar100', name):
        se, ours, *numbers = match.groups()
        assert backbone.type == 'res2net_mm.Res2NeXtCIFAR' and backbone.get('with_se', False) == bool(se)
        assert bool(ours) == (backbone.scales > 1)
        keys = ('depth', 'groups', 'base_width', 'scales')
        assert [str(backbone[key]) for key in keys] == [*numbers[:3], numbers[3] or '1']
    elif match := re.search(r'/(se_)?r2n(x?)(\d+)(v1b)?(?:_(\d+w\ds))?(_299)?_imagenet', name):
        se, x, depth, v1b, setting, _ = match.groups()
        assert backbone.type == 'res2net_mm.Res2Net' and backbone.depth == int(depth)
        assert backbone.get('with_se', False) == bool(se)
        assert backbone.get('deep_stem', False) == backbone.get('avg_down', False) == bool(v1b)
        width, scales = backbone.get('base_width', 26), backbone.get('scales', 4)
        assert f'{width}w{scales}s' == (setting or ('4w4s' if x else '26w4s'))
        assert backbone.get('groups', 1) == (8 if x else 1)
    else:
        kinds = dict(
            blr='res2net_mm.BLRes2Net', r2n='res2net_mm.Res2NetDLA', dla='TIMMBackbone', r='ResNet',
            rx='ResNeXt', se_r='SEResNet', densenet='DenseNet', inception_v='InceptionV3',
        )  # fmt: skip
        kind = re.search(r'/(blr|r2n|dla|\D+)', name)[1]
        assert backbone.type == kinds[kind]


@pytest.mark.parametrize('name', DIGITS)
def test_a_network_on_digits_is_figure_5s_with_an_eighth_of_the_channels(name):
    """Of the same name but for its width, which is an eighth, too."""
    real = re.sub(r'demo/digits/(\w+c)3w(\w*)_digits', r'cifar100/\g<1>24w\2_cifar100', name)
    assert real in CLASSIFIERS
    real, ours = (Config.fromfile(PATHS[n]).model for n in (real, name))
    assert not ours.backbone.pop('zero_init_residual')
    assert ours.backbone.pop('base_channels') == 64 / 8 and ours.head.in_channels == real.head.in_channels / 8
    real.backbone.base_width /= 8
    assert ours.backbone == real.backbone


def test_digits_are_normalized_by_the_training_images(tmp_path):
    make_demo_data(tmp_path / 'demo', dict.fromkeys(COUNTS, 0) | {'digits/train': 500, 'digits/test': 10})
    pixels = np.stack([cv2.imread(str(p)) for p in (tmp_path / 'demo/digits/train').glob('*/*.png')])
    preprocessor = Config.fromfile(PATHS[DIGITS[0]]).model.data_preprocessor
    assert preprocessor.mean == [pytest.approx(pixels.mean(), abs=0.1)] * 3
    assert preprocessor.std == [pytest.approx(pixels.std(), abs=0.1)] * 3


# ---- protocols -------------------------------------------------------------------------------------


@pytest.mark.parametrize('name', [n for n in FILES if n.startswith('demo/') and n not in DIGITS])
def test_a_demo_config_is_the_real_model(name):
    """Only initialization, what that freezes, the number of RoIs and the size of the input differ."""
    real = name.removeprefix('demo/').replace('_voc.py', '_msrab.py')  # DSS's scenes are VOC's
    real, demo = (Config.fromfile(PATHS[n]).model for n in (real, name))
    for model in (real, demo):
        for _, node in walk(model):
            if node.get('type') == 'RandomSampler':
                del node['num']
            for key in (
                'max_per_img',
                'init_cfg',
                'frozen_stages',
                'norm_eval',
                'norm_cfg',
                'size',
                'decoder',
            ):
                node.pop(key, None)
    assert real == demo


@pytest.mark.parametrize('backbone', ['r50', 'r2n50'])
def test_the_c4_detector_is_split_between_backbone_and_shared_head(backbone):
    model = build(f'faster_rcnn_{backbone}_coco.py')
    if backbone == 'r2n50':
        assert type(model.backbone) is Res2Net and type(model.roi_head.shared_head) is Res2Layer
        names = {k for part in (model.backbone, model.roi_head.shared_head) for k in part.state_dict()}
        with torch.device('meta'):
            assert names == set(Res2Net().state_dict())
    (feature,) = model.backbone(torch.rand(1, 3, 64, 96))
    assert feature.shape == (1, 1024, 4, 6)  # stride 16
    frozen = {k.split('.')[0] for k, p in model.backbone.named_parameters() if not p.requires_grad}
    assert {'conv1', 'bn1', 'layer1'} <= frozen
    assert not any(m.training for m in model.train().modules() if isinstance(m, torch.nn.BatchNorm2d))


@pytest.mark.parametrize('name', [n for n in REAL if n.startswith('deeplab')])
def test_deeplab_sees_output_stride_16_in_training_and_evaluation(name):
    model = build(name)
    for mode in (True, False):
        model.train(mode)
        maps = model.backbone(torch.rand(2, 3, 65, 81))
        assert [tuple(x.shape[-2:]) for x in maps] == [(17, 21), (9, 11), (5, 6), (5, 6)]
    rates = [m.dilation[0] for m in model.backbone.layer4.modules() if getattr(m, 'kernel_size', 0) == (3, 3)
             and isinstance(m, torch.nn.Conv2d)]  # fmt: skip
    assert sorted(set(rates)) == [2, 4, 8]  # rate 2 times the multi-grid 1, 2, 4
    cfg = Config.fromfile(PATHS[name])
    assert cfg.model.decode_head.dilations == (1, 6, 12, 18)
    assert cfg.train_pipeline[3].crop_size == cfg.model.data_preprocessor.size == (513, 513)
    assert cfg.optim_wrapper.optimizer.lr == 0.007 and cfg.auto_scale_lr.base_batch_size == 16


@pytest.mark.parametrize('name', ['dss_r50_msrab.py', 'dss_r2n50_msrab.py'])
def test_dss_learns_as_published(name):
    cfg = Config.fromfile(PATHS[name])
    updates = cfg.optim_wrapper.accumulative_counts
    assert updates * cfg.train_dataloader.batch_size == cfg.auto_scale_lr.base_batch_size == 10
    assert cfg.train_cfg.max_iters == 12000 * updates
    (steps,) = cfg.param_scheduler
    assert steps.milestones == [7500 * updates] and steps.gamma == 0.1 and not steps.by_epoch
    model = build(name)
    assert not any(m.training for m in model.train().modules() if isinstance(m, torch.nn.BatchNorm2d))
    optimizer = build_optim_wrapper(model, cfg.optim_wrapper).optimizer
    names = {p: n for n, p in model.named_parameters()}
    assert len(optimizer.param_groups) == len(names) - sum(
        'bn' in n or 'downsample.1' in n for n in names.values()
    )
    layers = dict(model.named_modules())
    for group in optimizer.param_groups:
        (parameter,) = group['params']
        layer, _, kind = names[parameter].rpartition('.')
        new_1x1 = layer.startswith('decode_head') and layers[layer].kernel_size == (1, 1)
        factor = (0.1 if new_1x1 else 1) * (2 if kind == 'bias' else 1)
        assert group['lr'] == pytest.approx(1e-8 * factor), names[parameter]
        assert (group['momentum'], group['weight_decay']) == (0.9, 5e-4)


@pytest.mark.parametrize('scales,base_width,name', [(1, 64, 'r50'), (4, 26, 'r2n50')])
def test_dss_starts_from_imagenets_weights(scales, base_width, name, tmp_path):
    """ResNet-50 from torchvision's."""
    if scales == 1:
        weights = torchvision.models.resnet50().state_dict()
    else:
        weights = Res2Net(scales=scales, base_width=base_width).state_dict()
    torch.save(weights, tmp_path / 'weights.pth')
    init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'weights.pth'))
    backbone = build(f'dss_{name}_msrab.py', **{'model.backbone.init_cfg': init_cfg}).backbone
    backbone.init_weights()
    images = torch.rand(1, 3, 64, 64)
    stem, *_, last = backbone.eval()(images)
    assert stem.shape == (1, 64, 32, 32) and last.shape == (1, 2048, 2, 2)
    if scales == 1:
        theirs = torchvision.models.resnet50()
        theirs.load_state_dict(weights)
        theirs.avgpool = theirs.fc = torch.nn.Identity()
        torch.testing.assert_close(last.flatten(1), theirs.eval()(images), atol=1e-4, rtol=1e-4)


def test_input_is_normalized_as_the_weights_expect():
    for name in (n for n in FILES if not n.startswith(('cifar100', 'demo/digits'))):
        preprocessor = Config.fromfile(PATHS[name]).model.data_preprocessor
        to_rgb = preprocessor.to_rgb if name in CLASSIFIERS else preprocessor.bgr_to_rgb
        assert preprocessor.mean == [123.675, 116.28, 103.53] and to_rgb
        assert preprocessor.std == [58.395, 57.12, 57.375]


@pytest.mark.parametrize('name', ['imagenet/r2n50_imagenet.py', 'cifar100/r2nx29_6c24w4s_cifar100.py'])
def test_classifiers_train_by_the_papers_recipe(name):
    cfg = Config.fromfile(PATHS[name])
    imagenet = 'imagenet' in name
    (steps,) = cfg.param_scheduler
    assert cfg.train_cfg.max_epochs == (100 if imagenet else 300)
    assert steps.milestones == ([30, 60, 90] if imagenet else [150, 225]) and steps.gamma == 0.1
    assert cfg.auto_scale_lr.base_batch_size == (256 if imagenet else 128)
    sgd = dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=1e-4 if imagenet else 5e-4)
    assert cfg.optim_wrapper.optimizer == (sgd if imagenet else dict(sgd, nesterov=True))
    assert cfg.test_evaluator == dict(type='Accuracy', topk=(1, 5))


def test_key_points_are_tested_in_detected_boxes_or_by_one_option_in_true_ones():
    path = str(PATHS['simplebaseline_r2n50_coco.py'])
    detections = 'person_detection_results/COCO_val2017_detections_AP_H_56_person.json'
    assert load_config(path).test_dataloader.dataset.bbox_file.endswith(detections)
    cfg = load_config(path, {'test_dataloader.dataset.bbox_file': None})
    assert cfg.test_dataloader.dataset.bbox_file is None


@pytest.mark.parametrize(
    'name', ['r2n50', 'r2nx50', 'se_r2n50', 'r2n50v1b', 'r2ndla60', 'r2nxdla60', 'blr2n50', 'r2nx29_6c24w4s']
)
def test_a_classifiers_checkpoint_is_a_backbones(name, tmp_path):
    """Whole and without conversion, as ``init_cfg``."""
    path = next(p for p in CLASSIFIERS if p.split('/')[1].startswith(f'{name}_') and '299' not in p)
    changes = {'model.backbone.base_channels': 16}
    classifier = build(path, **changes)
    torch.save(dict(state_dict=classifier.state_dict(), meta={}), tmp_path / 'epoch_100.pth')
    backbone = build(path, **changes).backbone
    load_pretrained(backbone, tmp_path / 'epoch_100.pth')
    theirs, ours = classifier.backbone.state_dict(), backbone.state_dict()
    assert theirs.keys() == ours.keys() and all(torch.equal(theirs[k], ours[k]) for k in ours)


# ---- data ------------------------------------------------------------------------------------------


@pytest.fixture(scope='module')
def demo_root(tmp_path_factory):
    root = tmp_path_factory.mktemp('data') / 'demo'
    make_demo_data(root, dict.fromkeys(COUNTS, 2) | {'coco/train': 6, 'coco/val': 3})
    return root


@pytest.mark.parametrize('name', EXPERIMENTS + DIGITS[:1])
def test_reads_the_demo_data_with_only_the_root_changed(name, demo_root):
    cfg = Config.fromfile(PATHS[name])
    text = re.sub("'data/(demo/)?", f"'{demo_root}/", cfg.pretty_text)
    cfg = Config.fromstring(text, '.py')
    preflight.check_data(cfg, 'train')
    preflight.check_data(cfg, 'test')
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        samples = []
        for phase in ('train', 'test'):
            dataset = DATASETS.build(cfg[f'{phase}_dataloader'].dataset)
            assert len(dataset) > 0
            samples.append(dataset[0])
            assert samples[-1]['inputs'].shape[0] == 3
    if name.startswith('htc'):  # COCO-Stuff's maps: things are 0 ... 90
        seen = set(samples[0]['data_samples'].gt_sem_seg.sem_seg.unique().tolist())
        assert seen - {255} and seen - {255} <= set(range(91))


@pytest.mark.parametrize('name,size', [('r2n50', 224), ('r2n50_299', 299)])
def test_reads_imagenet(name, size, tmp_path):
    for folder in ('train/n01', 'train/n02', 'val/n01', 'val/n02'):
        (tmp_path / folder).mkdir(parents=True)
        cv2.imwrite(str(tmp_path / folder / 'x.jpg'), np.full((60, 80, 3), (255, 0, 0), np.uint8))
    options = {f'{phase}_dataloader.dataset.data_root': str(tmp_path) for phase in ('train', 'val', 'test')}
    cfg = load_config(str(PATHS[f'imagenet/{name}_imagenet.py']), options)
    preflight.check(cfg, 'train')
    preflight.check(cfg, 'test')
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        for phase in ('train', 'test'):
            dataset = DATASETS.build(dict(cfg[f'{phase}_dataloader'].dataset, metainfo=dict(classes='ab')))
            assert len(dataset) == 2 and dataset[1]['data_samples'].gt_label == 1
            image = dataset[0]['inputs']
            assert image.shape == (3, size, size) and image[0].float().mean() > 250  # blue, as it was read


def test_reads_cifar100(tmp_path, monkeypatch):
    from mmpretrain.datasets import CIFAR100

    folder = tmp_path / CIFAR100.base_folder
    folder.mkdir()
    md5 = {}
    for part in ('train', 'test', 'meta'):
        content = pickle.dumps(
            {'data': np.zeros((3, 3072), np.uint8), 'fine_labels': [0, 7, 99],
             'fine_label_names': CIFAR100.METAINFO['classes']}
        )  # fmt: skip
        (folder / part).write_bytes(content)
        md5[part] = hashlib.md5(content).hexdigest()
    monkeypatch.setattr(CIFAR100, 'train_list', [['train', md5['train']]])
    monkeypatch.setattr(CIFAR100, 'test_list', [['test', md5['test']]])
    monkeypatch.setitem(CIFAR100.meta, 'md5', md5['meta'])
    options = {f'{phase}_dataloader.dataset.data_root': str(tmp_path) for phase in ('train', 'val', 'test')}
    cfg = load_config(str(PATHS['cifar100/rx29_8c64w_cifar100.py']), options)
    preflight.check(cfg, 'train')
    preflight.check(cfg, 'test')
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        for phase in ('train', 'test'):
            dataset = DATASETS.build(cfg[f'{phase}_dataloader'].dataset)
            assert len(dataset) == 3 and dataset[1]['data_samples'].gt_label == 7
            assert dataset[0]['inputs'].shape == (3, 32, 32)
