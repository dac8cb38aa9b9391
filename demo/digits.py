#!/usr/bin/env python
"""Print Figure 5's experiment on the demo data's digits, from its runs' records: means over the seeds."""

import argparse
import re
import sys
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from statistics import mean, stdev

from res2net_mm.results.plots import plot_series
from res2net_mm.results.records import Run, find_runs
from res2net_mm.results.render import FORMATS
from res2net_mm.results.tables import Cell, Row, Table

TITLE = "Demo data: Figure 5's series, narrow, on real digits, not CIFAR-100; not a result of the paper"
NETWORK = re.compile(r'r2?n?x(?P<depth>\d+)_(?P<cardinality>\d+)c(?P<width>\d+)w((?P<scale>\d+)s)?_digits')
DIMENSIONS = 'cardinality', 'depth', 'scale'
IMAGES = 1297


def choose(runs: list[Run]) -> tuple[dict[tuple, dict[int, Run]], list[str]]:
    """The newest run that counts of each network and seed, and a line for each run that doesn't."""
    chosen, left_out = defaultdict(dict), []
    for run in runs:
        network = NETWORK.fullmatch(run.config)
        if network is None:
            continue
        of_test = run.record['mode'] == 'test'
        training = run.record['checkpoint']['training'] if of_test else run.record
        options = {**run.record['options'], **(training or {}).get('options', {})}
        reasons = run.footnotes + [f'{k}={v}' for k, v in options.items() if k != 'randomness.seed']
        if run.data['images'] != IMAGES:
            reasons.append(f'{run.data["images"]:,} images, not {IMAGES:,}')
        if reasons:
            left_out.append(f'{run.folder}: {"; ".join(reasons)}')
            continue
        numbers = {key: int(value or 1) for key, value in network.groupdict().items()}
        seeds = chosen[tuple(numbers.items())]
        if training['seed'] in seeds:
            left_out.append(f'{seeds[training["seed"]].folder}: {run.folder} counts in its place')
        seeds[training['seed']] = run
    return chosen, left_out


def table(chosen: dict[tuple, dict[int, Run]]) -> Table:
    """A row for each network of each series; all series begin at one network."""
    networks = {key: dict(key) for key in chosen}
    start = min(networks.values(), key=lambda network: [network[d] for d in DIMENSIONS], default=None)
    rows = []
    for dimension in DIMENSIONS:
        series = [
            key for key, network in networks.items() if {**network, dimension: start[dimension]} == start
        ]
        for key in sorted(series, key=lambda key: networks[key][dimension]):
            runs = list(chosen[key].values())
            top1 = [run.metrics['accuracy/top1'] for run in runs]
            size = round(Decimal(runs[0].record['parameters']['backbone']) / 10**6, 3)
            spread = round(stdev(top1), 2) if len(top1) > 1 else None
            numbers = [Cell({}, value, runs) for value in (round(mean(top1), 2), spread, len(top1))]
            rows.append(Row([dimension, label(**networks[key])], [Cell({}, size), *numbers]))
    columns = ['Params (M)', 'mean top-1 (%)', 'std', 'runs']
    notes = [
        f'{IMAGES:,} test images. std: sample standard deviation over the runs, which differ in their seeds; '
        'which runs a number is from: --format csv or json.',
        'All series begin at one network. Parameters without the classifier.',
    ]
    return Table('Figure 5 digits', TITLE, ['Dimension', 'Network'], columns, rows, 2, True, notes)


def label(depth: int, cardinality: int, width: int, scale: int) -> str:
    """What Figure 5 calls such a network."""
    name, scales = ('Res2NeXt', f'×{scale}s') if scale > 1 else ('ResNeXt', '')
    return f'{name}-{depth}, {cardinality}c×{width}w{scales}'


def main() -> None:
    """Print the table and draw it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('work_dir', nargs='?', default='work_dirs/demo/digits', help='(%(default)s)')
    parser.add_argument('--format', choices=FORMATS, default='terminal', help='(%(default)s)')
    args = parser.parse_args()
    runs, problems = find_runs([args.work_dir])
    chosen, left_out = choose(runs)
    ends = [f'left out: {line}' for line in left_out] + [f'warning: {line}' for line in problems]
    if not chosen:
        sys.exit('\n'.join([*ends, f'digits.py: error: no runs in {args.work_dir}; make digits makes them']))
    tables = [table(chosen)]
    print(FORMATS[args.format](tables, ends), end='')
    for path in plot_series(tables, Path(args.work_dir)):
        print(f'Plot: {path}', file=sys.stderr)


if __name__ == '__main__':
    main()
