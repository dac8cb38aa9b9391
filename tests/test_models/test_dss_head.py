"""DSS's head: its maps by another road, losses, gradients, sizes, the map of a test, and in mmseg's model."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from forks import run_program
from helpers import assert_close, on_every_device
from mmengine.registry import MODELS, DefaultScope
from mmengine.structures import PixelData
from networks import SMALL_DSS
from torch.nn import functional as F

from res2net_mm.config import load_config
from res2net_mm.datasets import SaliencyDataset
from res2net_mm.fused import fuse
from res2net_mm.models import DSSHead

CONFIG = Path(__file__).parents[2] / 'configs' / 'dss_r2n50_msrab.py'
CHANNELS = (4, 6, 8, 10, 12)


def small_head(device='cpu'):
    torch.manual_seed(0)
    return DSSHead(in_channels=CHANNELS, channels=(2, 3, 4, 5, 6)).to(device)


def feature_maps(height, width, images=1, device='cpu'):
    """Of an image of that size, as a ResNet gives them: sizes are rounded up."""
    generator = torch.Generator().manual_seed(1)
    maps = []
    for channels in CHANNELS:
        height, width = -(-height // 2), -(-width // 2)
        maps.append(torch.rand(images, channels, height, width, generator=generator).to(device))
    return maps


def samples(masks):
    from mmseg.structures import SegDataSample

    return [SegDataSample(gt_sem_seg=PixelData(data=mask[None])) for mask in masks]


def by_hand(head, maps, size):
    """The six maps from the parameters by their names, each short connection written out."""
    p = head.state_dict()

    def conv(x, name):
        weight = p[f'{name}.weight']
        return F.conv2d(x, weight, p[f'{name}.bias'], padding=weight.shape[-1] // 2)

    def side(i):
        x = conv(maps[i - 2], f'side{i}.conv1').relu()
        return conv(conv(x, f'side{i}.conv2').relu(), f'side{i}.score')

    def up(x, like):
        return F.interpolate(x, like, mode='bilinear', align_corners=False)

    r6, r5 = side(6), side(5)
    own4, own3, own2 = side(4), side(3), side(2)
    at4, at3, at2 = (x.shape[2:] for x in (own4, own3, own2))
    r4 = conv(torch.cat([own4, up(r6, at4), up(r5, at4)], 1), 'short4_score')
    r3 = conv(torch.cat([own3, up(r6, at3), up(r5, at3)], 1), 'short3_score')
    r2 = conv(torch.cat([own2, up(r6, at2), up(r5, at2), up(r4, at2), up(r3, at2)], 1), 'short2_score')
    sides = torch.cat([up(r, size) for r in (r2, r3, r4, r5, r6)], 1)
    return torch.cat([sides, conv(sides, 'fuse_score')], 1)


@on_every_device
@pytest.mark.parametrize('size', [(64, 96), (61, 83), (20, 200), (1, 33)])  # the last two: one pixel high
def test_the_maps_are_dss(size, device):
    head, maps = small_head(device), feature_maps(*size, images=2, device=device)
    out = head(maps, size)
    assert out.shape == (2, 6, *size)
    assert maps[-1].shape[2] == 1 or size[0] > 32
    assert_close(out, by_hand(head, maps, size))


def test_sides_have_the_published_convolutions():
    head = DSSHead()
    shapes = [
        (side[i].in_channels, side[i].out_channels, side[i].kernel_size[0])
        for side in (getattr(head, f'side{n}') for n in range(2, 7))
        for i in (0, 2, 4)
    ]
    assert shapes == [
        (64, 128, 3), (128, 128, 3), (128, 1, 1),
        (256, 256, 5), (256, 256, 5), (256, 1, 1),
        (512, 256, 5), (256, 256, 5), (256, 1, 1),
        (1024, 512, 5), (512, 512, 5), (512, 1, 1),
        (2048, 512, 7), (512, 512, 7), (512, 1, 1),
    ]  # fmt: skip
    combined = [getattr(head, f'{name}_score').in_channels for name in ('short4', 'short3', 'short2', 'fuse')]
    assert combined == [3, 3, 5, 5]


def test_maps_are_combined_by_their_mean_at_the_start():
    head = small_head()
    head.init_weights()
    maps = head(feature_maps(64, 64))
    torch.testing.assert_close(maps[:, 5], maps[:, :5].mean(1))
    assert head.short2_score.weight.flatten().tolist() == pytest.approx([0.2] * 5)
    assert 0.005 < head.side6[0].weight.std() < 0.015 and not head.side6[0].bias.any()


@on_every_device
def test_losses_are_six_sums_over_the_pixels(device):
    head, maps = small_head(device), feature_maps(31, 45, images=2, device=device)
    masks = torch.randint(2, (2, 31, 45), generator=torch.Generator().manual_seed(0)).to(device)
    losses = head.loss(maps, samples(masks), {})
    assert list(losses) == [f'loss_{name}' for name in ('side2', 'side3', 'side4', 'side5', 'side6', 'fuse')]
    probability = head(maps, (31, 45)).sigmoid()
    likelihood = torch.where(masks[:, None] == 1, probability, 1 - probability)
    expected = -likelihood.log().sum((0, 2, 3)) / 2  # the mean of two images
    assert_close(torch.stack(list(losses.values())), expected)


@on_every_device
def test_mixed_precision_sums_in_single(device):
    head, maps = small_head(device), feature_maps(64, 64, device=device)
    masks = torch.zeros(1, 64, 64, dtype=torch.long, device=device)
    expected = head.loss(maps, samples(masks), {})
    with torch.autocast(device, torch.bfloat16):
        assert head.side2(maps[0]).dtype == torch.bfloat16
        losses = head.loss(maps, samples(masks), {})
    for name, loss in losses.items():
        assert loss.dtype == torch.float32
        assert loss.item() == pytest.approx(expected[name].item(), rel=0.01)
    maps = [x.bfloat16() for x in maps]
    losses, logits = head.bfloat16().loss(maps, samples(masks), {}), head(maps, (64, 64)).float()
    assert_close(torch.stack(list(losses.values())), F.softplus(logits).sum((0, 2, 3)))


@on_every_device
def test_gradients_reach_every_parameter(device):
    head = small_head(device)
    masks = torch.zeros(1, 64, 64, dtype=torch.long, device=device)
    for name, loss in head.loss(feature_maps(64, 64, device=device), samples(masks), {}).items():
        assert torch.isfinite(loss), name
        loss.backward(retain_graph=True)
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in head.parameters())


def test_padding_costs_nothing():
    head, maps = small_head(), feature_maps(32, 32)
    mask = torch.zeros(1, 32, 32, dtype=torch.long)
    whole = head.loss(maps, samples(mask), {})
    mask[:, :, 20:] = 255
    padded = head.loss(maps, samples(mask), {})
    assert all(0 < padded[name] < whole[name] for name in whole)
    mask[:] = 255
    assert not any(head.loss(maps, samples(mask), {}).values())


@on_every_device
def test_a_test_averages_sides_3_4_5_and_the_fused_map_and_stretches(device):
    head, maps = small_head(device), feature_maps(40, 56, images=2, device=device)
    meta = dict(img_shape=(40, 56), ori_shape=(40, 56))
    saliency = head.predict(maps, [meta, meta], dict(mode='whole')).sigmoid()
    assert saliency.shape == (2, 1, 40, 56)
    mean = head(maps, (40, 56)).sigmoid()[:, [1, 2, 3, 5]].mean(1)
    for ours, theirs in zip(saliency[:, 0], mean):  # each image by itself
        theirs = (theirs - theirs.min()) / (theirs.max() - theirs.min())
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)
        assert ours.min() < 1e-5 and ours.max() > 1 - 1e-5


def test_what_cannot_be_stretched_stays():
    head = small_head()
    for parameter in head.parameters():
        torch.nn.init.zeros_(parameter)
    meta = dict(img_shape=(40, 56))
    saliency = head.predict(feature_maps(40, 56), [meta], dict(mode='whole')).sigmoid()
    torch.testing.assert_close(saliency, torch.full((1, 1, 40, 56), 0.5))
    saliency = small_head().predict(
        feature_maps(40, 56), [dict(img_shape=torch.Size((40, 56)))], dict(mode='slide')
    )
    assert saliency.shape == (1, 1, 40, 56) and saliency.sigmoid().max() < 0.9  # a window's map isn't, either


def test_wrong_numbers_are_refused():
    with pytest.raises(ValueError, match='must be five numbers each'):
        DSSHead(in_channels=(256, 512, 1024, 2048))


def test_models_import_without_mmseg():
    program = (
        "import sys; sys.modules['mmseg'] = None; import res2net_mm.models; "
        'from mmengine.registry import MODELS; '
        "print(MODELS.build(dict(type='res2net_mm.DSSHead')).out_channels)"
    )
    result = run_program(program)
    assert result.stdout.split()[-1:] == ['1'], result.stderr


# ---- in mmseg --------------------------------------------------------------------------------------


@pytest.fixture(scope='module')
def model():
    """The config's model with fewer and narrower layers, and test options."""
    cfg = load_config(str(CONFIG), SMALL_DSS)
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmseg'):
        model = MODELS.build(cfg.model)
    model.cfg = cfg
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean, -0.2, 0.2)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
    return model.eval()


