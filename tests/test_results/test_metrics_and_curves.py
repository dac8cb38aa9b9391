import json

import pytest
from rich.console import Console

from res2net_mm.results.curves import plot_curves, read_scalars
from res2net_mm.results.metrics import COCO_COLUMNS, metrics_table, print_metrics


def shown(table):
    console = Console(width=80)
    with console.capture() as capture:
        console.print(table)
    return capture.get()


def test_coco_metrics_in_cocos_columns():
    metrics = {f'coco/bbox_{k}': v for k, v in {
        'mAP': 0.337, 'mAP_50': 0.536, 'mAP_75': 0.0, 'mAP_s': -1.0, 'mAP_m': 0.383, 'mAP_l': 0.511,
        'AR@100': 0.45,
    }.items()}  # fmt: skip
    text = shown(metrics_table(metrics, 'a run'))
    assert 'a run' in text
    header, values = (next(x for x in text.splitlines() if k in x) for k in ('AP50', 'bbox'))
    assert values.split() == ['bbox', '0.337', '0.536', '0.000', '-', '0.383', '0.511', '0.450']
    assert header.split() == 'AP AP50 AP75 APs APm APl AR'.split()


def test_all_of_cocos_columns_fit_into_80():
    metrics = {f'coco/{kind}_{key}': 0.123 for kind in ('bbox', 'segm') for key in COCO_COLUMNS.values()}
    assert shown(metrics_table(metrics, 'a run')).count('0.123') == 2 * len(COCO_COLUMNS)


def test_masks_have_a_row_of_their_own():
    text = shown(metrics_table({'coco/bbox_mAP': 0.4, 'coco/bbox_mAP_50': 0.5, 'coco/segm_mAP': 0.3}, ''))
    assert text.split()[-6:] == ['bbox', '0.400', '0.500', 'segm', '0.300', '-']


def test_other_metrics_as_they_are():
    text = shown(metrics_table({'mIoU': 79.2, 'pascal_voc/mAP': 0.744, 'n': 3}, ''))
    assert '79.2000' in text and 'pascal_voc/mAP' in text and '0.7440' in text


def test_curves(tmp_path):
    for name, steps, epochs in (
        ('20260101_000000', (10, 20, 40), (2, 4)),
        ('20260102_000000', (20, 30), (3,)),
    ):
        folder = tmp_path / name / 'vis_data'
        folder.mkdir(parents=True)
        records = [dict(loss=1 / s, loss_cls=0.5 / s, lr=0.1, epoch=1, step=s) for s in steps]
        more = {'coco/bbox_mAP_50': 0.2} if 3 in epochs else {}
        records += [{'coco/bbox_mAP': 0.1, 'step': epoch, **more} for epoch in epochs]
        (folder / 'scalars.json').write_text('\n'.join(map(json.dumps, records)))
    train, val = read_scalars(tmp_path)  # the second run resumed the first
    assert [r['step'] for r in train] == [10, 20, 30]
    assert [r['step'] for r in val] == [2, 3]
    assert [r['loss'] for r in train] == [1 / 10, 1 / 20, 1 / 30]
    path = plot_curves(tmp_path)
    assert path == tmp_path / 'curves.png' and path.read_bytes().startswith(b'\x89PNG')


@pytest.mark.parametrize(
    'unit, more, metric', [('epoch', dict(epoch=2), 'coco/bbox_mAP'), ('iteration', {}, 'mIoU')]
)
def test_epochs_and_iterations_are_whole_numbers(unit, more, metric, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr('matplotlib.figure.Figure.savefig', lambda figure, *_, **__: drawn.append(figure))
    (tmp_path / 'x/vis_data').mkdir(parents=True)
    records = dict(loss=1.0, step=20, **more), {metric: 0.1, 'step': 2}
    (tmp_path / 'x/vis_data/scalars.json').write_text('\n'.join(map(json.dumps, records)))
    plot_curves(tmp_path)
    for axis, step in zip(drawn[0].axes, (20, 2)):
        ticks = axis.get_xticks().tolist()
        assert step in ticks and all(tick == round(tick) for tick in ticks)
    axis = drawn[0].axes[1]
    assert axis.get_xlabel() == unit and [line.get_label() for line in axis.lines] == [metric]


def test_a_run_from_the_start_replaces_an_older_one(tmp_path):
    for name, steps, epochs in (('20260101_000000', (10, 20, 30), (1, 2, 3)), ('20260102_000000', (10,), ())):
        folder = tmp_path / name / 'vis_data'
        folder.mkdir(parents=True)
        records = [dict(loss=1.0, step=s) for s in steps] + [
            {'coco/bbox_mAP': 0.1, 'step': e} for e in epochs
        ]
        (folder / 'scalars.json').write_text('\n'.join(map(json.dumps, records)))
    train, val = read_scalars(tmp_path)
    assert [r['step'] for r in train] == [10] and val == []


def test_no_curves_of_a_run_without_records(tmp_path):
    assert plot_curves(tmp_path) is None
    assert not list(tmp_path.iterdir())


def test_other_metrics_stand_below():
    text = shown(metrics_table({'coco/bbox_mAP': 0.4, 'pascal_voc/mAP': 0.7}, 'a run'))
    assert text.index('0.400') < text.index('pascal_voc/mAP') < text.index('0.7000')


def test_no_metrics(capsys):
    print_metrics({}, 'a run')
    assert 'a run: no metrics; nothing was found' in capsys.readouterr().out
