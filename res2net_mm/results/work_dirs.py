"""What runs left in their work directories: mmengine's own copies of their configs and metrics."""

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import numpy as np
from mmengine.config import Config

from .curves import read_records

DEMO_IMAGES = {80, 60, 40, 1297}
MANIFEST = 'demo.json'

# Keys that decide neither what a model computes in a test nor what is evaluated how.
PLACES = {'data_root', 'backend_args', 'download', 'lazy_init', 'outfile_prefix', 'use_mp_eval'}
FILES = {'ann_file', 'bbox_file', 'data_prefix'}  # of which only the last part of a path does
REPORTED = {'metric', 'metric_items', 'classwise', 'meta_keys'}
# Parts of a model's config that only training uses.
OF_TRAINING = {
    'auxiliary_head',
    'batch_augments',
    'dropout_ratio',
    'frozen_stages',
    'init_cfg',
    'norm_eval',
    'pretrained',
    'requires_grad',
    'train_cfg',
    'with_cp',
}
TRAINING = ('train_dataloader', 'train_cfg', 'optim_wrapper', 'param_scheduler', 'custom_hooks', 'sync_bn')
# Keys of a training that don't decide what is learned, or that images_per_iter is the product of.
RUNNING = {'num_workers', 'persistent_workers', 'pin_memory', 'prefetch_factor', 'val_interval', 'with_cp'}
RUNNING |= {'batch_size', 'accumulative_counts'}
PER_ITER = 'images_per_iter'


@dataclass(eq=False)
class Run:
    """One start of a tool that left metrics.

    Attributes:
        folder (Path): ``WORK_DIR/TIMESTAMP``.
        cfg (dict): The config it ran, with its options.
        metrics (dict[str, Decimal]): What its metric file says, exactly, less what is undefined.
        step (int, optional): The epoch or iteration of a training's last validation; None for a test.
    """

    folder: Path
    cfg: dict
    metrics: dict[str, Decimal]
    step: int | None = None

    def __str__(self) -> str:
        if self.step is None:
            return f'{self.folder} (test of {Path(self.cfg.get("load_from") or "nothing").name})'
        kind = 'epoch' if 'max_epochs' in (self.cfg.get('train_cfg') or {}) else 'iteration'
        return f'{self.folder} (validation at {kind} {self.step:,} of {self.last_step:,})'

    @property
    def finished(self) -> bool:
        """Whether it isn't a validation before the end of its training."""
        return self.step is None or self.step >= self.last_step

    @property
    def work_dir(self) -> Path:
        """The folder of all starts of its experiment."""
        return self.folder.parent

    @property
    def last_step(self) -> int | None:
        """The last epoch or iteration of its training, as its config says; None for a test."""
        loop = self.cfg.get('train_cfg') or {}
        return self.step and (loop.get('max_epochs') or loop.get('max_iters') or self.step)

    @property
    def names(self) -> list[str]:
        """Names of the configs that were run in the work directory."""
        return [p.stem for p in self.work_dir.glob('*.py')]

    @property
    def part(self) -> str:
        """Whether its config's ``test_...`` or ``val_...`` was evaluated."""
        return 'test' if self.step is None else 'val'

    @property
    def dataset(self) -> dict:
        """Config of the data set that was evaluated."""
        return _dataset(self.cfg, self.part)

    @property
    def images(self) -> int | None:
        """On how many images it was evaluated, if that is on record."""
        images = self.metrics.get('images')
        return None if images is None else int(images)

    @property
    def demo(self) -> bool:
        """Whether it was evaluated on the demo data, be it linked to where COCO is expected."""
        root = Path(self.dataset.get('data_root') or '.')
        return (
            self.images in DEMO_IMAGES
            or ('data', 'demo') in zip(root.parts, root.parts[1:])
            or any((parent / MANIFEST).exists() for parent in root.resolve().parents[:2])
        )

    @property
    def tta(self) -> bool:
        """Whether it was tested with ``--tta``."""
        return 'module' in self.cfg['model']

    @property
    def boxes(self) -> str | None:
        """Of key points: whose boxes they were looked for in."""
        if self.cfg.get('default_scope') != 'mmpose':
            return None
        return 'detected' if self.dataset.get('bbox_file') else 'ground truth'

    @property
    def backbone(self) -> str:
        """Such as ``Res2Net-50 26w×4s``."""
        model = self.cfg['model'].get('module', self.cfg['model'])
        backbone = model.get('backbone') or {}
        kind = str(backbone.get('type')).rpartition('.')[2]
        if kind != 'Res2Net':
            return f'{"ResNet" if kind.startswith("ResNet") else kind}-{backbone.get("depth")}'
        v1b = ' v1b' if backbone.get('deep_stem') else ''
        setting = f'{backbone.get("base_width", 26)}w×{backbone.get("scales", 4)}s'
        return f'Res2Net-{backbone.get("depth", 50)}{v1b} {setting}'


