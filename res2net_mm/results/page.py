"""A set of runs as one page: in Markdown with its pictures beside it, and in HTML that holds them."""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path

import cv2
from markdown_it import MarkdownIt

from ..config import load_config
from ..errors import UserError
from ..files import walk, write_text
from ..visualization.gallery import data_uri, to_jpeg, write_html
from .complexity import complexity
from .curves import plot_curves
from .paper_tables import specs
from .plots import plot_tables
from .records import Run
from .render import MARKDOWN, markdown
from .report import collect, no_runs
from .tables import Table

SHOWN = 6  # pictures of a folder
IMAGES = ('.jpg', '.jpeg', '.png', '.bmp', '.webp')
# A line of a table on which nothing was measured: it says no more than that it isn't there.
UNMEASURED = re.compile(r'^(\|  )+\| \*measured\* (\| [·-] )+\|\n', re.MULTILINE)
STYLE = """
h2 { margin: 2.5rem 0 .75rem; font-size: 1.3rem; border-bottom: 1px solid var(--line); }
h3 { margin: 1.5rem 0 .5rem; font-size: 1rem; overflow-wrap: anywhere; }
p, li { overflow-wrap: anywhere; }
ul { margin: .5rem 0; padding-left: 1.1rem; font-size: .9rem; color: var(--quiet); }
.table, .picture { background: var(--card); border-radius: .6rem; box-shadow: 0 1px 3px #0002; }
.table { overflow-x: auto; width: fit-content; max-width: 100%; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .7rem; text-align: left; white-space: nowrap; }
th { padding-block: .5rem; border-bottom: 1px solid var(--line); }
tbody tr:has(td:first-child:not(:empty)):not(:first-child) td { border-top: 1px solid var(--line); }
td em { color: var(--quiet); font-style: normal; }
sup { line-height: 0; }
p:has(.jpeg) { display: grid; gap: 1rem; align-items: start;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 24rem), 1fr)); }
p:has(.png) { display: flex; flex-wrap: wrap; gap: 1rem; }
.picture { display: block; padding: .6rem; }
.picture small { display: block; margin-top: .3rem; color: var(--quiet); }
.png { width: auto; max-width: 100%; max-height: 16rem; }
@media screen and (prefers-color-scheme: dark) { .png { filter: invert(.86) hue-rotate(180deg); } }
@media print { h2, h3 { break-after: avoid; } tr, .picture { break-inside: avoid; }
  .table, .picture { box-shadow: none; } table { font-size: .7rem; } th, td { padding: .1rem .4rem; }
  td:first-child { white-space: normal; overflow-wrap: anywhere; }
  p:has(.jpeg) { grid-template-columns: 1fr 1fr; } }
"""


def write_report(work_dirs: list[str], out: str | Path, about: Mapping[str, str] | None = None) -> Path:
    """Write ``report.html``, ``report.md`` and the latter's ``pictures/``.

    Args:
        work_dirs (list[str]): Folders with runs, searched to any depth.
        out (str | Path): Where they go.
        about (Mapping[str, str], optional): What is said of the report at its top. Default: None.

    Returns:
        Path: The HTML file.

    Raises:
        UserError: If there are no runs, or something can't be written.
    """
    out = Path(out)
    tables, remarks, runs = collect(work_dirs, specs())
    if not runs:
        raise UserError(' '.join([no_runs(work_dirs), *remarks]))
    tables = [t for t in tables if any(cell.measured is not None for row in t.rows for cell in row.cells)]
    dates = sorted(run.record['started'][:10] for run in runs)
    about = {
        **(about or {}),
        'Runs': f'{len(runs)}, of {len({run.config for run in runs})} configs',
        'Started': ' to '.join(sorted({dates[0], dates[-1]})),
        'Written': f'{datetime.now():%Y-%m-%d %H:%M}',
    }
    title = f'Runs in {", ".join(work_dirs)}'
    try:
        pictures = out / 'pictures'
        pictures.mkdir(parents=True, exist_ok=True)
        sections = {
            'Results': [UNMEASURED.sub('', markdown(tables, remarks))],
            'Plots': [_images(_plots(tables, pictures))],
            'Curves': [_images(_curves(runs, pictures))],
            'Pictures': [*_galleries(work_dirs, runs, pictures)],
            'Complexity': [*_complexity(runs)],
            'Environment': [*_environment(runs)],
        }
        parts = [[f'## {heading}', *texts] for heading, texts in sections.items() if any(texts)]
        text = '\n\n'.join(text for part in parts for text in part) + '\n'
        known = ''.join(f'- {term}: {_escape(value)}\n' for term, value in about.items())
        write_text(out / 'report.md', f'# {_escape(title)}\n\n{known}\n{text}')
        write_html(out / 'report.html', title, about, _to_html(text, out), STYLE)
    except OSError as error:
        raise UserError(f'could not write to {out}: {error.strerror or error}') from None
    return out / 'report.html'


def _escape(text: object) -> str:
    return str(text).replace('\n', ' ').translate(MARKDOWN)


def _table(header: list[str], rows: Iterable[list], numbers: int = 0) -> str:
    """A table in Markdown, whose last columns are numbers."""
    rule = ['---'] * (len(header) - numbers) + ['---:'] * numbers
    lines = [[_escape(cell) for cell in row] for row in (header, *rows)]
    return '\n'.join(f'| {" | ".join(line)} |' for line in (lines[0], rule, *lines[1:]))


