"""Predictions on pictures of one's own: every task, every kind of input, the page."""

import base64
import json
import os
import runpy
import signal
import sys
from pathlib import Path
from urllib.parse import unquote

import cv2
import numpy as np
import own_folders as folders
import pytest
import torch
from helpers import on_every_device
from mmengine.registry import MODELS, DefaultScope
from pages import Page, in_a_browser, shown_images

from res2net_mm.config import load_config
from res2net_mm.errors import UserError
from res2net_mm.fused import FusedBackbone
from res2net_mm.toolboxes import import_toolbox
from res2net_mm.visualization.ground_truth import load_ground_truth
from res2net_mm.visualization.inferencers import Prediction, load_predictor
from res2net_mm.visualization.predict import find_images, predict, unique_names

TINY = """
_base_ = 'res2net_mm::{base}.py'
model = dict(
    backbone=dict(depth=(1, 1, 1, 1), base_channels=8, stem_channels=8, base_width=4, init_cfg=None{more}),
    {rest}
)
"""
TASKS = dict(
    boxes=(
        'mask_rcnn_r2n50_coco',
        """
    neck=dict(in_channels=[32, 64, 128, 256], out_channels=16),
    rpn_head=dict(in_channels=16, feat_channels=16),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=16),
        bbox_head=dict(in_channels=16, fc_out_channels=32),
        mask_roi_extractor=dict(out_channels=16),
        mask_head=dict(in_channels=16, conv_out_channels=16),
    ),
    test_cfg=dict(rpn=dict(max_per_img=20), rcnn=dict(score_thr=0.0, max_per_img=7)),""",
    ),
    segments=(
        'deeplabv3plus_r2n50_voc12aug',
        'decode_head=dict(in_channels=256, channels=16, c1_in_channels=32, c1_channels=8),',
    ),
    saliency=(
        'deeplabv3plus_r2n50_voc12aug',
        'decode_head=dict(in_channels=256, channels=16, c1_in_channels=32, c1_channels=8, '
        'num_classes=2, out_channels=1),',
    ),
    points=('simplebaseline_r2n50_coco', 'head=dict(in_channels=256, deconv_out_channels=(16, 16, 16)),'),
    classes=('imagenet/r2n50_imagenet', 'head=dict(in_channels=256),'),
)
OPTIONS = dict(boxes={'test_dataloader.dataset.pipeline.1.scale': (160, 120)})
VOC = """background aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse motorbike
    person pottedplant sheep sofa train tvmonitor""".split()
IMAGE = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)


@pytest.fixture(scope='module')
def models(tmp_path_factory):
    """Of each task a small config, and a checkpoint of random weights that says nothing of its classes."""
    folder, models = tmp_path_factory.mktemp('models'), {}
    for task, (base, rest) in TASKS.items():
        config = folder / f'{task}.py'
        config.write_text(
            TINY.format(base=base, rest=rest, more=', multi_grid=(2,)' if 'deeplab' in base else '')
        )
        cfg = load_config(str(config))
        import_toolbox(cfg.default_scope)
        torch.manual_seed(0)
        with DefaultScope.overwrite_default_scope(cfg.default_scope):
            model = MODELS.build(cfg.model)
        torch.save(dict(state_dict=model.state_dict()), config.with_suffix('.pth'))
        models[task] = str(config), str(config.with_suffix('.pth'))
    return models


def load(models, task, device='cpu', **how):
    return load_predictor(*models[task], OPTIONS.get(task), device, **how)