def find_runs(paths: list[str | Path]) -> tuple[list[Run], list[str]]:
    """Read all runs below some folders.

    Args:
        paths (list[str | Path]): The folders, which are searched to any depth.

    Returns:
        tuple[list[Run], list[str]]: The runs with metrics, by time, and a line for each that can't be read.
    """
    runs, unreadable = {}, []
    for path in paths:
        for folder in sorted(_started(Path(path))):
            try:
                run = read_run(folder)
            except Exception as error:  # a config is code: torn, it fails in any way
                reason = str(error).partition('\n')[0]
                unreadable.append(f'{folder} was skipped: {type(error).__name__}: {reason}')
                continue
            if run:
                runs.setdefault(folder.resolve(), run)
    return sorted(runs.values(), key=lambda run: run.folder.name), unreadable


def _started(path: Path) -> Iterator[Path]:
    """Folders of starts below a folder, also behind links."""
    seen = set()
    for folder, folders, files in os.walk(path, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:  # a link in a circle
            folders.clear()
            continue
        seen.add(real)
        if os.path.basename(folder) == 'vis_data' and 'config.py' in files:
            yield Path(folder).parent


def read_run(folder: Path) -> Run | None:
    """Read ``WORK_DIR/TIMESTAMP``; None if nothing was measured in it."""
    test, scalars = folder / f'{folder.name}.json', folder / 'vis_data' / 'scalars.json'
    step = None
    if test.exists():
        metrics = json.loads(test.read_text(), parse_float=_decimal)
    else:
        records = read_records(scalars, parse_float=_decimal) if scalars.exists() else []
        metrics = next((r for r in reversed(records) if 'loss' not in r), None)
        if metrics is None:
            return None
        step = metrics.pop('step')
    numbers = {k: Decimal(v) for k, v in metrics.items() if isinstance(v, (int, Decimal)) and v >= 0}
    run = Run(folder, read_config(folder / 'vis_data' / 'config.py'), numbers, step)
    missing = {'model', f'{run.part}_dataloader', f'{run.part}_evaluator'} - run.cfg.keys()
    if missing:
        raise ValueError(f'its config has no {" and no ".join(sorted(missing))}')
    return run


def _decimal(text: str) -> Decimal:
    """What a number in a file stands for: mmseg's are of 32 bits, written with the digits of 64."""
    single = np.float32(text)
    return Decimal(str(single) if float(single) == float(text) else text)


def read_config(file: Path) -> dict:
    """A config as plain dicts; what it wants imported isn't."""
    return Config.fromfile(file, import_custom_modules=False).to_dict()


@dataclass(eq=False)
class Training:
    """The training that a run's weights are from.

    Attributes:
        cfgs (list[dict]): The configs of its starts: the last, and those that it resumed.
        step (int, optional): The epoch or iteration of the weights, if their file's name tells.
        images_per_iter (int, optional): How many images an iteration learned from, if that was recorded.
    """

    cfgs: list[dict]
    step: int | None
    images_per_iter: int | None


def training(run: Run) -> Training | None:
    """Find the training that a run's weights are from; None if there is no record of it."""
    step = run.step
    work_dir = run.work_dir
    if step is None:
        checkpoint = Path(run.cfg.get('load_from') or '')
        named = re.search(r'(?:epoch|iter)_(\d+)\.pth$', checkpoint.name)
        step = named and int(named[1])
        own = Path(run.cfg.get('work_dir') or '').parts  # where this work directory was when the test ran
        if not own or checkpoint.parent.parts[-len(own) :] != own:
            work_dir = checkpoint.parent
    starts = []
    for file in sorted(work_dir.glob('*/vis_data/scalars.json')):
        records = read_records(file)
        if file.parents[1].name <= run.folder.name and any('loss' in r for r in records):
            starts.append((file.parents[1], records))
    # The file was written by the last start that got so far.
    while len(starts) > 1 and step is not None and not _reached(starts[-1][1], step):
        starts.pop()
    cfgs, images = [], None
    try:
        for folder, records in reversed(starts):
            cfgs.append(read_config(folder / 'vis_data' / 'config.py'))
            images = images or next((r[PER_ITER] for r in reversed(records) if PER_ITER in r), None)
            if not cfgs[-1].get('resume'):
                break
    except Exception:  # torn
        return None
    return Training(cfgs, step, images and int(images)) if cfgs else None


def _reached(records: list[dict], step: int) -> bool:
    """Whether a start's records come to an epoch, or to an iteration in a training that counts these."""
    last = records[-1]
    return last.get('epoch', last['step']) >= step


def deviations(run: Run, shipped: dict) -> list[str]:
    """What keeps a run's figures from being those of a shipped config: its model, its test data's processing.

    Args:
        run (Run): The run.
        shipped (dict): The config.

    Returns:
        list[str]: Lines such as ``model.backbone.depth=101, not 50``.
    """
    model, test = shipped['model'], _dataset(shipped, 'test')
    if run.tta:
        if 'tta_model' not in shipped:
            return ['tested with --tta, for which the config has nothing']
        model = {**shipped['tta_model'], 'module': model}
        test = {**test, 'pipeline': shipped['tta_pipeline']}
    pairs = {
        'model': (run.cfg['model'], model),
        f'{run.part}_dataloader.dataset': (run.dataset, test),
        f'{run.part}_evaluator': (_evaluators(run.cfg, run.part), _evaluators(shipped, 'test')),
        f'{run.part}_dataloader.num_batch_per_epoch': (
            run.cfg[f'{run.part}_dataloader'].get('num_batch_per_epoch'),
            None,
        ),
    }
    return [
        _line(path, ours, theirs)
        for name, (a, b) in pairs.items()
        for path, ours, theirs in differences(a, b, (name,))
        if not {*path} & REPORTED
        and not _same_files(path, ours, theirs)
        and not (name == 'model' and _of_training(path))
        and {str(ours), str(theirs)} != {'BN', 'SyncBN'}  # the same in a test
    ]


def training_deviations(run: Run, shipped: dict) -> list[str]:
    """How the training of a run's weights differs from a shipped config's, as :func:`deviations` says it."""
    trained = training(run)
    if trained is None:
        return ['no record of it']
    half = any(hook.get('half') for hook in run.cfg.get('custom_hooks') or [])
    lines = ['tested in half precision (--half)'] if half else []
    for cfg in trained.cfgs:
        pairs = {key: (cfg.get(key), shipped.get(key)) for key in TRAINING}
        pairs['model'] = (cfg['model'], shipped['model'])
        if not cfg.get('resume'):
            pairs['load_from'] = (cfg.get('load_from'), shipped.get('load_from'))
        if (cfg.get('auto_scale_lr') or {}).get('enable'):
            pairs['auto_scale_lr.enable'] = (True, False)
        lines += [
            _line(path, ours, theirs)
            for name, (a, b) in pairs.items()
            for path, ours, theirs in differences(a, b, (name,))
            if not {*path} & RUNNING
            and not _same_files(path, ours, theirs)
            and (name != 'model' or _of_training(path))
        ]
    batch = (shipped.get('auto_scale_lr') or {}).get('base_batch_size')
    if batch and trained.images_per_iter != batch:
        lines.append(f'{trained.images_per_iter or "an unknown number of"} images an iteration, not {batch}')
    loop = trained.cfgs[0].get('train_cfg') or {}
    last = loop.get('max_epochs') or loop.get('max_iters')
    if trained.step is not None and last and trained.step < last:
        lines.append(f'stopped, or not finished yet, at {trained.step:,} of {last:,}')
    return list(dict.fromkeys(lines))


def differences(a, b, path: tuple[str, ...] = ()) -> Iterator[tuple]:
    """Walk two configs side by side; what is missing counts as None, a tuple as a list.

    Yields:
        tuple: The path and the two values of each difference.
    """
    if isinstance(a, dict) and isinstance(b, dict):
        for key in sorted({*a, *b}, key=str):
            yield from differences(a.get(key), b.get(key), (*path, str(key)))
    elif isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)) and len(a) == len(b):
        for index, (x, y) in enumerate(zip(a, b)):
            yield from differences(x, y, (*path, str(index)))
    elif a != b:
        yield path, a, b


