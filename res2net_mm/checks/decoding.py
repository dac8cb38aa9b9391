"""All images of data sets decoded, in parallel."""

import os
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from typing import BinaryIO

import cv2
from mmengine.config import Config
from mmengine.registry import DefaultScope
from rich.progress import MofNCompleteColumn, Progress

from ..datasets.images import read_image
from ..errors import UserError
from ..preflight import check_data, check_names
from .contents import look
from .problems import MASKS, Problems, Sample

SIZES, READ, MENDED = (
    'images have not the size that the annotations say (boxes beyond the edge give NaN)',
    "images can't be read",
    'images are damaged, the JPEG decoder guesses what is missing',
)


def look_closely(cfg: Config) -> dict[str, Problems]:
    """Look through all data of a config, and decode every image and mask, in a process for each CPU.

    Returns:
        dict[str, Problems]: As of :func:`res2net_mm.checks.look`.

    Raises:
        UserError: If data are missing, or if a process is killed, as it is where memory runs out.
    """
    phases = [phase for phase in ('train', 'val', 'test') if cfg.get(f'{phase}_dataloader')]
    if 'val' in phases and cfg.get('test_dataloader') == cfg.val_dataloader:
        phases.remove('test')
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope') or 'mmengine'):
        check_names(cfg)
        for mode in ('train', 'test') if 'test' in phases else ('train',):
            check_data(cfg, mode)
    found = look(cfg, tuple(phases), every=True)
    workers = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()
    with (
        Progress(*Progress.get_default_columns(), MofNCompleteColumn()) as progress,
        # A forked process could inherit a lock that the thread of the progress bar holds.
        ProcessPoolExecutor(workers, get_context('spawn'), cv2.setNumThreads, (1,)) as pool,
    ):
        for where, problems in found.items():
            samples = [sample for sample in problems.samples if os.path.exists(sample.path)]
            if not samples:
                continue
            cases = {SIZES: [], READ: [], MENDED: [], MASKS: []}
            looks = pool.map(partial(_look, fault=problems.mask_fault), samples, chunksize=16)
            try:
                for faults in progress.track(looks, len(samples), description=where.partition(' ')[0]):
                    for kind, text in faults:
                        cases[kind].append(text)
            except BrokenProcessPool:
                raise UserError('a process that decodes images was killed: is there memory enough?') from None
            problems.errors = [text for text in problems.errors if MASKS not in text]  # of a sample
            problems.warn(MENDED, cases.pop(MENDED))
            for kind, texts in cases.items():
                problems.error(kind, texts)
    return found


def _look(sample: Sample, fault: Callable[[Sample], str | None] | None) -> list[tuple[str, str]]:
    found = []
    with _captured_stderr() as printed:
        try:
            height, width = read_image(sample.path).shape[:2]
        except UserError as error:
            return [(READ, str(error))]
        printed.seek(0)
        if b'JPEG' in printed.read():  # libjpeg mends what it can, and tells nobody else
            found.append((MENDED, sample.path))
    if sample.size and (width, height) != tuple(sample.size):
        found.append((SIZES, f'{sample.path} is {width} x {height}, not {sample.size[0]} x {sample.size[1]}'))
    if fault and (text := fault(sample)):
        found.append((MASKS, text))
    return found


@contextmanager
def _captured_stderr() -> Iterator[BinaryIO]:
    """A file that takes what this process, its C libraries included, prints to stderr."""
    before = os.dup(2)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        try:
            yield file
        finally:
            os.dup2(before, 2)
            os.close(before)