@on_every_device
def test_boxes_and_masks(models, device):
    predictor = load(models, 'boxes', device)
    assert isinstance(predictor.inferencer.model.backbone, FusedBackbone)
    prediction = predictor(IMAGE, 0.0)
    assert prediction.picture.shape == (450, 600, 3) and prediction.picture.dtype == np.uint8  # enlarged
    assert set(prediction.result) == {'bboxes', 'classes', 'labels', 'scores', 'masks'}
    assert prediction.result['classes'][0] == predictor.classes[prediction.result['labels'][0]]
    assert prediction.result['masks'][0]['size'] == [90, 120]
    assert np.max(prediction.result['bboxes']) <= 120  # in pixels of the image, not of the picture
    assert len(prediction.found) == len(prediction.result['scores']) == 7
    scores = [score for _, score in prediction.found]
    assert scores == sorted(scores, reverse=True)
    threshold = scores[2]
    fewer = predictor(IMAGE, threshold)
    assert fewer.found == [(name, score) for name, score in prediction.found if score >= threshold]
    assert len(fewer.result['scores']) == 7
    assert not np.array_equal(fewer.picture, prediction.picture)
    json.dumps(prediction.result)


@on_every_device
def test_fused_and_half_find_the_same(models, device):
    plain, fused, half = (
        load(models, 'boxes', device, **how)(IMAGE, 0.0).result['scores']
        for how in (dict(fused=False), {}, dict(half=True))
    )
    np.testing.assert_allclose(fused, plain, rtol=1e-3)
    assert half != fused
    np.testing.assert_allclose(half, plain, rtol=0.05)


@on_every_device
def test_segments_bear_the_data_sets_names(models, device):
    prediction = load(models, 'segments', device)(IMAGE, 0.3)
    assert prediction.picture.shape == (90, 120, 3)
    assert prediction.map.shape == (90, 120) and prediction.map.max() < 21
    assert prediction.result.keys() == {'shares'}  # a class may be called as another key
    assert sum(prediction.result['shares'].values()) == pytest.approx(1)
    name, share = prediction.found[0]
    assert share == np.bincount(prediction.map.flat).max() / (90 * 120)
    assert name in VOC  # not one of Cityscapes, which mmseg falls back to


@on_every_device
def test_saliency_is_a_gray_map_beside_the_image(models, device):
    prediction = load(models, 'saliency', device)(IMAGE, 0.3)
    assert prediction.map.shape == (90, 120) and prediction.map.dtype == np.uint8
    assert len(np.unique(prediction.map)) > 2  # not cut at the threshold
    np.testing.assert_array_equal(prediction.picture[:, :120], IMAGE[..., ::-1])
    np.testing.assert_array_equal(prediction.picture[:, 120:, 1], prediction.map)
    assert prediction.result['salient'] == pytest.approx(prediction.map.mean() / 255, abs=1e-6)


@on_every_device
def test_key_points_of_one_who_fills_the_image(models, device):
    prediction = load(models, 'points', device)(IMAGE, 0.0)
    (person,) = prediction.result
    assert np.shape(person['keypoints']) == (17, 2) and person['bbox'] == ([0.0, 0.0, 120.0, 90.0],)
    ((name, score),) = prediction.found
    seen = [value for value in person['keypoint_scores'] if value >= 0]
    assert name == f'person, {len(seen)} of 17 points' and score == pytest.approx(np.mean(seen))


def test_key_points_of_detected_persons(models):
    detector = load(models, 'boxes')
    found = detector(IMAGE, 0.0).result
    persons = [box for box, label in zip(found['bboxes'], found['labels']) if label == 0]
    if not persons:  # of random weights it is chance which class they prefer
        detector.classes = detector.classes[found['labels'][0] :] + detector.classes[: found['labels'][0]]
    predictor = load(models, 'points', detector=detector)
    predictor.inferencer.det_cat_ids = (found['labels'][0],)
    prediction = predictor(IMAGE, 0.0)
    boxes = [person['bbox'][0] for person in prediction.result]
    assert boxes and all(any(np.allclose(box, other, atol=0.1) for other in found['bboxes']) for box in boxes)


def test_a_detector_of_no_persons_is_refused(models):
    detector = load(models, 'boxes')
    detector.classes = ('car', 'boat')
    with pytest.raises(UserError, match='the detector finds no persons, but car, boat'):
        load(models, 'points', detector=detector)
    with pytest.raises(UserError, match='a detector is for key points, and .*classes.py is of mmpretrain'):
        load(models, 'classes', detector=detector)


