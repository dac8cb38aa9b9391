"""Predictions for images and videos as pictures, JSON and one page to look at."""

import glob
import itertools
import mimetypes
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import cv2
import mmcv
import mmengine
import numpy as np
from rich.console import Console
from rich.progress import Progress

from ..checkpoints.naming import listed
from ..datasets.images import UnreadableError, read_image
from ..errors import UserError
from ..own_data.folder import Folder
from .gallery import ROWS, Figure, write_page
from .ground_truth import Annotations, Masks
from .inferencers import Prediction

FRAMES = 4  # of a video on the page
TRUTH = 'ground truth'  # its title, and its folder


def find_images(inputs: Iterable[str]) -> tuple[list[str], list[str], list[str]]:
    """Find images and videos.

    Args:
        inputs (Iterable[str]): Files, folders, patterns such as ``images/**/*.jpg``, http(s) addresses.
            Folders are searched to any depth, as own_data.py does: not what is hidden, runs and predictions.

    Returns:
        tuple[list[str], list[str], list[str]]: The files and addresses; what is wrong with the other inputs;
        and what is to be said: what of the folders is left out, as masks of their images.

    Raises:
        UserError: If there are only such others.
    """
    sources, wrong, masks = {}, [], []
    for name in inputs:
        problem = 'matches no file' if glob.has_magic(name) else 'does not exist'
        if '://' in name or os.path.isfile(name):
            found = [name]
        elif os.path.isdir(name):
            problem = 'has no images in it'
            folder = Folder(name)
            files = {file: str(folder.root / file) for file in folder.files if _kind(file)}
            left = {*folder.all_masks()}
            found = [path for file, path in files.items() if file not in left] or [*files.values()]
            masks += [path for file, path in files.items() if file in left]
        else:
            found = sorted(filter(os.path.isfile, glob.glob(name, recursive=True)))
        sources |= dict.fromkeys(found)
        wrong += [] if found else [f'{name} {problem}']
    if not sources:
        raise UserError('; '.join(wrong))
    masks = [mask for mask in masks if mask not in sources]
    left = f'{len(masks)} left out, masks by name: {listed(masks, 3)}; a pattern takes them'
    return list(sources), wrong, [left] if masks else []


def unique_names(sources: Iterable[str]) -> dict[str, str]:
    """Name files and addresses by their stems, ``STEM_2`` where one comes again.

    Example:
        >>> unique_names(['a/1.jpg', 'b/1.png', 'https://x.org/2.jpg?size=3'])
        {'1': 'a/1.jpg', '1_2': 'b/1.png', '2': 'https://x.org/2.jpg?size=3'}
    """
    names = {}
    for source in sources:
        path = urlsplit(source).path if '://' in source else source.rpartition('::')[2]
        stem = Path(path).stem or 'image'
        numbered = itertools.chain([stem], (f'{stem}_{number}' for number in itertools.count(2)))
        names[next(name for name in numbered if name not in names)] = source
    return names


def predict(
    predictors: Mapping[str, Callable[[np.ndarray, float], Prediction]],
    sources: Sequence[str],
    out: str | Path,
    threshold: float = 0.3,
    about: Mapping[str, str] | None = None,
    truth: Annotations | Masks | None = None,
) -> tuple[int, list[str], list[str]]:
    """Predict what is in images and videos.

    Each gives a picture (a video an ``.mp4``) and a ``.json`` in a folder of the model's; ``index.html``
    shows them, or those that were done when the work was interrupted. What earlier predictions left there
    stays, unless it is of the same names.

    Args:
        predictors (Mapping[str, Callable]): Models, see :func:`load_predictor`, by their folders' names.
        sources (Sequence[str]): See :func:`find_images`.
        out (str | Path): Where the folders go.
        threshold (float): The score from which on boxes and key points are shown. Default: 0.3.
        about (Mapping[str, str], optional): What the page says of the run. Default: None.
        truth (Annotations | Masks, optional): What is shown beside the images of which it has something, see
            :func:`load_ground_truth`. Default: None.

    Returns:
        tuple[int, list[str], list[str]]: Of how many there are predictions, what is wrong with the others,
        and remarks, which are on the page, too.

    Raises:
        UserError: If none can be read, or something can't be written.
    """
    about, rows, skipped, nothing, remarks = dict(about or {}), [], [], {*predictors}, []
    try:
        try:
            _predict(predictors, sources, Path(out), threshold, truth, rows, skipped, nothing)
        finally:
            if len(rows) == ROWS:
                about['Shown'] = f'the first {ROWS}; all are in the folders beside this page'
            if rows:
                shown = [*predictors, *([TRUTH] if truth else [])]
                names, title = unique_names(sources), ' and '.join(shown)
                files = [file for model in shown for file in Path(out, model).glob('*')]
                remarks += [
                    f'{model} found nothing above the threshold of {threshold:g}: give a lower --threshold'
                    for model in predictors if model in nothing
                ]  # fmt: skip
                if earlier := sum(file.stem not in names for file in files):
                    remarks.append(f'beside these there are {earlier} files of earlier predictions in {out}')
                if remarks:
                    about['Remarks'] = '; '.join(remarks)
                write_page(Path(out, 'index.html'), title, about, rows)
    except OSError as error:
        raise UserError(f'could not write to {out}: {error.strerror or error}') from None
    if not rows:
        raise UserError('; '.join(skipped))
    return len(sources) - len(skipped), skipped, remarks


