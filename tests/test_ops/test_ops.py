"""The ops that take the place of mmcv's compiled ones: their numbers, gradients, types, formats and edges."""

import math

import mmcv.ops
import numpy as np
import pytest
import torch
from compiled_results import FILE, cases, results
from helpers import GPU, on_every_device
from mmcv import _ext
from torch.nn import functional as F

from res2net_mm import ops
from res2net_mm.errors import UserError

COMPILED = np.load(FILE)
CASES = cases()


@pytest.fixture(autouse=True)
def these_ops(monkeypatch):
    """Have mmcv use this package's, where it has compiled ones."""
    for name in ops.__all__:
        monkeypatch.setattr(_ext, name, getattr(ops, name))


def random(*shape, seed=0, dtype=torch.float32):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


# ---- the numbers of compiled mmcv


@on_every_device
@pytest.mark.parametrize('name', CASES)
def test_equals_compiled_mmcv(name, device):
    ours = results(*CASES[name], device)
    theirs = [COMPILED[f'{name}/{i}'] for i in range(len(ours))]
    assert f'{name}/{len(ours)}' not in COMPILED
    for a, b in zip(ours, theirs):
        assert a.shape == b.shape and a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5 * max(1, np.abs(b).max(initial=0)))


def test_the_cases_show_something():
    kept = [len(COMPILED[f'{name}/0']) for name in CASES if 'nms ' in name]
    assert len(kept) == 10 and 20 < min(kept) and max(kept) < 40  # boxes
    rois = CASES['roi_align avg 0 True'][1][1]
    assert (rois[:, 1:3] < 0).any() and (rois[:, 3:] > 13 * 8).any()  # beyond the feature map
    assert any(len(group) > 1 for group in mmcv.ops.nms_match(*CASES['nms_match'][1], 0.4))


# ---- plain formulas


def iou(a, b, offset=0):
    width = min(a[2], b[2]) - max(a[0], b[0]) + offset
    height = min(a[3], b[3]) - max(a[1], b[1]) + offset
    shared = max(width, 0) * max(height, 0)
    area = [(x[2] - x[0] + offset) * (x[3] - x[1] + offset) for x in (a, b)]
    return shared / (sum(area) - shared)


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_nms_of_equal_scores_keeps_the_first(dtype):
    corners = torch.randint(0, 40, (200, 2), generator=torch.Generator().manual_seed(0))
    size = torch.randint(1, 30, (200, 2), generator=torch.Generator().manual_seed(1))
    boxes = torch.cat([corners, corners + size], dim=1).to(dtype)
    scores = (torch.arange(200) % 8 / 8 + 0.125).to(dtype)
    order = sorted(range(200), key=lambda i: (-scores[i].item(), i))
    expected = []
    for i in order:
        if all(iou(boxes[i].tolist(), boxes[j].tolist()) <= 0.5 for j in expected):
            expected.append(i)
    dets, kept = mmcv.ops.nms(boxes, scores, 0.5)
    assert kept.tolist() == expected and dets.dtype == dtype
    assert torch.equal(dets, torch.cat([boxes, scores[:, None]], dim=1)[kept])


def test_nms_of_scores_and_boxes_of_different_types():
    boxes, scores = CASES['nms 0 0.2'][1]
    kept = mmcv.ops.nms(boxes, scores, 0.2)[1]
    assert torch.equal(mmcv.ops.nms(boxes.double(), scores, 0.2)[1], kept)
    assert mmcv.ops.nms(boxes.numpy(), scores.numpy(), 0.2)[1].tolist() == kept.tolist()