@on_every_device
def test_classes(models, device):
    prediction = load(models, 'classes', device)(IMAGE[:24, :32], 0.3)
    assert min(prediction.picture.shape[:2]) == 224  # what is written on it can be read
    assert len(prediction.found) == 5
    assert prediction.found[0] == (prediction.result['pred_class'], prediction.result['pred_score'])
    assert len(prediction.result['pred_scores']) == 1000


def test_classes_of_cifar_are_of_rgb(tmp_path):
    """As its data set gives them: the config doesn't swap channels."""
    cfg = load_config('res2net_mm::cifar100/rx29_6c24w_cifar100.py')
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        import_toolbox('mmpretrain')
        model = MODELS.build(cfg.model).eval()
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'x.pth')
    predictor = load_predictor(
        'res2net_mm::cifar100/rx29_6c24w_cifar100.py', str(tmp_path / 'x.pth'), device='cpu'
    )
    image = IMAGE[:32, :32] // np.uint8([1, 2, 8])  # BGR
    rgb = torch.from_numpy(image[..., ::-1].copy()).permute(2, 0, 1)
    with torch.no_grad():
        data = model.data_preprocessor(dict(inputs=[rgb]))
        scores = model(data['inputs']).softmax(1)[0].numpy()
    np.testing.assert_allclose(predictor(image, 0.3).result['pred_scores'], scores, rtol=1e-3)


def test_checkpoints_of_other_models_are_refused(models, tmp_path):
    config, checkpoint = models['boxes'][0], models['points'][1]
    with pytest.raises(
        UserError, match=r"is not of this config's model: of its \d+ .*, \d+ missing \(.* and \d+ more\)"
    ):
        load_predictor(config, checkpoint, device='cpu')
    with pytest.raises(UserError, match='nothing.pth'):
        load_predictor(config, str(tmp_path / 'nothing.pth'), device='cpu')
    (tmp_path / 'code.pth').write_bytes(b"cos\nsystem\n(S'touch executed'\ntR.")
    with pytest.raises(UserError, match='code.pth'):
        load_predictor(config, str(tmp_path / 'code.pth'), device='cpu')


def test_devices_and_configs_that_will_not_do(models, tmp_path):
    with pytest.raises(UserError, match='device gpu7: '):
        load_predictor(*models['classes'], device='gpu7')
    with pytest.raises(UserError, match="device mps: .* Apple's GPU"):
        load_predictor(*models['classes'], device='mps')
    (tmp_path / 'bare.py').write_text("default_scope = 'mmdet'\n")
    with pytest.raises(
        UserError, match='that takes a default_scope .mmdet, mmseg, mmpose, mmpretrain., a model'
    ):
        load_predictor(str(tmp_path / 'bare.py'), models['boxes'][1], device='cpu')


def test_inputs_are_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    hidden = 'a/.3.jpg', 'a/.b/3.jpg', 'a/notes.txt', 'a/predictions/m/2.jpg'
    for name in ('a/2.jpg', 'a/1.png', 'a/Übung/4.JPEG', 'clip.mp4', 'odd [1].jpg', *hidden):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / 'empty').mkdir()
    inputs = (
        'a',
        'a/Ü*/*.J*',
        'a/2.jpg',
        'clip.mp4',
        'odd [1].jpg',
        'https://x.org/5.jpg',
        'empty',
        'no.jpg',
        'no*',
    )
    sources, wrong, left = find_images(inputs)
    assert sources == [
        'a/1.png', 'a/2.jpg', 'a/Übung/4.JPEG', 'clip.mp4', 'odd [1].jpg', 'https://x.org/5.jpg'
    ]  # fmt: skip
    assert wrong == ['empty has no images in it', 'no.jpg does not exist', 'no* matches no file']
    assert left == []
    with pytest.raises(UserError, match='^empty has no images in it; no.jpg does not exist$'):
        find_images(['empty', 'no.jpg'])


