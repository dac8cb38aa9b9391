"""HTML pages as a reader gets them: parsed, and in a browser."""

import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

BROWSER = next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None)
in_a_browser = pytest.mark.skipif(BROWSER is None, reason='no Chromium here')
# Writes into the title how many images are shown, and whether the page is wider than the window.
SCRIPT = """<script>addEventListener('load', () => {
  const wide = document.documentElement.scrollWidth > innerWidth ? ' wide' : '';
  document.title = [...document.images].filter(i => i.naturalWidth && i.width).length + wide;
})</script>"""


class Page(HTMLParser):
    """What a page refers to, and its text."""

    def __init__(self, path):
        super().__init__()
        self.images, self.links, self.text, self.tags = [], [], '', set()
        self.html = path.read_text(encoding='utf-8')
        self.feed(self.html)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags.add(tag)
        self.images += [attrs['src']] if tag == 'img' else []
        self.links += [attrs['href']] if 'href' in attrs else []

    def handle_data(self, data):
        self.text += data

    def needs_nothing_else(self):
        """Whether nothing is loaded, and whether it is light and dark."""
        assert all(image.startswith('data:image/') for image in self.images)
        assert not {'script', 'link', 'iframe', 'object'} & self.tags
        assert not re.search(r'(https?:)?//|@import|url\(', re.sub(r'data:[^"]*', '', self.html))
        assert 'prefers-color-scheme: dark' in self.html
        return True


def shown_images(page: Path, folder: Path) -> str:
    """How many images a narrow window shows, followed by 'wide' if they don't fit into it."""
    tested = page.with_name('tested.html')
    html = page.read_text(encoding='utf-8').replace('loading="lazy"', '')  # loaded before the script runs
    tested.write_text(html + SCRIPT, encoding='utf-8')
    result = subprocess.run(
        [BROWSER, '--headless', '--no-sandbox', '--disable-gpu', f'--user-data-dir={folder}/profile',
         '--window-size=500,800', '--dump-dom', tested.absolute().as_uri()],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    title = re.search('<title>(.*)</title>', result.stdout)
    assert title, result.stderr[-2000:]
    return title[1]
