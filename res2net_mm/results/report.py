"""What ``tools/results.py`` prints, writes and draws."""

import argparse
import functools
import sys
from pathlib import Path

from ..errors import UserError
from ..files import replacing
from .digits import digits_tables
from .plots import plot, plot_series
from .render import FORMATS
from .tables import demo_tables, paper, paper_tables
from .work_dirs import find_runs


def table_names() -> list[str]:
    """Names of the tables that there are."""
    return list(paper()['tables'])


def figure_names() -> list[str]:
    """Names of the figures that there are."""
    return list(paper()['figures'])


def main(args: argparse.Namespace) -> None:
    """Report on the runs of some work directories, as ``tools/results.py`` was asked to."""
    absent = [folder for folder in args.work_dirs if not Path(folder).is_dir()]
    if absent and args.work_dirs != ['work_dirs']:  # which isn't there before the first training
        sys.exit(f'results.py: error: there is no folder {", ".join(absent)}')
    runs, unreadable = find_runs(args.work_dirs)
    try:
        if args.demo:
            tables, left_out = digits_tables(runs)
            tables = demo_tables(runs) + tables
        else:
            names = args.table or [f'Figure {name}' for name in args.figure or ()]
            tables, left_out = paper_tables(runs, names)
    except UserError as error:  # without mmpretrain Figure 5's networks can't be counted
        sys.exit(f'results.py: error: {error}')
    ends = [f'left out: {line}' for line in left_out] + [f'warning: {line}' for line in unreadable]
    where = ', '.join(map(str, args.work_dirs))
    if not runs:
        ends.append(f'No runs were found in {where}. (They are known by their vis_data/config.py.)')
    elif args.demo and not tables:
        ends.append(f'No runs on the demo data were found in {where}.')
    if args.demo and not tables:
        ends.append('make demo makes one, make demos and make digits make all.')
    if args.format == 'csv':  # which has no place for them
        print(*ends, sep='\n', end='\n' if ends else '', file=sys.stderr)
    render = FORMATS[args.format]
    if args.out and args.format == 'terminal':
        render = functools.partial(render, width=100)
    text = render(tables, ends)
    try:
        if args.out:
            with replacing(Path(args.out)) as part:
                part.write_text(text, encoding='utf-8')
        else:
            print(text, end='')
        if args.plots:
            pictures = plot(tables, args.plots)
        else:  # a figure is drawn unasked, if anything of it was measured
            pictures = plot_series(tables, Path(args.work_dirs[0])) if args.figure or args.demo else []
        for path in pictures:
            print(f'Plot: {path}', file=sys.stderr)
    except OSError as error:
        sys.exit(f'results.py: error: {error}')