@pytest.mark.parametrize('make, count, left', [
    (folders.voc_layout, 6, 12),
    (folders.cvat_coco, 10, 0),
    (folders.class_splits, 10, 0),
    (folders.masks_layout, 5, 5),
    (folders.masks_in_splits, 6, 6),
    (folders.roboflow_masks, 5, 5),
    (folders.msra, 10, 10),
])  # fmt: skip
def test_folders_of_own_data_give_their_pictures_without_their_masks(make, count, left, tmp_path):
    make(tmp_path / 'pets')
    sources, wrong, said = find_images([str(tmp_path / 'pets')])
    assert (len(sources), wrong, len(said)) == (count, [], bool(left))
    assert ''.join(said).startswith(f'{left} left out, masks by name: ' if left else '')
    every = find_images(
        [f'{tmp_path}/pets/**/*.jpg', f'{tmp_path}/pets/**/*.JPG', f'{tmp_path}/pets/**/*.png']
    )
    masks = {*every[0]} - {*sources}  # which are pictures where they are asked for
    assert len(masks) == left and find_images([str(tmp_path / 'pets'), *masks])[1:] == ([], [])


def test_a_folder_of_masks_only(tmp_path):
    folders.mask(tmp_path / 'masks/a/1_mask.png', [0, 1])
    folders.mask(tmp_path / 'masks/b/labels/1.png', [0, 1])
    assert len(find_images([str(tmp_path / 'masks/a')])[0]) == 1
    folders.mask(tmp_path / 'x/labels/1.png', [0, 1])
    folders.mask(tmp_path / 'x/masks/1.png', [0, 1])
    sources, _, left = find_images([str(tmp_path / 'x')])
    assert len(sources) == 2 and left == []


def test_names_are_unique():
    sources = ['a/1.jpg', 'b/1.png', '1', 'https://x.org/2.jpg?size=3', 'https://x.org/', 'x.y.z', 'm::o.py']
    assert unique_names(sources) == dict(zip(['1', '1_2', '1_3', '2', 'image', 'x.y', 'o'], sources))


COCO = dict(
    images=[
        dict(id=1, file_name='val/1.jpg', height=90, width=120),
        dict(id=2, file_name='2.jpg', height=90, width=120),
    ],
    categories=[dict(id=0, name='car'), dict(id=7, name='unheard of')],
    annotations=[
        dict(
            id=1, image_id=1, category_id=0, bbox=[60, 40, 40, 30],
            segmentation=[[60, 40, 100, 40, 100, 70, 60, 70]], keypoints=[30, 20, 2] * 16 + [0, 0, 0],
        ),
        dict(id=2, image_id=1, category_id=7, bbox=[5, 5, 30, 20], segmentation=[[5, 5, 35, 5, 35, 25]]),
    ],
)  # fmt: skip


@pytest.fixture
def annotated(tmp_path):
    """COCO's JSON of an image in 'val' and of one that has nothing in it."""
    (tmp_path / 'coco.json').write_text(json.dumps(COCO))
    return str(tmp_path / 'coco.json')


def test_annotated_boxes_and_masks(models, annotated):
    truth = load_ground_truth(annotated, load(models, 'boxes'), ['data/val/1.jpg', '3.jpg'])
    assert [truth.find(name) for name in ('2.jpg', '3.jpg', 'train/1.jpg', '1.jpg')] == [None] * 4
    drawn = truth.draw(truth.find('https://x.org/val/1.jpg?size=3'), np.full_like(IMAGE, 90), 1.0)
    assert drawn.found == [('car', None), ('unheard of', None)]
    assert [annotation['id'] for annotation in drawn.result] == [1, 2]
    assert drawn.picture.shape == (450, 600, 3)  # as large as the prediction
    changed = np.any(drawn.picture != 90, 2)
    assert changed[210:340, 310:490].mean() > 0.99  # the mask in the car's box
    assert not changed[380:].any() and not changed[:190, 320:].any()


def test_annotated_key_points(models, annotated):
    truth = load_ground_truth(annotated, load(models, 'points'), ['val/1.jpg'])
    drawn = truth.draw(truth.find('val/1.jpg'), np.full_like(IMAGE, 90), 1.0)
    assert drawn.found == [('car, 16 of 17 points', None)]
    rows, columns = np.nonzero(np.any(drawn.picture != 90, 2))
    assert drawn.picture.shape == IMAGE.shape
    assert (rows.mean(), columns.mean()) == pytest.approx((20, 30), abs=1) and len(rows) < 100