def _predict(
    predictors: Mapping[str, Callable],
    sources: Sequence[str],
    out: Path,
    threshold: float,
    truth: Annotations | Masks | None,
    rows: list,
    skipped: list[str],
    nothing: set[str],
) -> None:
    """Fill the rows of the page and what is ``skipped``; models that find something leave ``nothing``."""
    videos = {source: (v.fps or 25.0, len(v)) for source in sources if (v := _video(source)) is not None}
    total = len(sources) + sum(count - 1 for _, count in videos.values())
    with Progress(console=Console(stderr=True), disable=total <= 3) as progress:
        task = progress.add_task('Predicting', total=total)
        if not progress.console.is_terminal and not progress.disable:  # a log, where no bar moves
            progress.console.print(f'predicting {total:,} images and frames')
        for name, source in unique_names(sources).items():
            fps, count = videos.get(source, (None, 1))
            shown = {count * i // FRAMES for i in range(FRAMES)}
            pictures = dict(predictors)
            if truth and fps is None and (found := truth.find(source)):
                pictures[TRUTH] = partial(truth.draw, found)
            writers = {model: _Writer(out / model, name, source, fps) for model in pictures}
            try:
                for i, image in enumerate(_images(source)):
                    figures = []
                    for model, predictor in pictures.items():
                        prediction = predictor(image, threshold)
                        nothing -= {model} if prediction.found else set()
                        file = f'{model}/{writers[model].add(prediction)}'
                        if i in shown and len(rows) < ROWS:
                            figures.append(
                                Figure(model, prediction.picture, file, prediction.found, threshold)
                            )
                    if figures:
                        rows.append((name if fps is None else f'{name}, {i / fps:.1f} s', source, figures))
                    progress.advance(task)
            except (UnreadableError, cv2.error) as error:
                if isinstance(error, cv2.error):  # such as of an image so thin that resizing leaves nothing
                    size = 'x'.join(map(str, image.shape[1::-1]))
                    error = f'{source}, {size}: OpenCV says {error.err or error}'
                skipped.append(str(error))
                progress.advance(task, count)
            finally:
                for writer in writers.values():
                    writer.close()


class _Writer:
    """Writes a model's predictions for an image, or for a video's frames."""

    def __init__(self, folder: Path, name: str, source: str, fps: float | None):
        self.path, self.source, self.fps, self.results, self.video = str(folder / name), source, fps, [], None

    def add(self, prediction: Prediction) -> str:
        """Write a picture; return its file's name."""
        self.results.append(prediction.result)
        picture = np.ascontiguousarray(prediction.picture[..., ::-1])
        file = f'{self.path}.jpg' if self.fps is None else f'{self.path}.mp4'
        if self.fps is None:
            mmcv.imwrite(picture, file)
            if prediction.map is not None:
                mmcv.imwrite(prediction.map, f'{self.path}.png')
        else:
            if self.video is None:
                os.makedirs(os.path.dirname(file), exist_ok=True)
                codec = cv2.VideoWriter_fourcc(*'mp4v')
                self.video = cv2.VideoWriter(file, codec, self.fps, picture.shape[1::-1])
                if not self.video.isOpened():
                    raise UserError(f'OpenCV could not write {file}')
            self.video.write(picture)
        return os.path.basename(file)

    def close(self) -> None:
        if self.video is not None:
            self.video.release()
        if self.results:
            result = dict(frames=self.results) if self.fps is not None else self.results[0]
            result = result if isinstance(result, dict) else dict(instances=result)
            mmengine.dump(dict(source=self.source) | result, f'{self.path}.json')


def _kind(path: str | Path) -> str | None:
    """'image' or 'video', by a file's name."""
    kind = (mimetypes.guess_type(path, strict=False)[0] or '').partition('/')[0]
    return kind if kind in ('image', 'video') else None


def _video(source: str) -> mmcv.VideoReader | None:
    return mmcv.VideoReader(source) if _kind(source) == 'video' and '://' not in source else None


def _images(source: str) -> Iterator[np.ndarray]:
    """The image of a file or an address, or the frames of a video: (H, W, 3), uint8, BGR."""
    frames = _video(source)
    # VideoReader begins anew whenever it is iterated.
    frames = itertools.chain([read_image(source)] if frames is None else frames)
    first = next(frames, None)
    if first is None:
        raise UnreadableError(f'{source} is not a video that OpenCV reads')
    yield first
    yield from frames
