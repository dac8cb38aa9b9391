"""What ``tools/results.py`` prints, writes and draws."""

import sys
from collections.abc import Iterable
from pathlib import Path

from ..errors import UserError
from ..files import write_text
from .other_tables import other_tables
from .paper import paper
from .paper_tables import paper_tables
from .plots import plot, plot_series
from .records import Run, find_runs
from .render import FORMATS
from .tables import Table

TABLES = [*paper()['tables'], 'other']
FIGURES = list(paper()['figures'])


def report(
    work_dirs: list[str],
    table: list[str] | None = None,
    figure: list[str] | None = None,
    format: str = 'terminal',
    out: str | None = None,
    plots: str | None = None,
) -> None:
    """Report on the runs of some work directories; the arguments are the options of ``tools/results.py``.

    Raises:
        UserError: If a folder isn't there, or something can't be written.
    """
    names = [name for name in table or () if name != 'other'] + [f'Figure {name}' for name in figure or ()]
    tables, ends, runs = collect(work_dirs, names, others='other' in (table or ()) or not names)
    if table and not names:
        tables = [table for table in tables if not table.compared]
    if not runs:
        ends.append(no_runs(work_dirs))
    if format == 'csv' and ends:  # which has no room for them
        print(*ends, sep='\n', file=sys.stderr)
    text = FORMATS[format](tables, ends, **dict(width=100) if out and format == 'terminal' else {})
    try:
        if out:
            write_text(Path(out), text)
        else:
            print(text, end='')
        if plots:
            pictures = plot(tables, plots)
        else:  # a figure is drawn unasked, if anything of it was measured
            pictures = plot_series(tables, Path(work_dirs[0])) if figure else []
    except OSError as error:
        raise UserError(str(error)) from None
    for path in pictures:
        print(f'Plot: {path}', file=sys.stderr)


def collect(
    work_dirs: list[str], names: Iterable[str] = (), others: bool = True
) -> tuple[list[Table], list[str], list[Run]]:
    """Fill tables with the runs of some work directories.

    Args:
        work_dirs (list[str]): The folders.
        names (Iterable[str]): Names of the paper's tables, see :func:`.specs`. Default: all.
        others (bool): Whether to lay out other runs, too. Default: True.

    Returns:
        tuple[list[Table], list[str], list[Run]]: The tables; lines on what was left out and what has no
        record; the runs.

    Raises:
        UserError: If a folder isn't there.
    """
    absent = [folder for folder in work_dirs if not Path(folder).is_dir()]
    if absent and work_dirs != ['work_dirs']:  # which isn't there before the first training
        raise UserError(f'there is no folder {", ".join(absent)}')
    runs, problems = find_runs(work_dirs)
    tables, left_out, other_runs = paper_tables(runs, names)
    if others:
        tables += other_tables(other_runs)
        left_out = [(run, reason) for run, reason in left_out if run not in other_runs]
    lines = [f'left out: {run.folder}: {reason}' for run, reason in left_out]
    return tables, [*lines, *(f'warning: {line}' for line in problems)], runs


def no_runs(work_dirs: list[str]) -> str:
    """Say that there are none."""
    return f'No runs were found in {", ".join(work_dirs)}. (They are known by their record.json.)'