def test_masks_of_classes_and_of_salient_pixels(models, tmp_path):
    mask = np.zeros((90, 120), np.uint8)
    mask[:45], mask[45:, :60] = 7, 255  # cars, and what is ignored
    cv2.imwrite(str(tmp_path / '1.png'), mask)
    cv2.imwrite(str(tmp_path / '3_mask.png'), mask)
    cv2.imwrite(str(tmp_path / '3.png'), IMAGE)  # as in own_data.py, beside its mask
    truth = load_ground_truth(str(tmp_path), load(models, 'segments'), ['1.jpg', '2.jpg'])
    assert truth.find('2.jpg') is None
    assert truth.find('3.png') == truth.find('a/3_mask.jpg') == tmp_path / '3_mask.png'
    drawn = truth.draw(truth.find('a/1.jpg'), IMAGE, 0.3)
    assert drawn.found == [('car', 0.5), ('background', 0.25)]
    np.testing.assert_array_equal(drawn.map, mask)
    assert drawn.picture.shape == IMAGE.shape and not np.array_equal(drawn.picture[:45], IMAGE[:45, :, ::-1])
    drawn = load_ground_truth(str(tmp_path), load(models, 'saliency'), ['1.jpg']).draw(
        tmp_path / '1.png', IMAGE, 0.3
    )
    np.testing.assert_array_equal(drawn.picture[:, 120:, 0], 255 * (mask > 128))
    assert drawn.found == [('salient', 0.25)]


@pytest.mark.parametrize(
    'task,content,message',
    [
        ('boxes', None, 'coco.json does not exist'),
        ('boxes', 'not JSON', "coco.json is not COCO's JSON: "),
        ('boxes', '[]', "coco.json is not COCO's JSON: "),
        ('boxes', '{"images": []}', "coco.json is not COCO's JSON: KeyError: 'categories'"),
        (
            'boxes',
            json.dumps(COCO).replace('[5, 5, 30, 20]', '[5, 5, 30]'),
            'is not .*: ValueError: cannot reshape',
        ),
        ('boxes', json.dumps(COCO), 'coco.json has nothing of 2.jpg, 3.jpg'),
        ('segments', json.dumps(COCO), "coco.json: this model's ground truth is a folder of masks"),
        ('classes', json.dumps(COCO), 'coco.json: a classifier has no ground truth that could be drawn'),
    ],
)
def test_ground_truth_that_will_not_do(task, content, message, models, tmp_path):
    if content is not None:
        (tmp_path / 'coco.json').write_text(content)
    with pytest.raises(UserError, match=message):
        load_ground_truth(str(tmp_path / 'coco.json'), load(models, task), ['2.jpg', '3.jpg'])


def test_ground_truth_of_other_images_is_refused(models, annotated, tmp_path):
    truth = load_ground_truth(annotated, load(models, 'boxes'), ['val/1.jpg'])
    with pytest.raises(UserError, match='coco.json: an image of .80, 120. pixels is .90, 120. there'):
        truth.draw(truth.find('val/1.jpg'), IMAGE[:80], 0.3)
    (tmp_path / '1.png').write_text('not an image')
    cv2.imwrite(str(tmp_path / '2.png'), IMAGE)
    masks = load_ground_truth(str(tmp_path), load(models, 'segments'), ['1.jpg'])
    with pytest.raises(UserError, match='1.png is not an image'):
        masks.draw(tmp_path / '1.png', IMAGE, 0.3)
    with pytest.raises(UserError, match=r'2.png is of shape \(90, 120, 3\), its image of \(90, 120\)'):
        masks.draw(tmp_path / '2.png', IMAGE, 0.3)


def gray(image, threshold):
    """In place of a model."""
    mean = float(image.mean() / 255)
    return Prediction(
        image[..., ::-1].copy(), dict(mean=mean), [('<gray> & co', mean)] * 8 if mean > 0.1 else []
    )


