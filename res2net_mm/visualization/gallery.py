"""Pages as one HTML file that needs no network and no other file, and such a page of predictions."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from urllib.parse import quote

import cv2
import numpy as np

from ..files import write_text

WIDTH = 720  # of the pictures in the page, in pixels; they link to the whole ones
FOUND = 6  # things listed below a picture
ROWS = 200  # pictures in a page, or pairs of them: tens of MB

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; --page: #f6f6f3; --card: #fff; --text: #1d1d1b; --quiet: #6a6a65;
  --line: #e2e2dc; --bar: #cfe3dc; }}
@media (prefers-color-scheme: dark) {{
  :root {{ --page: #161617; --card: #222224; --text: #ececea; --quiet: #9c9c97; --line: #3a3a3d;
    --bar: #28483f; }}
}}
body {{ margin: 0 auto; padding: 2rem 1.25rem; max-width: 90rem; background: var(--page); color: var(--text);
  font: 15px/1.5 system-ui, sans-serif; }}
h1 {{ margin: 0 0 .75rem; font-size: 1.6rem; line-height: 1.2; overflow-wrap: anywhere; }}
dl {{ display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; margin: 0 0 2rem; }}
dt, figcaption, .more {{ color: var(--quiet); }}
dd {{ margin: 0; max-height: 4.5em; overflow: auto; overflow-wrap: anywhere; }}
code {{ font: .9em ui-monospace, monospace; }}
section {{ background: var(--card); border-radius: .6rem; padding: .9rem; box-shadow: 0 1px 3px #0002; }}
img {{ display: block; width: 100%; max-height: 36rem; object-fit: contain; border-radius: .3rem; }}
@media print {{ body {{ max-width: none; padding: 0; background: none; }} img {{ break-inside: avoid; }} }}
{style}
</style>
<h1>{title}</h1>
<dl>
{about}
</dl>
<main>
{main}
</main>
</html>
"""
STYLE = """
main, .models {{ display: grid; gap: 1rem; align-items: start; }}
main {{ grid-template-columns: repeat(auto-fill, minmax(min(100%, {card}rem), 1fr)); }}
h2 {{ margin: 0 0 .6rem; font-size: 1rem; overflow-wrap: anywhere; }}
h2 small {{ display: block; font-weight: normal; color: var(--quiet); }}
.models {{ grid-template-columns: repeat(auto-fit, minmax(min(100%, 14rem), 1fr)); }}
figure {{ margin: 0; }}
figcaption {{ margin-top: .4rem; }}
ul {{ margin: .5rem 0 0; padding: 0; list-style: none; font-size: .9rem; }}
li {{ display: flex; justify-content: space-between; margin-top: .2rem; padding: 0 .45rem;
  border-radius: .25rem;
  background: linear-gradient(to right, var(--bar) calc(100% * var(--score)), transparent 0); }}
"""


@dataclass
class Figure:
    """A picture on the page, (H, W, 3), uint8, RGB, the file it links to, and what was found, above what."""

    model: str
    picture: np.ndarray
    file: str
    found: Sequence[tuple[str, float | None]]
    threshold: float

    def __post_init__(self):
        self.picture = data_uri(to_jpeg(self.picture[..., ::-1]), 'jpeg')


def to_jpeg(picture: np.ndarray) -> bytes:
    """Compress a picture, (H, W, 3), uint8, BGR, and make it smaller where it is wider than ``WIDTH``."""
    if picture.shape[1] > WIDTH:
        size = WIDTH, max(1, WIDTH * picture.shape[0] // picture.shape[1])
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return cv2.imencode('.jpg', picture, [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes()


def data_uri(image: bytes, kind: str) -> str:
    """Write an image file's content ('jpeg' or 'png') as an address that holds it."""
    return f'data:image/{kind};base64,{base64.b64encode(image).decode()}'


def write_html(path: Path, title: str, about: Mapping[str, str], main: str, style: str) -> None:
    """Write a page.

    Args:
        path (Path): Of the ``.html``.
        title (str): Its heading.
        about (Mapping[str, str]): What is said below it: terms and what they are.
        main (str): The HTML of its content.
        style (str): The CSS of that.
    """
    terms = '\n'.join(f'<dt>{escape(k)}<dd><code>{escape(v)}</code>' for k, v in about.items())
    write_text(path, PAGE.format(title=escape(title), about=terms, main=main, style=style.strip()))


def write_page(
    path: Path, title: str, about: Mapping[str, str], rows: Sequence[tuple[str, str, Sequence[Figure]]]
) -> None:
    """Write a page of predictions.

    Args:
        path (Path): Of the ``.html``.
        title (str): Its heading.
        about (Mapping[str, str]): What is said below it: terms and what they are.
        rows (Sequence[tuple[str, str, Sequence[Figure]]]): Headings, sources, and figures that belong side by
            side.
    """
    main = '\n'.join(_row(*row) for row in rows)
    style = STYLE.format(card=20 * max(len(figures) for _, _, figures in rows))
    write_html(path, title, about, main, style)


def _row(heading: str, source: str, figures: Sequence[Figure]) -> str:
    drawn = '\n'.join(_figure(figure, heading, len(figures) > 1) for figure in figures)
    heading = f'<h2>{escape(heading)}<small>{escape(source)}</small></h2>'
    return f'<section>\n{heading}\n<div class="models">\n{drawn}\n</div>\n</section>'


def _figure(figure: Figure, heading: str, captioned: bool) -> str:
    items = [
        f'<li style="--score: {score or 0:.3f}"><span>{escape(name)}</span>'
        + ('' if score is None else f'<span>{100 * score:.0f} %</span>')
        for name, score in figure.found[:FOUND]
    ]
    if len(figure.found) > FOUND:
        items.append(f'<li class="more" style="--score: 0">and {len(figure.found) - FOUND} more')
    nothing = f'<p class="more">nothing above the threshold of {figure.threshold:g}</p>'
    found = '<ul>' + ''.join(items) + '</ul>' if items else nothing
    caption = f'<figcaption>{escape(figure.model)}</figcaption>' if captioned else ''
    return (
        f'<figure><a href="{escape(quote(figure.file))}">'
        f'<img src="{figure.picture}" alt="{escape(heading)}" loading="lazy"></a>{caption}{found}</figure>'
    )