@pytest.mark.parametrize('method', ['naive', 'linear', 'gaussian'])
def test_soft_nms_of_equal_scores(method):
    """Boxes that don't touch keep score and order; of copies one keeps it."""
    boxes = torch.tensor([[20.0 * i, 0, 20 * i + 10, 10] for i in range(6)] + [[0.0, 0, 10, 10]] * 2)
    dets, kept = mmcv.ops.soft_nms(boxes, torch.full((8,), 0.5), 0.3, 0.5, 0.001, method)
    assert kept[:6].tolist() == [0, 1, 2, 3, 4, 5] and (dets[:6, 4] == 0.5).all()
    copies = dets[6:, 4].tolist()
    expected = [0.5 * math.exp(-2), 0.5 * math.exp(-4)] if method == 'gaussian' else []
    assert copies == pytest.approx(expected)


def test_batched_nms_keeps_classes_apart():
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 10], [1, 0, 11, 10]])
    scores, classes = torch.tensor([0.9, 0.8, 0.7]), torch.tensor([0, 1, 0])
    for kind in ('nms', 'soft_nms'):
        cfg = dict(type=kind, iou_threshold=0.5, **(dict(min_score=0.3) if kind == 'soft_nms' else {}))
        dets, kept = mmcv.ops.batched_nms(boxes, scores, classes, cfg)
        assert kept.tolist() == [0, 1] and dets[:, 4].tolist() == pytest.approx([0.9, 0.8])


def test_soft_nms_at_the_threshold_itself():
    boxes, scores = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 5]]), torch.tensor([0.9, 0.75])
    dets, _ = mmcv.ops.soft_nms(boxes, scores, iou_threshold=0.5, min_score=0.375, method='linear')
    assert dets[:, 4].tolist() == pytest.approx([0.9, 0.375])


def test_nms_match_of_boxes_without_an_area():
    dets = torch.tensor([[5.0, 5, 5, 5, 0.9], [5, 5, 5, 5, 0.8], [0, 0, 9, 9, 0.7], [0, 0, 9, 4.5, 0.6]])
    assert [group.tolist() for group in mmcv.ops.nms_match(dets, 0.5)] == [[0], [1], [2, 3]]


def test_nms_match_of_equal_scores_keeps_their_order():
    dets = torch.tensor([[20.0 * i, 0, 20 * i + 9, 9, i % 2] for i in range(50)])
    order = [*range(1, 50, 2), *range(0, 50, 2)]
    assert [group.tolist() for group in mmcv.ops.nms_match(dets, 0.5)] == [[i] for i in order]


def pool_plainly(x, roi, height, width, scale):
    """One RoI of RoIPool, after its definition: whole pixels, the last ones of the box included."""
    image, x1, y1, x2, y2 = roi.tolist()
    out = torch.zeros(x.shape[1], height, width, dtype=x.dtype)
    left, top, right, bottom = x1 * scale, y1 * scale, (x2 + 1) * scale, (y2 + 1) * scale
    if right <= left or bottom <= top:
        return out
    for i in range(height):
        for j in range(width):
            rows = [
                math.floor(top + i * (bottom - top) / height),
                math.ceil(top + (i + 1) * (bottom - top) / height),
            ]
            columns = [
                math.floor(left + j * (right - left) / width),
                math.ceil(left + (j + 1) * (right - left) / width),
            ]
            pixels = x[
                int(image), :, max(rows[0], 0) : max(rows[1], 0), max(columns[0], 0) : max(columns[1], 0)
            ]
            if pixels[0].numel():
                out[:, i, j] = pixels.flatten(1).max(1).values
    return out


def test_roi_align_of_a_box_without_an_area():
    x, boxes = random(1, 2, 9, 13), torch.tensor([[0.0, 27, 27, 27, 27], [0, 27, 27, 20, 20]])
    largest, average = (mmcv.ops.roi_align(x, boxes, 1, 0.125, 0, mode, False) for mode in ('max', 'avg'))
    torch.testing.assert_close(largest, average)  # it has one sample, as of a pixel
    assert torch.equal(average[0], average[1])  # also where it ends before it begins


