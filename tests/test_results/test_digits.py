"""Figure 5's experiment on digits: means over seeds with invented figures, as tables and as a plot."""

import csv
import io
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import digits
import pytest
from runs import make_record, write

from res2net_mm.results.plots import plot_series
from res2net_mm.results.records import find_runs
from res2net_mm.results.render import FORMATS

ROOT = Path(__file__).parents[2]
START, SCALE_2, DEEP = 'rx29_6c3w', 'r2nx29_6c3w2s', 'rx56_6c3w'
SIZES = {START: 110_600, SCALE_2: 188_700, DEEP: 217_000}


def write_seed(root, network, seed, top1, time='20260102_000000', images=1297, options=None, reached=None):
    options = {'randomness.seed': seed} | (options or {})
    record = make_record(
        f'{network}_digits',
        images=images,
        options=options,
        reached=reached,
        seed=seed,
        metrics={'accuracy/top1': top1},
        parameters=dict(model=1, backbone=SIZES[network]),
    )
    return write(root, record, time, root / f'seed_{seed}' / network)


def fill(root):
    runs, problems = find_runs([root])
    assert not problems
    chosen, left_out = digits.choose(runs)
    return digits.table(chosen), left_out


def measured(table, *labels):
    return [cell.measured for cell in next(row.cells for row in table.rows if row.labels == list(labels))]


@pytest.fixture
def filled(tmp_path):
    for seed, top1 in enumerate((90.0, 91.0, 92.5)):
        write_seed(tmp_path, START, seed, top1)
    write_seed(tmp_path, SCALE_2, 0, 93.25)
    write_seed(tmp_path, DEEP, 0, 89.0)
    return tmp_path


def test_mean_spread_and_number_of_runs(filled):
    table, left_out = fill(filled)
    assert left_out == []
    expected = [Decimal('0.111'), Decimal('91.17'), Decimal('1.26'), 3]
    for dimension in ('cardinality', 'depth', 'scale'):  # all begin there
        assert measured(table, dimension, 'ResNeXt-29, 6c×3w') == expected
    assert measured(table, 'scale', 'Res2NeXt-29, 6c×3w×2s')[1:] == [Decimal('93.25'), None, 1]
    assert [row.labels for row in table.rows if row.labels[0] == 'depth'] == [
        ['depth', 'ResNeXt-29, 6c×3w'],
        ['depth', 'ResNeXt-56, 6c×3w'],
    ]


def test_of_a_seed_the_newest_counts_and_once(tmp_path):
    older = write_seed(tmp_path, START, 0, 80.0, time='20260101_000000')
    newer = write_seed(tmp_path, START, 0, 90.0, time='20260102_000000')
    write_seed(tmp_path, START, 1, 92.0)
    table, left_out = fill(tmp_path)
    assert measured(table, 'scale', 'ResNeXt-29, 6c×3w')[1:] == [Decimal('91'), Decimal('1.41'), 2]
    assert left_out == [f'{older}: {newer} counts in its place']


def test_a_test_counts_for_the_seed_of_its_training(tmp_path):
    training = make_record(f'{START}_digits', options={'randomness.seed': 2}, seed=2)
    checkpoint = dict(path='epoch_10.pth', sha256='1a', training=training)
    record = make_record(
        f'{START}_digits', 'test', images=1297, checkpoint=checkpoint, metrics={'accuracy/top1': 91}
    )
    write(tmp_path, record)
    write_seed(tmp_path, START, 1, 90.0)
    chosen, left_out = digits.choose(find_runs([tmp_path])[0])
    assert [sorted(seeds) for seeds in chosen.values()] == [[1, 2]] and left_out == []


@pytest.mark.parametrize(
    'change, reason',
    [
        (dict(reached=4), 'stopped, or not finished yet, at 4 of 12'),
        (dict(images=100), '100 images, not 1,297'),
        (dict(options={'model.backbone.scales': 3}), 'model.backbone.scales=3'),
    ],
)
def test_unfinished_and_changed_runs_do_not_count(tmp_path, change, reason):
    write_seed(tmp_path, START, 0, 90.0, time='20260101_000000')
    other = write_seed(tmp_path, START, 1, 50.0, **change)
    table, left_out = fill(tmp_path)
    assert measured(table, 'scale', 'ResNeXt-29, 6c×3w')[1:] == [Decimal('90'), None, 1]
    assert left_out == [f'{other}: {reason}']


def test_formats(filled):
    table, _ = fill(filled)
    for form in FORMATS.values():
        text = form([table], [])
        assert '91.17' in text and '1.26' in text and '0.111' in text
    for name in ('terminal', 'markdown', 'latex', 'json'):
        assert 'not CIFAR-100' in FORMATS[name]([table], []).replace('\n', ' ')


def test_which_runs_a_mean_is_of(filled):
    table, _ = fill(filled)
    assert len(table.runs) == 2  # none of a mean's
    rows = csv.DictReader(io.StringIO(FORMATS['csv']([table], [])))
    runs = {(row['row'], row['column']): row['run'].split() for row in rows}
    assert len(runs['scale ResNeXt-29, 6c×3w', 'mean top-1 (%)']) == 3
    assert len(runs['scale Res2NeXt-29, 6c×3w×2s', 'mean top-1 (%)']) == 1


def test_the_spread_is_drawn_as_error_bars(filled, monkeypatch):
    figures = []
    monkeypatch.setattr('res2net_mm.results.plots._save', lambda figure, path: figures.append(figure) or path)
    plot_series([fill(filled)[0]], Path())
    (axis,) = figures[0].axes
    series = {bars.get_label(): bars for bars in axis.containers}
    assert list(series) == ['cardinality', 'depth', 'scale']
    points, _, (spread,) = series['scale']
    assert points.get_xydata().tolist() == [[0.111, 91.17], [0.189, 93.25]]
    assert spread.get_segments()[0].tolist() == [[0.111, 91.17 - 1.26], [0.111, 91.17 + 1.26]]


def test_prints_and_draws(filled, tmp_path):
    def run(*args):
        command = [sys.executable, ROOT / 'demo' / 'digits.py', *args]
        environment = {**os.environ, 'PYTHONPATH': str(ROOT)}
        return subprocess.run(command, capture_output=True, text=True, timeout=100, env=environment)

    result = run(filled)
    assert result.returncode == 0 and '91.17' in result.stdout
    assert f'Plot: {filled}/figure_5_digits.png' in result.stderr
    assert (filled / 'figure_5_digits.png').read_bytes().startswith(b'\x89PNG')
    result = run(filled / 'nothing')
    assert result.returncode == 1 and 'make digits makes them' in result.stderr