def _images(captions: Mapping[Path, str]) -> str:
    return '\n'.join(f'![{_escape(text)}](pictures/{path.name})' for path, text in captions.items())


def _plots(tables: list[Table], folder: Path) -> dict[Path, str]:
    return {path: path.stem.replace('_', ' ').replace('ap ', 'AP ') for path in plot_tables(tables, folder)}


def _curves(runs: list[Run], folder: Path) -> dict[Path, str]:
    captions = {}
    for number, work_dir in enumerate(dict.fromkeys(run.work_dir for run in runs), 1):
        if path := plot_curves(work_dir, folder / f'curves_{number}.png'):
            captions[path] = str(work_dir)
    return captions


def _galleries(work_dirs: list[str], runs: list[Run], folder: Path) -> Iterator[str]:
    """Of each folder of pictures that a run or tools/predict.py left, the first: often the same images."""
    of_runs, seen, count = {run.work_dir.resolve() for run in runs}, {folder.resolve()}, 0
    for place, _, files in (found for path in work_dirs for found in walk(path)):
        real = place.resolve()
        left_by_tools = of_runs & {*real.parents} or (place.parent / 'index.html').exists()
        if real in seen | of_runs or not left_by_tools:  # a work directory itself has curves in it
            continue
        seen.add(real)
        # Beside a picture of saliency, or of segments, predict.py leaves the map itself.
        by_stem = {Path(f).stem: f for f in sorted(files, reverse=True) if f.lower().endswith(IMAGES)}
        captions = {}
        for stem, file in sorted(by_stem.items()):
            picture = cv2.imread(str(place / file), cv2.IMREAD_COLOR) if len(captions) < SHOWN else None
            if picture is not None:
                count += 1
                captions[folder / f'{count}.jpg'] = stem
                (folder / f'{count}.jpg').write_bytes(to_jpeg(picture))
        if captions:
            yield f'### {_escape(place)} ({len(captions)} of {len(by_stem)})\n\n{_images(captions)}'


def _complexity(runs: list[Run]) -> Iterator[str]:
    """Parameters as recorded, multiply-adds of the config that mmengine left beside the record."""
    rows = []
    for run in {(run.config, run.record['parameters']['model']): run for run in runs}.values():
        counts = [run.record['parameters'][part] for part in ('model', 'backbone')]
        rows.append([run.config, *('-' if n is None else f'{n / 1e6:.2f}' for n in counts), _macs(run)])
    yield _table(['Config', 'parameters (M)', 'backbone (M)', 'GMACs'], rows, numbers=3)
    yield 'GMACs of detectors are those of 1280 x 800, of others of the size that they are trained with.'


def _macs(run: Run) -> str:
    try:
        cfg = load_config(str(run.folder / 'vis_data' / 'config.py'))
        if run.record['tta']:
            cfg.model = cfg.model.module
        return f'{complexity(cfg)["macs"]:.2f}'
    except Exception:  # whatever a toolbox raises: without the file, or its package, the table has a dash
        return '-'


def _environment(runs: list[Run]) -> Iterator[str]:
    rows, versions, changed = [], {}, []
    for run in runs:
        record = run.record
        known = ', '.join(f'{k} {v}' for k, v in record['versions'].items())
        times = [datetime.fromisoformat(record[key]) for key in ('started', 'finished') if record[key]]
        how = dict(fused=record['fused'], TTA=record['tta'])
        rows.append([
            run.folder,
            ', '.join([record['mode'], *(name for name, used in how.items() if used)]),
            f'{times[0]:%Y-%m-%d %H:%M}',
            str(times[1] - times[0]).partition('.')[0] if times[1:] else '-',
            f'{record["world_size"]} x {record["device"]}',
            record['dtype'],
            record['seed'],
            re.sub(r'^(.{10})\w+', r'\1', record['revision'] or '-'),
            versions.setdefault(known, len(versions) + 1),
        ])  # fmt: skip
        texts = {'options': [f'{key}={value}' for key, value in record['options'].items()]}
        texts |= {f'{part}, not as shipped': found for part, found in (record['changes'] or {}).items()}
        lines = [f'  - {part}: {_escape("; ".join(found))}' for part, found in texts.items() if found]
        changed += [f'- {_escape(run.folder)}', *lines] if lines else []
    header = ['Run', 'Mode', 'Started', 'Took', 'Device', 'Precision', 'Seed', 'Revision', 'Versions']
    yield _table(header, rows)
    yield '\n'.join(f'- Versions {number}: {_escape(known)}' for known, number in versions.items())
    if changed:
        yield '### Options and changes'
        yield '\n'.join(changed)


def _to_html(text: str, folder: Path) -> str:
    """The HTML of our Markdown, with the pictures of its folder in it."""

    def picture(match: re.Match) -> str:
        file, text = folder / match[1], match[2]
        kind = 'png' if file.suffix == '.png' else 'jpeg'
        image = f'<img class="{kind}" src="{data_uri(file.read_bytes(), kind)}" alt="{text}">'
        return f'<span class="picture">{image}<small>{text}</small></span>'

    html = MarkdownIt().enable('table').render(text)
    html = re.sub('<img src="(pictures/[^"]+)" alt="([^"]*)" />', picture, html)
    return html.replace('<table>', '<div class="table"><table>').replace('</table>', '</table></div>')
