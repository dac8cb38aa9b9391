"""Figure 5's experiment on digits: means over seeds with invented figures, as tables and as a plot."""

import csv
import io
import json
from argparse import Namespace
from decimal import Decimal
from pathlib import Path

import pytest
from runs import write_run

from res2net_mm.config import digits_configs
from res2net_mm.results import plots, report
from res2net_mm.results.digits import digits_tables
from res2net_mm.results.render import FORMATS
from res2net_mm.results.tables import demo_tables, paper_tables
from res2net_mm.results.work_dirs import find_runs

START, SCALE_2 = 'rx29_6c3w', 'r2nx29_6c3w2s'


def write(root, network, seed, top1, step=10, images=1297, options=None, **kwargs):
    return write_run(
        root,
        f'demo/digits/{network}_digits',
        {'accuracy/top1': top1, 'images': images},
        step=step,
        work_dir=root / f'seed_{seed}' / f'{network}_digits',
        options={'randomness.seed': seed, **(options or {})},
        **kwargs,
    )


def fill(root):
    runs, unreadable = find_runs([root])
    assert not unreadable
    return digits_tables(runs)


def measured(table, *labels):
    return [cell.measured for cell in next(row.cells for row in table.rows if row.labels == list(labels))]


@pytest.fixture(scope='module')
def filled(tmp_path_factory):
    root = tmp_path_factory.mktemp('digits')
    for seed, top1 in enumerate((90.0, 91.0, 92.5)):
        write(root, START, seed, top1)
    write(root, SCALE_2, 0, 93.25)
    return root


def test_mean_spread_and_number_of_runs(filled):
    (table,), left_out = fill(filled)
    assert left_out == []
    expected = [Decimal('0.111'), Decimal('91.17'), Decimal('1.26'), 3]
    for dimension in ('cardinality', 'depth', 'scale'):  # all begin there
        assert measured(table, dimension, 'ResNeXt-29, 6c×3w') == expected
    assert measured(table, 'scale', 'Res2NeXt-29, 6c×3w×2s')[1:] == [Decimal('93.25'), None, 1]
    assert measured(table, 'depth', 'ResNeXt-56, 6c×3w')[1:] == [None] * 3


def test_every_network_is_in_its_series_by_size(filled):
    (table,), _ = fill(filled)
    sizes = {}
    for row in table.rows:
        sizes.setdefault(row.labels[0], []).append(row.cells[0].measured)
    assert all(series == sorted(series) and len(series) > 3 for series in sizes.values())
    assert len(table.rows) == len(digits_configs()) + 2  # the first stands in each
    assert max(map(max, sizes.values())) / min(map(max, sizes.values())) < 1.2  # to be compared at equal size


def test_of_a_seed_the_newest_counts_and_once(tmp_path):
    older = write(tmp_path, START, 0, 80.0, time='20260101_000000')
    newer = write(tmp_path, START, 0, 90.0, time='20260102_000000')
    write(tmp_path, START, 1, 92.0)
    (table,), left_out = fill(tmp_path)
    assert measured(table, 'scale', 'ResNeXt-29, 6c×3w')[1:] == [Decimal('91'), Decimal('1.41'), 2]
    assert left_out == [f'{older}: {newer} counts in its place']


def test_a_test_counts_for_the_seed_of_its_training(tmp_path):
    write(tmp_path, START, 2, 90.0, time='20260101_000000')
    write(tmp_path, START, 1, 91.0)
    tested = write(
        tmp_path, START, 2, 90.0, step=None, options={'randomness.seed': 1}, time='20260103_000000'
    )
    (table,), left_out = fill(tmp_path)
    assert measured(table, 'scale', 'ResNeXt-29, 6c×3w')[1:] == [Decimal('90.5'), Decimal('0.71'), 2]
    assert [line.partition(': ')[2] for line in left_out] == [f'{tested} counts in its place']


@pytest.mark.parametrize(
    'change, reason',
    [
        (dict(step=4), 'stopped, or not finished yet, at 4 of 10'),
        (dict(images=100), '100 images, not 1,297'),
        (dict(options={'model.backbone.scales': 3}), 'model.backbone.scales=3, not 1'),
        (dict(options={'optim_wrapper.optimizer.lr': 0.1}), 'optim_wrapper.optimizer.lr=0.1, not 0.005'),
    ],
)
def test_unfinished_and_changed_runs_do_not_count(tmp_path, change, reason):
    write(tmp_path, START, 0, 90.0, time='20260101_000000')
    other = write(tmp_path, START, 1, 50.0, **change)
    (table,), left_out = fill(tmp_path)
    assert measured(table, 'scale', 'ResNeXt-29, 6c×3w')[1:] == [Decimal('90'), None, 1]
    assert left_out == [f'{other}: {reason}']


def test_they_are_in_no_other_table(filled):
    runs, _ = find_runs([filled])
    assert demo_tables(runs) == []
    tables, left_out = paper_tables(runs, ['Figure 5'])
    assert tables[0].runs == [] and len(left_out) == len(runs)
    assert digits_tables([]) == ([], [])


def test_formats(filled):
    tables, left_out = fill(filled)
    for form in FORMATS.values():
        text = form(tables, left_out)
        assert '91.17' in text and '1.26' in text and '0.111' in text
    for name in ('terminal', 'markdown', 'latex', 'json'):
        assert 'not CIFAR-100' in FORMATS[name](tables, []).replace('\n', ' ')
    rows = list(csv.DictReader(io.StringIO(FORMATS['csv'](tables, []))))
    name = dict(table='Figure 5 digits', row='scale ResNeXt-29, 6c×3w', column='mean top-1 (%)')
    (row,) = (row for row in rows if name.items() <= row.items())
    assert row['kind'] == 'measured' and len(row['run'].split()) == 3
    (content,) = json.loads(FORMATS['json'](tables, []))['tables'].values()
    row = next(row for row in content['rows'] if row['row'] == 'scale ResNeXt-29, 6c×3w')
    assert row['columns']['runs']['measured'] == 3 and len(row['columns']['std']['runs']) == 3


def test_the_spread_is_drawn_as_error_bars(filled, monkeypatch):
    figures = []
    monkeypatch.setattr(plots, '_save', lambda figure, path: figures.append(figure) or path)
    plots.plot_series(fill(filled)[0], Path())
    (axis,) = figures[0].axes
    series = {bars.get_label(): bars for bars in axis.containers}
    assert list(series) == ['cardinality', 'depth', 'scale']
    points, _, (spread,) = series['scale']
    assert points.get_xydata().tolist() == [[0.111, 91.17], [pytest.approx(0.189, abs=1e-3), 93.25]]
    assert spread.get_segments()[0].tolist() == [[0.111, 91.17 - 1.26], [0.111, 91.17 + 1.26]]
    assert 'not CIFAR-100' in axis.get_title()


def test_report_prints_and_draws(filled, tmp_path, capsys):
    args = dict(work_dirs=[str(filled)], table=None, figure=None, demo=True, format='terminal', out=None)
    report.main(Namespace(**args, plots=None))
    printed = capsys.readouterr()
    assert '91.17' in printed.out and f'Plot: {filled}/figure_5_digits.png' in printed.err
    assert (filled / 'figure_5_digits.png').read_bytes().startswith(b'\x89PNG')
    paths = plots.plot(fill(filled)[0], tmp_path)
    assert [path.name for path in paths] == ['figure_5_digits.png']  # no curves of each run