@on_every_device
def test_fused_it_finds_the_same(model, device):
    model, image = copy.deepcopy(model).to(device), torch.rand(1, 3, 75, 101).to(device)
    fused = copy.deepcopy(model)
    fuse(fused)
    with torch.no_grad():
        before, after = (m(image, mode='predict')[0] for m in (model, fused))
        maps = model(image, mode='tensor'), fused(image, mode='tensor')
    assert before.seg_logits.data.shape == (1, 75, 101)
    assert (before.seg_logits.data - after.seg_logits.data).abs().max() < 1e-4
    assert maps[0].shape == (1, 6, 76, 102) and (maps[0] - maps[1]).abs().max() < 1e-4


@on_every_device
def test_a_sliding_window_covers_the_image(model, device):
    slide = copy.deepcopy(model).to(device)
    slide.test_cfg = model.cfg.model.test_cfg.__class__(mode='slide', crop_size=(64, 64), stride=(40, 40))
    image = torch.rand(1, 3, 75, 101).to(device)
    with torch.no_grad():
        (result,) = slide(image, mode='predict')
    saliency = result.seg_logits.data
    assert saliency.shape == (1, 75, 101) and 0 < saliency.min() < saliency.max() < 1


@on_every_device
@pytest.mark.parametrize('kind', ['file', 'array'])
def test_mmsegs_inference_and_pictures(model, kind, device, tmp_path):
    import cv2
    from mmseg.apis import MMSegInferencer, inference_model
    from mmseg.visualization import SegLocalVisualizer

    image = np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / 'image.png'), image)
    given = str(tmp_path / 'image.png') if kind == 'file' else image
    model = copy.deepcopy(model).to(device)
    small, model.cfg = model.cfg, load_config(str(CONFIG))  # inference_model changes it
    with DefaultScope.overwrite_default_scope('mmseg'):
        result = inference_model(model, given)
    saliency = result.seg_logits.data
    assert saliency.shape == (1, 60, 90) and saliency.min() < 1e-5 and saliency.max() > 1 - 1e-5
    assert torch.equal(result.pred_sem_seg.data, (saliency > 0.5).float())
    visualizer = SegLocalVisualizer(alpha=1)
    visualizer.dataset_meta = SaliencyDataset.METAINFO
    visualizer.add_datasample(
        'x', image, result, draw_gt=False, with_labels=False, out_file=str(tmp_path / 'y.png')
    )
    drawn = cv2.imread(str(tmp_path / 'y.png'))
    assert np.array_equal(drawn[..., 2] == 220, saliency[0].cpu().numpy() > 0.5)
    small.dump(tmp_path / 'small.py')
    torch.save(
        dict(state_dict=model.state_dict(), meta=dict(dataset_meta=SaliencyDataset.METAINFO)),
        tmp_path / 'x.pth',
    )
    inferencer = MMSegInferencer(str(tmp_path / 'small.py'), str(tmp_path / 'x.pth'), device=device)
    found = inferencer(given, return_datasamples=True)
    assert_close(found.seg_logits.data.to(device), saliency)
