import argparse
import json

import benchmark
import benchmark_networks
import pytest
import torch
from benchmark import measure, memory
from benchmark_networks import BENCHMARKS, FROZEN, Benchmark, Candidate, ours
from helpers import GPU
from torch import nn

from res2net_mm.errors import UserError

TINY = dict(depth=(1, 1, 1, 1), base_channels=8, stem_channels=8, base_width=4)
FUSED = Candidate('fused', ours(**TINY), ('plain', 'gone'), fused=True)
PLAIN = Candidate('plain', ours(**TINY))
GONE = Candidate('gone', dict(type='no_such_package.Res2Net'))
CONVS = Candidate('convolutions', ours(**TINY), fused=True, convs_only=True)


def options(**given):
    defaults = dict(
        benchmarks=['inference'],
        shapes=[(1, 3, 64, 64)],
        runs=3,
        threads=None,
        device='cpu',
        json=None,
        plots=None,
    )
    return argparse.Namespace(**{**defaults, **given})


def test_memory_counts_the_peak_and_what_is_left():
    def use():
        a = torch.zeros(1000)
        b = torch.ones(1000)
        del a
        return b

    assert memory(use) == (8000, 4000)
    assert memory(lambda: None) == (0, 0)


def test_measures_in_turns_and_leaves_out_what_is_not_installed(monkeypatch):
    order = []
    real = benchmark.prepare

    def prepare(candidate, *args):
        run = real(candidate, *args)
        return lambda: order.append(candidate.name) or run()

    monkeypatch.setattr(benchmark, 'prepare', prepare)
    timings = measure([PLAIN, GONE, FUSED, CONVS], (1, 3, 32, 32), 2, False, 'cpu')
    assert [t['name'] for t in timings] == ['plain', 'fused', 'convolutions']
    assert order[-6:] == ['plain', 'fused', 'convolutions'] * 2
    for timing in timings:
        assert len(timing['seconds']) == 2 and min(timing['seconds']) > 0
        assert (timing['peak'] > 0) == (timing['name'] != 'convolutions') and timing['saved'] is None


def test_a_training_step_saves_more_than_nothing_and_less_with_frozen_norms():
    frozen = Candidate('frozen', ours(**TINY, **FROZEN))
    last = Candidate('last', ours(**TINY), channels_last=True)
    learning, frozen, last = measure([PLAIN, frozen, last], (2, 3, 64, 64), 1, True, 'cpu')
    assert 0 < frozen['saved'] < learning['saved'] <= learning['peak'] and last['saved'] > 0


def test_reports_as_tables_json_and_plots(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(BENCHMARKS, 'inference', Benchmark('', [PLAIN, GONE, FUSED], []))
    monkeypatch.setitem(BENCHMARKS, 'sizes', Benchmark('', [PLAIN, FUSED], []))
    shapes = [(1, 3, 64, 64), (1, 3, 32, 32)]
    given = options(
        benchmarks=['inference', 'sizes'],
        shapes=shapes,
        json=str(tmp_path / 'b.json'),
        plots=tmp_path / 'plots',
    )
    benchmark.main(given)
    printed = capsys.readouterr().out
    for text in ('threads: ', 'torch ', '1x3x64x64', 'median ms', 'Not installed, left out: gone'):
        assert text in printed
    report = json.loads((tmp_path / 'b.json').read_text())
    assert report['machine']['threads'] == str(torch.get_num_threads())
    assert [s['shape'] for s in report['sections']] == [list(s) for s in shapes] * 2
    (ratio,) = report['sections'][0]['ratios']
    plain, fused = report['sections'][0]['timings']
    assert ratio['ratio'] == pytest.approx(sorted(plain['seconds'])[1] / sorted(fused['seconds'])[1])
    assert [path.name for path in (tmp_path / 'plots').iterdir()] == ['cost_by_size.png']


def test_runtimes_stand_beside_table_3(monkeypatch):
    tiny = lambda **kw: ours(**{**TINY, 'base_width': kw['base_width'] // 8})  # noqa: E731
    monkeypatch.setattr(benchmark_networks, 'ours', tiny)
    monkeypatch.setitem(BENCHMARKS, 'table3', benchmark_networks.table3())
    (section,) = benchmark.sections('table3', options(runs=1, shapes=[(1, 3, 64, 64)]))
    published = {r['of']: round(r['paper'], 4) for r in section['ratios'] if not r['of'].endswith('fused')}
    assert published == {
        'Res2Net-50 48w×2s': round(148 / 149, 4),
        'Res2Net-50 26w×4s': round(153 / 149, 4),
        'Res2Net-50 14w×8s': round(172 / 149, 4),
        'Res2Net-50-L 18w×4s': round(106 / 149, 4),
    }
    assert all(r['ratio'] > 0 for r in section['ratios'])


def test_a_gpu_that_is_not_there(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    with pytest.raises(UserError, match='PyTorch sees no GPU'):
        benchmark.main(options(device='cuda'))


def test_jobs_of_the_demo_need_a_checkout(tmp_path, monkeypatch):
    monkeypatch.setattr(benchmark.benchmark_jobs, 'ROOT', tmp_path)
    with pytest.raises(UserError, match="jobs are the demo's, of a checkout: .*/demo/configs is missing"):
        benchmark.benchmark_jobs.check('jobs')


@pytest.mark.parametrize(
    ('given', 'message'),
    [
        (dict(plots='there'), '--plots is for scales, sizes, not for inference'),
        (
            dict(benchmarks=['jobs']),
            '--shapes is for inference, training, amp, frozen, frozen-amp, .*, scales, sizes, not',
        ),
        (dict(json='there'), '--json there is a folder'),
        (dict(json='file/x.json'), '--json file/x.json cannot be written: Not a dir'),
        (dict(benchmarks=['sizes'], plots='file'), '--plots file cannot be written: Not a dir'),
        (dict(benchmarks=['inference', 'jobs']), 'make demo makes'),
        (dict(benchmarks=['coco-jobs'], shapes=None), 'data/coco'),
        (
            dict(benchmarks=['inference', 'training'], shapes=[(2, 3, 32, 32), (1, 3, 32, 20)]),
            '1x32x20: BN cannot learn from the one pixel',
        ),
    ],
)
def test_says_what_is_wrong_before_anything_is_measured(given, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(benchmark, 'measure', lambda *_: pytest.fail('measured'))
    (tmp_path / 'there').mkdir()
    (tmp_path / 'file').touch()
    with pytest.raises(UserError, match=message):
        benchmark.main(options(**given))
    assert sorted(path.name for path in tmp_path.iterdir()) == ['file', 'there']


def test_every_candidate_can_be_built():
    for candidate in (*BENCHMARKS['inference'].candidates, *BENCHMARKS['training'].candidates):
        assert isinstance(candidate.build(), nn.Module)


def test_every_baseline_is_a_candidate():
    for name in set(BENCHMARKS) - {'sizes'}:  # sizes has only some of inference's
        each = BENCHMARKS[name]
        names = [candidate.name for candidate in each.candidates]
        assert len(set(names)) == len(names)
        assert {baseline for candidate in each.candidates for baseline in candidate.baselines} <= {*names}


def test_kernels_are_counted_on_a_gpu_alone():
    assert benchmark.kernels(lambda: torch.ones(2) + 1, 'cpu') is None


@pytest.mark.parametrize('device', [pytest.param('cuda', marks=GPU)])
def test_kernels(device):
    x = torch.ones(2, device=device)
    assert benchmark.kernels(lambda: (x + 1) * 2, device) == 2
