"""Classes of images and of pixels: MMPretrain's folders and lists, MMSegmentation's, and salient objects."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from ..datasets.images import image_size
from ..datasets.saliency import SaliencyDataset
from ..errors import UserError
from .problems import Problems, Sample, read_list, some

IGNORED = 255


def check_folders(root: str, classes: Sequence[str] | None, extensions: Sequence[str]) -> Problems:
    """Check a folder of images for each class.

    Args:
        root (str): Folder of the folders.
        classes (Sequence[str], optional): The config's classes; None: the folders' names.
        extensions (Sequence[str]): How images' names end.
    """
    problems = Problems()
    problems.classes = sorted(entry.name for entry in os.scandir(root) if entry.is_dir())
    empty = []
    for folder in problems.classes:
        files = [os.path.join(path, f) for path, _, names in os.walk(f'{root}/{folder}') for f in names]
        images = sorted(file for file in files if file.lower().endswith(tuple(extensions)))
        problems.samples += map(Sample, images)
        if not images:
            empty.append(folder)
    if not problems.samples:
        problems.error(f'no images ({", ".join(sorted(extensions))}) in folders of {root}')
    else:
        problems.warn('folders hold no images', empty)
    if classes is not None and len(classes) != len(problems.classes):
        problems.error(
            f'{root} has {len(problems.classes):,} folders, the config {len(classes):,} classes.\n'
            f'    folders: {some(problems.classes, 20)}\n    classes of the config: {some(classes, 20)}'
        )
    return problems


def check_labels(file: str, root: str, num_classes: int | None) -> Problems:
    """Check a list of images with their labels, ``NAME LABEL`` a line."""
    problems = Problems()
    wrong, beyond = [], []
    for line in read_list(file, problems):
        name, _, label = line.rpartition(' ')
        if not name or not label.lstrip('-').isdigit():
            wrong.append(repr(line))
            continue
        problems.samples.append(Sample(os.path.join(root, name)))
        if int(label) < 0 or (num_classes and int(label) >= num_classes):
            beyond.append(line)
    problems.error('lines are not NAME LABEL, with a number as label', wrong)
    problems.error(f'labels are not in 0 ... {(num_classes or 0) - 1}, the classes of the config', beyond)
    return problems


def check_segmentation(
    list_file: str, images: str, masks: str | None, img_suffix: str, seg_map_suffix: str
) -> Problems:
    """Check names of images and masks, of a list or a folder; :func:`mask_fault` looks at the masks."""
    problems = Problems()
    if list_file and not os.path.isdir(list_file):
        names = read_list(list_file, problems)
    else:
        found = Path(images).rglob(f'*{img_suffix}')
        names = sorted(str(p.relative_to(images)).removesuffix(img_suffix) for p in found)
        if not names:
            problems.error(f'no {img_suffix} files in {images}')
    problems.samples = [
        Sample(f'{images}/{name}{img_suffix}', None, masks and f'{masks}/{name}{seg_map_suffix}')
        for name in names
    ]
    return problems


def check_saliency(dataset: SaliencyDataset) -> Problems:
    """Check images and masks of salient objects."""
    pairs = dataset.load_data_list()
    return Problems(samples=[Sample(pair['img_path'], None, pair['seg_map_path']) for pair in pairs])


def mask_fault(sample: Sample, load: Callable[[dict], dict], info: dict, classes: int) -> str | None:
    """What is wrong with an image's mask.

    Args:
        sample (Sample): The image and its mask.
        load (Callable): The pipeline's own step that loads a mask.
        info (dict): What else it needs: ``label_map``, ``reduce_zero_label``.
        classes (int): The labels are less than that, or 255, which is ignored.
    """
    if not (sample.mask and os.path.isfile(sample.path) and os.path.isfile(sample.mask)):
        return None  # said elsewhere
    results = dict(img_path=sample.path, seg_map_path=sample.mask, seg_fields=[], **info)
    try:
        size = image_size(Path(sample.path).read_bytes())
        results['ori_shape'] = size and size[::-1]
        mask = load(results)['gt_seg_map']
    except UserError as error:
        return str(error)
    except Exception as error:  # whatever the decoder raises
        return f"{sample.mask} can't be read: {error}"
    if mask.ndim != 2:
        return f'{sample.mask} has {mask.shape[2]} channels, not one with the number of a class in each pixel'
    if size and mask.shape != size[::-1]:
        return f'{sample.mask} is {mask.shape[1]} x {mask.shape[0]}, its image {size[0]} x {size[1]} pixels'
    found = np.unique(mask)
    beyond = found[(found >= classes) & (found != IGNORED)]
    if len(beyond):
        return f'{sample.mask} has the labels {some(beyond)}; of {classes} classes are 0 ... {classes - 1}'
    return None
