"""The published numbers."""

from functools import cache
from pathlib import Path

import yaml


@cache
def paper() -> dict:
    """What ``paper.yml`` says."""
    return yaml.safe_load(Path(__file__).with_name('paper.yml').read_text('utf-8'))
