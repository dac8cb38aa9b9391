"""What runs recorded of themselves (see :class:`res2net_mm.engine.RecordHook`), read and nothing guessed."""

import json
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from ..files import walk


@dataclass(eq=False)
class Run:
    """One start of a tool that measured something.

    Attributes:
        folder (Path): ``WORK_DIR/TIMESTAMP``.
        record (dict): Its record.
        metrics (dict[str, Decimal]): Its metrics, exactly, less what is undefined.
        data (dict): What is recorded of the data set that was evaluated.
        changes (list[str]): How its weights were trained otherwise than the shipped config of its name says.
        footnotes (list[str]): What else to know of it.
        progress (dict, optional): How far the training of its weights was, if that is known.
    """

    folder: Path
    record: dict
    metrics: dict[str, Decimal]
    data: dict
    changes: list[str]
    footnotes: list[str]
    progress: dict | None

    def __str__(self) -> str:
        if self.record['mode'] == 'test':
            checkpoint = (self.record['checkpoint'] or {}).get('path')
            return f'{self.folder} (test of {Path(checkpoint or "nothing").name})'
        unit = dict(epoch='epoch', iter='iteration')[self.progress['unit']]
        reached, planned = self.progress['reached'], self.progress['planned']
        return f'{self.folder} (validation at {unit} {reached:,} of {planned:,})'

    @property
    def config(self) -> str:
        """Its config's name."""
        return self.record['config']

    @property
    def work_dir(self) -> Path:
        """The folder of all starts of its experiment."""
        return self.folder.parent

    @property
    def finished(self) -> bool:
        """Whether the training of its weights isn't known to be unfinished."""
        return self.progress is None or self.progress['reached'] >= self.progress['planned']


def find_runs(paths: list[str | Path]) -> tuple[list[Run], list[str]]:
    """Read the records of all runs below some folders.

    Args:
        paths (list[str | Path]): The folders, which are searched to any depth, also behind links.

    Returns:
        tuple[list[Run], list[str]]: The runs with metrics, by time, those of unfinished trainings before all
        others; and a line for each run without a record, or with one that can't be read.
    """
    runs, problems = {}, []
    for folder, folders, files in (found for path in paths for found in walk(path)):
        if 'record.json' in files:
            try:
                if run := read_run(folder):
                    runs.setdefault((folder / 'record.json').resolve(), run)
            except Exception as error:  # whatever a damaged record leads to
                problems.append(f"{folder}: its record can't be read ({type(error).__name__}: {error})")
        elif 'vis_data' in folders:
            logs = folder / 'vis_data' / 'scalars.json', folder / f'{folder.name}.json'
            if any(log.exists() and log.stat().st_size for log in logs):  # else it ended before it began
                problems.append(f'{folder} is not counted: it has no record.json')
    return sorted(runs.values(), key=lambda run: (run.finished, run.record['started'])), problems


def read_run(folder: Path) -> Run | None:
    """Read ``WORK_DIR/TIMESTAMP/record.json``; None if nothing has been measured yet.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: If it is torn, or no record.
    """
    record = json.loads((folder / 'record.json').read_text('utf-8'), parse_float=Decimal)
    if record['metrics'] is None:
        return None
    metrics = {k: Decimal(v) for k, v in record['metrics'].items() if v is not None and v >= 0}
    test, training = record['mode'] == 'test', record
    if test:
        training = (record['checkpoint'] or {}).get('training')
    changes, footnotes = _training(record, training)
    run = Run(
        folder,
        record,
        metrics,
        data=record['data']['test' if test else 'val'],
        changes=changes,
        footnotes=footnotes,
        progress=training and training['progress'],
    )
    str(run), run.data['images'] + 0, record['started'] + '', record['tta'], record['changes']  # all there
    return run


def _training(record: dict, training: dict | None) -> tuple[list[str], list[str]]:
    """Changes to the training, all its starts', and footnotes."""
    changes, footnotes = [], []
    if record['mode'] == 'test' and record['dtype'] != 'float32':
        footnotes.append(f'tested in half precision ({record["dtype"]})')
    if training:
        reached, planned = training['progress']['reached'], training['progress']['planned']
        if reached < planned:
            footnotes.append(f'stopped, or not finished yet, at {reached:,} of {planned:,}')
    start = training
    while start:
        if start['config'] != record['config']:
            footnotes.append(f'trained as {start["config"]}')
        elif start['changes'] is None and record['changes'] is not None:
            footnotes.append('of a training that was not compared with the shipped config')
        changes += (start['changes'] or {}).get('training', [])
        if not start['resumed']:
            break
        start = (start['checkpoint'] or {}).get('training')
    else:
        footnotes.append('of a training that left no record')
    return list(dict.fromkeys(changes)), list(dict.fromkeys(footnotes))
