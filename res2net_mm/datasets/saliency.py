"""Images and masks of salient objects, for MMSegmentation's pipelines and models."""

from collections.abc import Sequence
from pathlib import Path

import mmcv
from mmcv.transforms import BaseTransform
from mmengine import fileio
from mmengine.dataset import BaseDataset

from ..errors import UserError
from ..registry import DATASETS, TRANSFORMS


@DATASETS.register_module()
class SaliencyDataset(BaseDataset):
    """One or several sets of images, each with a mask of the same name.

    Args:
        sets (Sequence[dict]): The sets, in the layouts in which they are published. Each is a dict of

            - ``name`` (str): What its metrics are called by.
            - ``img_path``, ``seg_map_path`` (str): Folders of the images and of the masks, which may be the
              same, in ``data_root``.
            - ``img_suffix``, ``seg_map_suffix`` (str, optional): How the files end. Default: '.jpg', '.png'.
            - ``list_file`` (str, optional): A list, in ``data_root``, of the images that count, one a line,
              with ``img_suffix``, ``seg_map_suffix`` or neither. Default: all images of the folder, in order
              of their names.

        data_root (str, optional): Where the sets are. Default: ''.
        pipeline (Sequence[dict]): Transforms; of the masks :class:`LoadSaliencyMask`.
        kwargs: As in mmengine's ``BaseDataset``: ``indices``, ``test_mode``, ``lazy_init`` ...

    Raises:
        UserError: Naming the folder, the list, or the first of the images and masks, that is missing.
    """

    METAINFO = dict(classes=('background', 'salient'), palette=[[0, 0, 0], [220, 20, 60]])

    def __init__(self, sets: Sequence[dict], **kwargs):
        self.sets = sets
        super().__init__(**kwargs)

    def load_data_list(self) -> list[dict]:
        """List the images and masks; ``dataset`` is the name of their set."""
        return [sample for each in self.sets for sample in _pairs(Path(self.data_root or ''), **each)]


def _pairs(
    root: Path,
    name: str,
    img_path: str,
    seg_map_path: str,
    img_suffix: str = '.jpg',
    seg_map_suffix: str = '.png',
    list_file: str | None = None,
) -> list[dict]:
    images, masks = root / img_path, root / seg_map_path
    for folder in (images, masks):
        if not folder.is_dir():
            raise UserError(f'{name}: no folder {folder.absolute()}')
    if list_file is None:
        lines = sorted(p.name for p in images.glob(f'*{img_suffix}'))
        empty = f'no {img_suffix} files in {images}'
    elif (root / list_file).is_file():
        lines = (root / list_file).read_text('utf-8').split('\n')
        empty = f'{root / list_file} is empty'
    else:
        raise UserError(f'{name}: no list {(root / list_file).absolute()}')
    names = [line.strip().removesuffix(img_suffix) for line in lines if line.strip()]
    names = [name.removesuffix(seg_map_suffix) for name in names]  # published lists name the masks, too
    if not names:
        raise UserError(f'{name}: {empty}')
    for kind, folder, suffix in (('image', images, img_suffix), ('mask', masks, seg_map_suffix)):
        there = {p.name for p in folder.iterdir()}
        missing = [folder / f'{each}{suffix}' for each in names if f'{each}{suffix}' not in there]
        if missing:
            of = f'{len(missing):,} of {len(names):,}'
            raise UserError(f'{name}: {of} have no {kind}, the first is {missing[0]}')
    return [
        dict(
            img_path=str(images / f'{each}{img_suffix}'),
            seg_map_path=str(masks / f'{each}{seg_map_suffix}'),
            seg_fields=[],
            dataset=name,
        )
        for each in names
    ]


@TRANSFORMS.register_module()
class LoadSaliencyMask(BaseTransform):
    """Load a mask, gray, black and white, or with a palette: 1 is salient, 0 is not.

    An image without one, as in inference, passes.

    Required keys: ``ori_shape`` and, if there is a mask, ``seg_map_path``. Added: ``gt_seg_map``, (H, W) of
    uint8, and its name in ``seg_fields``.

    Args:
        threshold (int): The gray value, 0 ... 255, above which a pixel is salient. Default: 128, as published
            evaluations have it.

    Raises:
        UserError: If the mask has not its image's size. It isn't resized: the usual reason is that it is
            another image's.
    """

    def __init__(self, threshold: int = 128):
        self.threshold = threshold

    def transform(self, results: dict) -> dict:
        """Load it."""
        if 'seg_map_path' not in results:
            return results
        path = results['seg_map_path']
        mask = mmcv.imfrombytes(fileio.get(path), flag='grayscale')
        if mask is None:
            raise UserError(f'{path} is not an image')
        if mask.shape != tuple(results['ori_shape'][:2]):
            height, width = results['ori_shape'][:2]
            raise UserError(
                f'{path} is {mask.shape[1]} x {mask.shape[0]} pixels, its image {results["img_path"]} '
                f'{width} x {height}'
            )
        results['gt_seg_map'] = (mask > self.threshold).astype('uint8')
        results['seg_fields'].append('gt_seg_map')
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(threshold={self.threshold})'