def _same_files(path: tuple[str, ...], ours, theirs) -> bool:
    """Whether a difference is only in where the same files lie."""
    if {*path} & FILES and isinstance(ours, str) and isinstance(theirs, str):
        return Path(ours).name == Path(theirs).name
    # No file of boxes: those of the ground truth, which a table has places of their own for.
    return bool({*path} & PLACES) or (path[-1] == 'bbox_file' and ours is None)


def _of_training(path: tuple[str, ...]) -> bool:
    # What a loss is decides how its head's outputs are read; what it weighs doesn't.
    loss = any(p.startswith('loss') for p in path) and path[-1] not in ('type', 'use_sigmoid')
    return loss or bool({*path} & OF_TRAINING)


def _dataset(cfg: dict, part: str) -> dict:
    dataset = cfg[f'{part}_dataloader']['dataset']
    while 'dataset' in dataset:
        dataset = dataset['dataset']
    return dataset


def _evaluators(cfg: dict, part: str) -> list[dict]:
    """Evaluators but for those that only write; the faster one of COCO gives the same numbers."""
    evaluators = cfg[f'{part}_evaluator']
    return [
        {**e, 'type': e['type'].replace('FasterCoco', 'Coco')}
        for e in (evaluators if isinstance(evaluators, (list, tuple)) else [evaluators])
        if not e['type'].rpartition('.')[2].startswith('Dump')
    ]


def _line(path: tuple[str, ...], ours, theirs) -> str:
    short = (repr(v) if len(repr(v)) < 60 else f'{repr(v)[:50]}...' for v in (ours, theirs))
    return f'{".".join(path)}={next(short)}, not {next(short)}'