def test_roi_align_takes_as_many_samples_in_half_precision():
    x, box = random(1, 2, 30, 30).half(), torch.tensor([[0, 0.0625, 0.0625, 224.125, 224.125]])
    half, single = (mmcv.ops.roi_align(y, box.to(y), 1, 0.125, 0, 'max', True) for y in (x, x.float()))
    torch.testing.assert_close(half.float(), single, rtol=1e-3, atol=0)


def test_roi_pool():
    x = random(2, 3, 9, 13)
    empty = torch.tensor([[1.0, 30, 30, 10, 40], [0, 30, 30, 29, 40], [0, 200, 0, 300, 50]])
    rois = torch.cat([CASES['roi_align avg 0 True'][1][1], empty])
    x.requires_grad_()
    out = mmcv.ops.roi_pool(x, rois, (3, 4), 0.125)
    expected = torch.stack([pool_plainly(x, roi, 3, 4, 0.125) for roi in rois])
    torch.testing.assert_close(out, expected)
    assert (out[-3:] == 0).all() and (out[:-3] != 0).any()
    grad = random(*out.shape, seed=1)
    ours, theirs = (torch.autograd.grad(y, x, grad)[0] for y in (out, expected))
    torch.testing.assert_close(ours, theirs)


def test_of_equal_pixels_the_first_learns():
    x = torch.ones(1, 1, 4, 4, requires_grad=True)
    mmcv.ops.roi_pool(x, torch.tensor([[0.0, 1, 1, 3, 3]]), 1).sum().backward()
    assert x.grad.nonzero().tolist() == [[0, 0, 1, 1]]


@pytest.mark.parametrize('gamma', [2.0, 0.5, 0.0])
@pytest.mark.parametrize('weighted', [True, False])
def test_sigmoid_focal_loss(gamma, weighted):
    logits = (4 * random(20, 5)).requires_grad_()
    target = torch.arange(20) % 7 - 1  # -1, the classes, and background
    weight = torch.tensor([1.0, 2, 0.5, 3, 0.1]) if weighted else None
    loss = mmcv.ops.sigmoid_focal_loss(logits, target, gamma, 0.3, weight, 'none')
    truth = (target[:, None] == torch.arange(5)).float()
    p = logits.double().sigmoid()
    plain = -(0.3 * truth * (1 - p) ** gamma * p.log() + 0.7 * (1 - truth) * p**gamma * (1 - p).log())
    if weighted:
        plain = plain * torch.tensor([1.0, 1, 2, 0.5, 3, 0.1, 1])[target + 1, None]
    torch.testing.assert_close(loss, plain.float())
    ours, theirs = (torch.autograd.grad(x.sum(), logits)[0] for x in (loss, plain))
    torch.testing.assert_close(ours, theirs)
    for reduction, expected in (('sum', loss.sum()), ('mean', loss.sum() / 20)):
        torch.testing.assert_close(
            mmcv.ops.sigmoid_focal_loss(logits, target, gamma, 0.3, weight, reduction), expected
        )


@pytest.mark.parametrize('gamma', [2.0, 1.0, 0.0])
@pytest.mark.parametrize('weighted', [True, False])
def test_softmax_focal_loss(gamma, weighted):
    logits = (2 * random(20, 5)).requires_grad_()
    target = torch.arange(20) % 6 - 1  # -1 doesn't count
    weight = torch.tensor([1.0, 2, 0.5, 3, 0.1]) if weighted else None
    loss = mmcv.ops.softmax_focal_loss(logits, target, gamma, 0.3, weight, 'none')
    total = mmcv.ops.softmax_focal_loss(logits, target, gamma, 0.3, weight, 'sum')
    p = logits.softmax(1)[torch.arange(20), target.clamp_min(0)]
    plain = -0.3 * (1 - p) ** gamma * p.log() * (target >= 0)
    if weighted:
        plain = plain * weight[target.clamp_min(0)]
    torch.testing.assert_close(loss, plain)
    ours, theirs = (torch.autograd.grad(x, logits)[0] for x in (total, plain.sum()))
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize('loss', [mmcv.ops.sigmoid_focal_loss, mmcv.ops.softmax_focal_loss])
def test_focal_loss_of_certain_samples_is_finite(loss):
    logits = torch.tensor([[200.0, -200, 0], [-200, 200, 0], [0, 0, 90]]).requires_grad_()
    for gamma in (0.0, 0.5, 2.0):
        value = loss(logits, torch.tensor([0, 0, 2]), gamma, 0.25, None, 'sum')
        assert value.isfinite() and torch.autograd.grad(value, logits)[0].isfinite().all()