@pytest.fixture
def page(tmp_path):
    """A folder of predictions: of images with bad ones between, and of a video, by two models."""
    cv2.imwrite(str(tmp_path / 'a & b #1.png'), IMAGE)
    (tmp_path / 'other').mkdir()
    cv2.imwrite(str(tmp_path / 'other' / 'a & b #1.png'), np.zeros((300, 1500, 3), np.uint8))
    (tmp_path / 'bad.jpg').write_text('not an image')
    (tmp_path / 'bad.mp4').write_text('not a video')
    (tmp_path / 'empty.jpg').touch()
    video = cv2.VideoWriter(str(tmp_path / 'clip.mp4'), cv2.VideoWriter_fourcc(*'mp4v'), 5, (64, 48))
    for value in range(0, 200, 20):
        video.write(np.full((48, 64, 3), value, np.uint8))
    video.release()
    names = 'a & b #1.png', 'bad.jpg', 'other/a & b #1.png', 'bad.mp4', 'empty.jpg', 'clip.mp4'
    sources = [str(tmp_path / name) for name in names]
    about = {'Command': "predict.py '<script>'"}
    count, skipped, remarks = predict(dict(one=gray, two=gray), sources, tmp_path / 'out', about=about)
    assert count == 3 and len(skipped) == 3 and remarks == []
    for line, text in zip(skipped, (
        "bad.jpg can't be read: it is not an image, it begins with b'not an image'",
        'bad.mp4 is not a video that OpenCV reads',
        "empty.jpg can't be read: it is empty (0 bytes)",
    )):  # fmt: skip
        assert line == f'{tmp_path}/{text}'
    return tmp_path / 'out'


def test_pictures_and_json_are_written(page):
    for model in ('one', 'two'):
        written = sorted(file.name for file in (page / model).iterdir())
        assert written == [
            'a & b #1.jpg', 'a & b #1.json', 'a & b #1_2.jpg', 'a & b #1_2.json', 'clip.json', 'clip.mp4'
        ]  # fmt: skip
    result = json.loads((page / 'one' / 'a & b #1.json').read_text())
    source = f'{page.parent}/a & b #1.png'
    assert result == dict(source=source, mean=pytest.approx(IMAGE.mean() / 255))
    other = json.loads((page / 'one' / 'a & b #1_2.json').read_text())['source']
    assert other == f'{page.parent}/other/a & b #1.png'
    picture = cv2.imread(str(page / 'one' / 'a & b #1.jpg'))
    assert picture.shape == IMAGE.shape and abs(picture.mean(axis=(0, 1)) - IMAGE.mean(axis=(0, 1))).max() < 3
    frames = json.loads((page / 'one' / 'clip.json').read_text())['frames']
    np.testing.assert_allclose([frame['mean'] for frame in frames], np.arange(0, 200, 20) / 255, atol=0.02)
    video = cv2.VideoCapture(str(page / 'one' / 'clip.mp4'))
    assert [video.get(what) for what in (cv2.CAP_PROP_FRAME_COUNT, cv2.CAP_PROP_FPS)] == [10, 5]


def test_the_page_is_whole_by_itself(page):
    parsed = Page(page / 'index.html')
    assert len(parsed.images) == len(parsed.links) == 2 * (2 + 4)  # four frames of the video
    for image in parsed.images:
        data = base64.b64decode(image.removeprefix('data:image/jpeg;base64,'), validate=True)
        assert cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).shape[1] <= 720
    assert all((page / unquote(link)).is_file() for link in parsed.links)
    assert parsed.needs_nothing_else()
    for text in (
        'one and two',
        "predict.py '<script>'",
        '<gray> & co',
        'and 2 more',
        'nothing above the threshold of 0.3',
        'other/a & b #1.png',
    ):
        assert text in parsed.text
    assert 'a & b #1_2' in parsed.text and 'clip, 1.0 s' in parsed.text


@in_a_browser
def test_a_browser_shows_all_of_it(page, tmp_path):
    assert shown_images(page / 'index.html', tmp_path) == '12'


