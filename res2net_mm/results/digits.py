"""Figure 5's experiment on the demo data's digits: means over seeds, and how far these are apart."""

from collections import defaultdict
from decimal import Decimal
from statistics import mean, stdev

from ..config import digits_configs
from .tables import Cell, Row, Table, backbone_size
from .work_dirs import Run, deviations, read_config, training, training_deviations

TITLE = "Demo data: Figure 5's series, narrow, on real digits, not CIFAR-100; not a result of the paper"
DIMENSIONS = dict(cardinality='groups', depth='depth', scale='scales')
METRIC = 'accuracy/top1'
TEST_IMAGES = 1297


def digits_tables(runs: list[Run]) -> tuple[list[Table], list[str]]:
    """Lay out the runs of ``configs/demo/digits``: a row for each network of each series.

    Args:
        runs (list[Run]): What was run, by time. Of a network and a seed the newest counts that is finished
            and did all as its config says.

    Returns:
        tuple[list[Table], list[str]]: The table, or nothing if there was no such run; and for each run that
        doesn't count the reason.

    Raises:
        UserError: If mmpretrain, whose configs these are, isn't there.
    """
    runs = [run for run in runs if digits_configs().keys() & set(run.names)]
    if not runs:
        return [], []
    configs = {name: read_config(file) for name, file in digits_configs().items()}
    chosen, left_out = defaultdict(dict), []
    for run in runs:
        for name in configs.keys() & set(run.names):
            faults = _faults(run, configs[name])
            if faults:
                left_out.append(f'{run.folder}: {"; ".join(faults)}')
                continue
            # A test's own config doesn't know with which seed its weights were trained.
            seed = (training(run).cfgs[-1].get('randomness') or {}).get('seed')
            if seed in chosen[name]:
                left_out.append(f'{chosen[name][seed].folder}: {run.folder} counts in its place')
            chosen[name][seed] = run
    backbones = {name: cfg['model']['backbone'] for name, cfg in configs.items()}
    start = min(backbones.values(), key=lambda backbone: [backbone[key] for key in DIMENSIONS.values()])
    rows = []
    for dimension, key in DIMENSIONS.items():
        # of those that differ from where the series begin in nothing else
        series = [name for name, backbone in backbones.items() if {**backbone, key: start[key]} == start]
        for name in sorted(series, key=lambda name: backbones[name][key]):
            rows.append(Row([dimension, _label(backbones[name])], _cells(name, list(chosen[name].values()))))
    return [
        Table(
            'Figure 5 digits',
            TITLE,
            ['Dimension', 'Network'],
            ['Params (M)', 'mean top-1 (%)', 'std', 'runs'],
            rows,
            2,
            grouped=True,
            notes=[
                f'{TEST_IMAGES:,} test images. std: sample standard deviation over the runs, which '
                'differ in their seeds; which runs a number is from: --format csv or json.',
                'All series begin at one network. Parameters without the classifier. · not run.',
            ],
        )
    ], left_out


def _faults(run: Run, shipped: dict) -> list[str]:
    """Why a run doesn't count; empty if it does."""
    faults = deviations(run, shipped) + training_deviations(run, shipped)
    if run.images != TEST_IMAGES:
        faults.append(f'{run.images} images, not {TEST_IMAGES:,}')
    return faults


def _label(backbone: dict) -> str:
    """What Figure 5 calls such a network."""
    ours, scale = ('Res2', f'×{backbone["scales"]}s') if backbone['scales'] > 1 else ('Res', '')
    return f'{ours}NeXt-{backbone["depth"]}, {backbone["groups"]}c×{backbone["base_width"]}w{scale}'


def _cells(name: str, runs: list[Run]) -> list[Cell]:
    """A network's size, and over its runs the mean accuracy, its standard deviation and their number."""
    values = [run.metrics[METRIC] for run in runs]
    average = round(Decimal(mean(values)), 2) if values else None
    spread = round(Decimal(stdev(values)), 2) if len(values) > 1 else None
    return [
        Cell({}, backbone_size(digits_configs()[name], 3)),
        Cell({}, average, runs, mean=True),
        Cell({}, spread, runs, mean=True),
        Cell({}, len(runs) or None, runs, mean=True),
    ]