def attention_inputs(dtype):
    generator = torch.Generator().manual_seed(0)
    shapes = torch.tensor([[5, 4], [3, 2]])
    value = torch.randn(2, 26, 2, 3, generator=generator, dtype=dtype)
    locations = torch.rand(2, 4, 2, 2, 3, 2, generator=generator, dtype=dtype) * 1.2 - 0.1
    weights = torch.rand(2, 4, 2, 2, 3, generator=generator, dtype=dtype)
    return value, shapes, torch.tensor([0, 20]), locations, weights


def attend(value, shapes, starts, locations, weights):
    function = mmcv.ops.multi_scale_deform_attn.MultiScaleDeformableAttnFunction
    return function.apply(value, shapes, starts, locations, weights, 64)


def test_attention():
    value, shapes, starts, locations, weights = attention_inputs(torch.float64)
    out = attend(value, shapes, starts, locations, weights)
    expected = torch.zeros(2, 4, 2, 3, dtype=torch.float64)
    for b, q, h, level, p in np.ndindex(*weights.shape):
        height, width = shapes[level].tolist()
        x, y = (locations[b, q, h, level, p] * torch.tensor([width, height]) - 0.5).tolist()
        for row in (math.floor(y), math.floor(y) + 1):
            for column in (math.floor(x), math.floor(x) + 1):
                if 0 <= row < height and 0 <= column < width:
                    share = (1 - abs(y - row)) * (1 - abs(x - column)) * weights[b, q, h, level, p]
                    expected[b, q, h] += share * value[b, starts[level] + row * width + column, h]
    torch.testing.assert_close(out, expected.flatten(2))


# ---- gradients, types, formats, edges


def deform_inputs(dtype, seed=0):
    x, weight, bias = (
        random(2, 4, 5, 6, seed=seed, dtype=dtype),
        random(4, 2, 3, 3, seed=1, dtype=dtype),
        None,
    )
    offset = 1.3 * random(2, 36, 5, 6, seed=2, dtype=dtype)
    mask, bias = random(2, 18, 5, 6, seed=3, dtype=dtype), random(4, seed=4, dtype=dtype)
    return x, offset, mask, weight, bias


GEOMETRY = 1, 1, 1, 2, 2
ROIS = torch.tensor([[0.0, 4, 6, 40, 30], [1, 0, 0, 25, 60], [0, -8, 20, 12, 90]])
CALLS = dict(  # a function of floating point tensors, and the tensors
    roi_align=(
        lambda x, rois: mmcv.ops.roi_align(x, rois, (2, 3), 0.125, 0, 'avg', True),
        (random(2, 4, 9, 8), ROIS),
    ),
    roi_align_max=(
        lambda x, rois: mmcv.ops.roi_align(x, rois, (2, 3), 0.125, 0, 'max', True),
        (random(2, 2, 9, 8), ROIS),
    ),
    roi_pool=(lambda x, rois: mmcv.ops.roi_pool(x, rois, (2, 3), 0.125), (random(2, 4, 9, 8), ROIS)),
    deform_conv=(
        lambda x, offset, mask, weight, bias: mmcv.ops.deform_conv2d(x, offset, weight, *GEOMETRY),
        deform_inputs(torch.float32),
    ),
    modulated_deform_conv=(
        lambda *tensors: mmcv.ops.modulated_deform_conv2d(*tensors, *GEOMETRY),
        deform_inputs(torch.float32),
    ),
    attention=(
        lambda value, locations, weights: attend(
            value, *(x.to(value.device) for x in attention_inputs(torch.float32)[1:3]), locations, weights
        ),
        [attention_inputs(torch.float32)[i] for i in (0, 3, 4)],
    ),
    sigmoid_focal_loss=(
        lambda x: mmcv.ops.sigmoid_focal_loss(
            x, torch.tensor([0, 2, 1, 3]).to(x.device), 2.0, 0.25, None, 'none'
        ),
        (random(4, 3),),
    ),
    softmax_focal_loss=(
        lambda x: mmcv.ops.softmax_focal_loss(
            x, torch.tensor([0, 2, 1, -1]).to(x.device), 2.0, 0.25, None, 'sum'
        ),
        (random(4, 3),),
    ),
)