def test_an_interruption_leaves_what_was_done(tmp_path):
    for i in range(4):
        cv2.imwrite(str(tmp_path / f'{i}.png'), np.full((8, 8, 3), 50 * i, np.uint8))

    def interrupted(image, threshold):
        if image[0, 0, 0] == 100:
            raise KeyboardInterrupt
        return gray(image, threshold)

    with pytest.raises(KeyboardInterrupt):
        predict(dict(model=interrupted), [str(tmp_path / f'{i}.png') for i in range(4)], tmp_path / 'out')
    assert len(Page(tmp_path / 'out' / 'index.html').images) == 2
    assert sorted(p.name for p in (tmp_path / 'out' / 'model').iterdir()) == [
        '0.jpg', '0.json', '1.jpg', '1.json'
    ]  # fmt: skip


def test_nothing_to_read_and_nowhere_to_write(tmp_path):
    (tmp_path / 'bad.jpg').write_text('not an image')
    with pytest.raises(UserError, match="bad.jpg can't be read: it is not an image, it begins with"):
        predict(dict(model=gray), [str(tmp_path / 'bad.jpg')], tmp_path / 'out')
    with pytest.raises(UserError, match=r"http://127.0.0.1:9/x.jpg can't be read: .*refused"):
        predict(dict(model=gray), ['http://127.0.0.1:9/x.jpg'], tmp_path / 'out')
    assert not (tmp_path / 'out').exists()
    cv2.imwrite(str(tmp_path / 'good.png'), IMAGE)
    (tmp_path / 'out').write_text('a file')
    with pytest.raises(UserError, match='could not write to .*out: '):
        predict(dict(model=gray), [str(tmp_path / 'good.png')], tmp_path / 'out')


def test_an_image_that_resizing_leaves_nothing_of_is_skipped(tmp_path):
    def resized(image, threshold):
        height, width = image.shape[:2]
        return gray(cv2.resize(image, (128, height * 128 // width)), threshold)

    for name, shape in dict(a=(20, 20, 3), thin=(4, 3000, 3), z=(20, 20, 3)).items():
        cv2.imwrite(str(tmp_path / f'{name}.png'), np.zeros(shape, np.uint8))
    sources = [str(tmp_path / f'{name}.png') for name in ('a', 'thin', 'z')]
    count, (skipped,), _ = predict(dict(model=resized), sources, tmp_path / 'out')
    assert count == 2 and skipped.startswith(f'{sources[1]}, 3000x4: OpenCV says ')


def test_nothing_is_found_and_a_folder_is_used_again(tmp_path):
    for name in 'ab':
        cv2.imwrite(str(tmp_path / f'{name}.png'), np.zeros((8, 8, 3), np.uint8))
    cv2.imwrite(str(tmp_path / 'c.png'), IMAGE)
    sources = [str(tmp_path / f'{name}.png') for name in 'abc']
    assert predict(dict(model=gray), sources, tmp_path / 'out') == (3, [], [])
    count, _, remarks = predict(dict(model=gray), sources[:2], tmp_path / 'out', 0.25)
    assert count == 2 and remarks == [
        'model found nothing above the threshold of 0.25: give a lower --threshold',
        f'beside these there are 2 files of earlier predictions in {tmp_path}/out',
    ]
    assert len(list((tmp_path / 'out/model').iterdir())) == 6
    parsed = Page(tmp_path / 'out' / 'index.html')
    assert len(parsed.images) == 2 and '; '.join(remarks) in parsed.text


def test_the_tool_ends_on_sigterm_as_on_ctrl_c(monkeypatch):
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(sys, 'argv', ['predict.py', 'config.py', 'x.pth', 'images'])
    module = 'res2net_mm.visualization.predict'
    monkeypatch.setattr(f'{module}.find_images', lambda inputs: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(KeyboardInterrupt):
        runpy.run_path(str(Path(__file__).parents[2] / 'tools/predict.py'))['main']()
    signal.signal(signal.SIGTERM, before)


def test_a_list_of_instances_names_its_source(models, tmp_path):
    cv2.imwrite(str(tmp_path / '1.png'), IMAGE)
    predict(dict(model=load(models, 'points')), [str(tmp_path / '1.png')], tmp_path / 'out')
    result = json.loads((tmp_path / 'out/model/1.json').read_text())
    assert result.keys() == {'source', 'instances'} and result['source'] == str(tmp_path / '1.png')
    assert np.shape(result['instances'][0]['keypoints']) == (17, 2)


def test_the_tool(models, run, tmp_path):
    (tmp_path / 'images').mkdir()
    for i in range(4):
        cv2.imwrite(str(tmp_path / 'images' / f'{i}.jpg'), IMAGE)
    result = run(
        'predict.py', *models['segments'], 'images', 'nothing.jpg', '--against', *models['classes'],
        '--cfg-options', 'model.test_cfg.mode=whole',
    )  # fmt: skip
    assert result.returncode == 0, result.stderr[-3000:]
    assert '4 predicted; to look at them: predictions/index.html' in result.stdout
    assert '1 skipped: nothing.jpg does not exist' in result.stderr
    assert result.stderr.startswith('predicting 4 images and frames\n')  # of a bar that doesn't move
    parsed = Page(tmp_path / 'predictions' / 'index.html')
    assert 'segments and classes' in parsed.text and len(parsed.images) == 8
    assert len(list((tmp_path / 'predictions' / 'segments').glob('*.png'))) == 4
    assert json.loads((tmp_path / 'predictions' / 'classes' / '3.json').read_text())['pred_class']


def test_the_tool_beside_ground_truth(models, run, tmp_path):
    for name in ('images/1.jpg', 'images/2.jpg', 'masks/1.png'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / name), IMAGE if 'images' in name else np.zeros((90, 120), np.uint8))
    result = run('predict.py', *models['segments'], '--against', 'masks', '.', '--threshold', '0.3')
    assert result.returncode == 0, result.stderr[-3000:]
    assert '\n1 left out, masks by name: masks/1.png; a pattern takes them\n' in result.stdout
    parsed = Page(tmp_path / 'predictions' / 'index.html')
    assert 'segments and ground truth' in parsed.text and len(parsed.images) == 3
    folder = tmp_path / 'predictions' / 'ground truth'
    assert sorted(file.name for file in folder.iterdir()) == ['1.jpg', '1.json', '1.png']
    assert json.loads((folder / '1.json').read_text()) == dict(
        source='images/1.jpg', shares=dict(background=1)
    )


@pytest.mark.parametrize(
    'arguments,message',
    [
        ([], 'the following arguments are required: input\n'),
        (['nothing.jpg'], 'predict.py: error: nothing.jpg does not exist\n'),
        (['images', '--half', '--no-fuse'], '--half needs fused networks, which --no-fuse turns off\n'),
        (['images', '--threshold', '30'], '30 is not in 0 ... 1\n'),
    ],
)
def test_the_tool_ends_with_a_sentence(arguments, message, models, run):
    result = run('predict.py', *models['segments'], *arguments)
    assert result.returncode == 2 and result.stderr.endswith(message) and 'Traceback' not in result.stderr


def test_half_is_for_networks_that_can_be_fused(models, run, tmp_path):
    (tmp_path / 'other.py').write_text(
        f'_base_ = {models["classes"][0]!r}\n'
        "other = dict(_delete_=True, type='MobileNetV2', widen_factor=0.1)\n"
        'model = dict(backbone=other, head=dict(in_channels=1280))\n'
    )
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = MODELS.build(load_config(str(tmp_path / 'other.py')).model)
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'other.pth')
    cv2.imwrite(str(tmp_path / '1.jpg'), IMAGE)
    result = run('predict.py', 'other.py', 'other.pth', '1.jpg', '--half')
    assert result.returncode == 2 and '--half' in result.stderr and 'can be fused' in result.stderr
    result = run('predict.py', 'other.py', 'other.pth', '1.jpg', '--half', '--against', *models['classes'])
    assert result.returncode == 0, result.stderr[-3000:]  # one of the two has