def with_gradients(name, tensors):
    """An op's output and the gradients of its tensors that have one, for the same gradient."""
    tensors = [x.clone(memory_format=torch.preserve_format).requires_grad_() for x in tensors]
    out = CALLS[name][0](*tensors)
    out.backward(random(*out.shape, seed=9).to(out))
    return [out.detach(), *(x.grad for x in tensors if x.grad is not None)]


@pytest.mark.parametrize('name', CALLS)
def test_gradients(name):
    function, tensors = CALLS[name]
    tensors = [x.double().requires_grad_(not name.startswith('roi') or i == 0) for i, x in enumerate(tensors)]
    assert torch.autograd.gradcheck(function, tensors, fast_mode=False)


@pytest.mark.parametrize('name', ['deform_conv', 'modulated_deform_conv'])
def test_an_offset_that_is_nan_makes_its_outputs_nan(name):
    function, tensors = CALLS[name]
    expected = function(*tensors)
    tensors = [x.clone().requires_grad_() for x in tensors]
    with torch.no_grad():
        tensors[1][0, 7, 2, 3] = torch.nan
        tensors[1][1, 0, 0, 0] = torch.inf
    out = function(*tensors)
    assert out[0, :, 2, 3].isnan().all() and out.isnan().sum() == out.shape[1]
    out, expected = out.flatten(2)[..., 20:], expected.flatten(2)[..., 20:]
    assert torch.equal(out, expected)
    out.sum().backward()
    assert tensors[0].grad.isfinite().all()


@pytest.mark.parametrize('needed', [[0], [1], [3], [0, 3]])
def test_gradients_of_some_of_deform_convs_tensors(needed):
    """mmcv asks for the weight's in a call of its own, or doesn't."""
    tensors = deform_inputs(torch.float64)
    every = [x.clone().requires_grad_() for x in tensors]
    CALLS['deform_conv'][0](*every).square().sum().backward()
    some = [x.clone().requires_grad_(i in needed) for i, x in enumerate(tensors)]
    out = CALLS['deform_conv'][0](*some).square().sum()
    for _ in range(2):  # of a graph that is kept, too
        grads = torch.autograd.grad(out, [some[i] for i in needed], retain_graph=True)
        for i, grad in zip(needed, grads):
            torch.testing.assert_close(grad, every[i].grad)


def test_deform_convs_gradient_for_the_weight_is_scaled_and_added():
    x, offset, _, weight, _ = deform_inputs(torch.float64)
    geometry = dict(dW=1, dH=1, padW=1, padH=1, dilationW=1, dilationH=1, group=2, deformable_group=2)
    geometry.update(kW=3, kH=3, im2col_step=32)
    once, more = torch.zeros_like(weight), torch.ones_like(weight)
    for place, scale in ((once, 1), (more, 3)):
        none, grad = x.new_empty(0), random(2, 4, 5, 6, seed=5, dtype=torch.float64)
        ops.deform_conv_backward_parameters(x, offset, grad, place, none, none, scale, **geometry)
    torch.testing.assert_close(more, 1 + 3 * once)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
@pytest.mark.parametrize('name', CALLS)
def test_half_precision_is_computed_in_float32(name, dtype):
    halves = [x.to(dtype) for x in CALLS[name][1]]
    ours = with_gradients(name, halves)
    exact = with_gradients(name, [x.float() for x in halves])
    assert ours[0].dtype == dtype
    for a, b in zip(ours, exact):
        # Rounded once, and softmax, sums and products around the ops by mmcv and PyTorch in between.
        torch.testing.assert_close(
            a.float(), b, rtol=8 * torch.finfo(dtype).eps, atol=4 * torch.finfo(dtype).eps
        )


@pytest.mark.parametrize('name', [n for n in CALLS if 'roi' in n or 'conv' in n])
def test_channels_last(name):
    tensors = [x.contiguous(memory_format=torch.channels_last) if x.dim() == 4 else x for x in CALLS[name][1]]
    assert not tensors[0].is_contiguous()
    for a, b in zip(with_gradients(name, tensors), with_gradients(name, CALLS[name][1])):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize('device', [pytest.param('cuda', marks=GPU)])
@pytest.mark.parametrize('dtype', [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize('name', CALLS)
def test_a_gpu_gives_the_same(name, dtype, device):
    expected = with_gradients(name, [x.to(dtype).float() for x in CALLS[name][1]])
    for memory_format in (torch.preserve_format, torch.channels_last):
        tensors = [
            x.to(device, dtype, memory_format=memory_format if x.dim() == 4 else torch.preserve_format)
            for x in CALLS[name][1]
        ]
        for a, b in zip(with_gradients(name, tensors), expected):
            assert a.is_cuda and a.dtype == dtype
            error = 50 * torch.finfo(dtype).eps * max(1, b.abs().max().item())
            off = (a.cpu().float() - b).abs() > error
            # A sample whose position is rounded across a pixel's border has another slope.
            allowed = 1e-3 if dtype == torch.float16 and 'deform' in name else 0
            assert off.float().mean() <= allowed


@pytest.mark.parametrize('device', [pytest.param('cuda', marks=GPU)])
def test_a_gpu_suppresses_the_same(device):
    corners = 500 * torch.rand(3000, 2, generator=torch.Generator().manual_seed(0))
    boxes = torch.cat([corners, corners + 60], dim=1)
    scores = torch.randperm(3000, generator=torch.Generator().manual_seed(1)) / 3000
    for op in (mmcv.ops.nms, mmcv.ops.soft_nms):
        dets, kept = op(boxes, scores, 0.5)
        theirs = op(boxes.to(device), scores.to(device), 0.5)
        assert theirs[0].is_cuda and theirs[1].tolist() == kept.tolist()
        torch.testing.assert_close(theirs[0].cpu(), dets)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
@pytest.mark.parametrize('name', ['deform_conv', 'modulated_deform_conv'])
def test_a_deformable_convolution_waits_for_its_stream(name):
    """torchvision's starts its kernels on the default stream, whichever is the current one."""
    tensors = [x.cuda() for x in CALLS[name][1]]
    expected = with_gradients(name, tensors)
    stream, much = torch.cuda.Stream(), torch.rand(4000, 4000, device='cuda')
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(5):
            late = [x + 0 * (much @ much).mean() for x in tensors]
            outs = with_gradients(name, late)
    torch.cuda.synchronize()
    for a, b in zip(outs, expected, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize('name', CALLS)
def test_autocast_changes_nothing(name):
    """mmcv's compiled ops compute in the types that they are given, torchvision's don't under autocast."""
    expected = with_gradients(name, CALLS[name][1])
    with torch.autocast('cpu', torch.bfloat16):
        ours = with_gradients(name, CALLS[name][1])
    for a, b in zip(ours, expected):
        assert a.dtype == b.dtype
        torch.testing.assert_close(a, b)


def test_no_boxes():
    none = torch.zeros(0, 4)
    for suppress in (mmcv.ops.nms, mmcv.ops.soft_nms):
        dets, kept = suppress(none, torch.zeros(0), 0.5)
        assert dets.shape == (0, 5) and kept.shape == (0,) and kept.dtype == torch.int64
    assert mmcv.ops.nms_match(torch.zeros(0, 5), 0.5) == []


@pytest.mark.parametrize('name', ['roi_align', 'roi_align_max', 'roi_pool'])
def test_no_rois(name):
    x = random(2, 4, 9, 8).requires_grad_()
    out = CALLS[name][0](x, torch.zeros(0, 5))
    assert out.shape == (0, 4, 2, 3)
    out.sum().backward()
    assert (x.grad == 0).all()


@pytest.mark.parametrize('name', ['sigmoid_focal_loss', 'softmax_focal_loss'])
def test_no_samples(name):
    logits = torch.zeros(0, 3, requires_grad=True)
    loss = getattr(mmcv.ops, name)(logits, torch.zeros(0, dtype=torch.long), 2.0, 0.25, None, 'sum')
    loss.backward()
    assert loss == 0 and logits.grad.shape == (0, 3)


@pytest.mark.parametrize('mode', ['avg', 'max'])
@pytest.mark.parametrize('ratio', [0, 2])
@pytest.mark.parametrize('box', [[math.nan, 0, 10, 10], [0, 0, math.inf, 10], [60, 60, 10, 70]])
def test_rois_that_are_none(box, ratio, mode):
    """torchvision ends the process, or gives what is in the memory."""
    with pytest.raises(ValueError, match='not finite, or end before they begin'):
        mmcv.ops.roi_align(random(1, 3, 9, 13), torch.tensor([[0.0, *box]]), 7, 0.125, ratio, mode, True)


@pytest.mark.parametrize('method', ['naive', 'linear', 'gaussian'])
def test_soft_nms_of_boxes_without_an_area(method):
    boxes = torch.tensor([[5.0, 5, 5, 5], [40, 40, 40, 40], [0, 0, 9, 9]])
    scores = torch.tensor([0.9, 0.8, 0.7])
    dets, kept = mmcv.ops.soft_nms(boxes, scores, 0.3, 0.5, 0.01, method)
    assert kept.tolist() == [0, 1, 2] and dets[:, 4].tolist() == scores.tolist()


def test_soft_nms_of_integers_is_refused():
    with pytest.raises(TypeError, match='must be floating point, not torch.int64'):
        mmcv.ops.soft_nms(torch.tensor([[0, 0, 9, 9]]), torch.tensor([0.9]))


def test_rois_without_an_area():
    x = random(1, 2, 9, 8).requires_grad_()
    for mode in ('avg', 'max'):
        out = mmcv.ops.roi_align(x, torch.tensor([[0.0, 8, 8, 8, 8]]), 2, 0.125, 0, mode, True)
        assert (out == 0).all()


# ---- how they are reached


def test_other_ops_say_how_to_get_them():
    from res2net_mm.ops import ext

    with pytest.raises(UserError, match='carafe_forward is an op .* only when it is compiled') as error:
        ext.carafe_forward(1, x=2)
    assert isinstance(error.value, NotImplementedError)
    assert 'make env OPS=compiled' in str(error.value)
    with pytest.raises(AttributeError):
        _ = ext.__no_such__


def test_ops_equal_those_of_the_same_name_elsewhere():
    """mmcv's own formula, in another library: a check that doesn't rest on this file's."""
    import torchvision.ops

    logits, target = random(6, 4), torch.tensor([0, 1, 2, 3, 4, 4])
    truth = F.one_hot(target, 5)[:, :4].float()
    torch.testing.assert_close(
        mmcv.ops.sigmoid_focal_loss(logits, target, 1.5, 0.3, None, 'sum'),
        torchvision.ops.sigmoid_focal_loss(logits, truth, 0.3, 1.5, 'sum'),
    )
