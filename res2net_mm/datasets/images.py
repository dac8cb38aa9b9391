"""Loading images, with every fault named."""

import io
from pathlib import Path

import mmcv
import numpy as np
from mmcv.transforms import LoadImageFromFile as MMCVLoadImageFromFile
from mmengine import fileio
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from PIL import Image

from ..config import walk
from ..errors import UserError
from ..registry import TRANSFORMS

MAX_PIXELS = 2**28  # 16,384 x 16,384: 0.8 GB
EXIF_ORIENTATION = 274
HEIC = b'heic', b'heix', b'heim', b'heis', b'hevc', b'hevx', b'mif1', b'msf1'  # brands of ISO 23008-12
SIGNATURES = b'\xff\xd8\xff', b'\x89PNG', b'GIF8', b'II*\0', b'MM\0*'  # JPEG, ..., TIFF
SCOPES = ('', 'mmengine', 'mmcv', 'mmdet', 'mmseg', 'mmpose', 'mmpretrain', 'res2net_mm')


class UnreadableError(UserError):
    """An image can't be read; the message names it and says why."""


def image_size(content: bytes) -> tuple[int, int] | None:
    """Width and height that an image's header claims, turned as EXIF says; None if Pillow doesn't know it."""
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None  # nothing is decoded here
    try:
        with Image.open(io.BytesIO(content)) as image:
            # Where the header has no EXIF, Pillow decodes a whole PNG to look for one behind the pixels.
            turned = 'exif' in image.info and image.getexif().get(EXIF_ORIENTATION, 1) > 4
            return image.size[::-1] if turned else image.size
    except Exception:  # whatever a damaged header leads to
        return None
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def read_image(
    path: str,
    color_type: str = 'color',
    backend: str = 'cv2',
    max_pixels: int = MAX_PIXELS,
    backend_args: dict | None = None,
) -> np.ndarray:
    """Read an image as mmcv does.

    Returns:
        np.ndarray: (H, W, 3), uint8, BGR, or as ``color_type`` of :func:`mmcv.imfrombytes` says.

    Raises:
        UnreadableError: Naming the file, and why it can't be read.
    """
    try:
        content = fileio.get(path, backend_args=backend_args)
    except Exception as error:  # of any storage backend
        raise UnreadableError(f"{path} can't be read: {getattr(error, 'strerror', None) or error}") from None
    size = image_size(content)
    if size and size[0] * size[1] > max_pixels:
        raise UnreadableError(
            f'{path} claims {size[0]:,} x {size[1]:,} pixels; the most that is decoded is {max_pixels:,} '
            "(max_pixels of the pipeline's res2net_mm.LoadImageFromFile)"
        )
    try:
        image = mmcv.imfrombytes(content, flag=color_type, backend=backend)
    except Exception:  # whatever the decoder raises
        image = None
    if image is None:
        raise UnreadableError(f"{path} can't be read: {fault(content)}")
    return image


def fault(content: bytes) -> str:
    """What is wrong with an image file that can't be decoded."""
    if not content:
        return 'it is empty (0 bytes)'
    if content[4:8] == b'ftyp' and content[8:12] in HEIC:
        return 'it is HEIC, whatever its name ends in: convert it to JPEG'
    if image_size(content) is None:
        if content.startswith(SIGNATURES) or content[:4] == b'RIFF' and content[8:12] == b'WEBP':
            return 'it is damaged or cut off in its header'
        return f'it is not an image, it begins with {content[:16]!r}'
    try:
        with Image.open(io.BytesIO(content)) as image:
            image.load()
    except Exception as error:
        return f'it is damaged or cut off: {error}'
    return 'it is damaged'


@TRANSFORMS.register_module()
class LoadImageFromFile(MMCVLoadImageFromFile):
    """mmcv's and MMPose's loaders of images, but a file that can't be read is named, with the reason.

    ``tools/train.py`` and ``tools/test.py`` read by it wherever a config says ``LoadImageFromFile`` or
    ``LoadImage``. Configs keep those names: the toolboxes' inferencers look for them.

    Args:
        bad_images (str): 'stop' or, in training only, 'skip': another sample takes the place of an image that
            can't be read. Default: 'stop'.
        max_pixels (int): The most pixels an image may have; what its header says is looked at before it is
            decoded. Default: 2^28.
        skipped_file (str, optional): File to which a line is added for each image that is skipped.
        args, kwargs: mmcv's.

    Raises:
        UserError: If an image can't be read and isn't to be skipped.
    """

    def __init__(
        self,
        *args,
        bad_images: str = 'stop',
        max_pixels: int = MAX_PIXELS,
        skipped_file: str | None = None,
        **kwargs,
    ):
        super().__init__(*args, **kwargs)
        if bad_images not in ('stop', 'skip'):
            raise UserError(f"bad_images is {bad_images!r}; it must be 'stop' or 'skip'")
        self.bad_images = bad_images
        self.max_pixels = max_pixels
        self.skipped_file = skipped_file

    def transform(self, results: dict) -> dict | None:
        """Load the image that ``img_path`` names, unless there is one as ``img`` (in inference)."""
        if 'img' not in results:
            try:
                results['img'] = read_image(
                    results['img_path'],
                    self.color_type,
                    self.imdecode_backend,
                    self.max_pixels,
                    self.backend_args,
                )
            except UserError as error:
                if self.bad_images == 'stop' and not self.ignore_empty:
                    raise
                if self.skipped_file:
                    # One write a line: workers don't mix theirs.
                    with open(self.skipped_file, 'a', encoding='utf-8') as file:
                        file.write(' '.join(str(error).split()) + '\n')
                return None
        if self.to_float32:
            results['img'] = results['img'].astype(np.float32)
        results.setdefault('img_path', None)
        results['img_shape'] = results['ori_shape'] = results['img'].shape[:2]
        return results


class SkippedImagesHook(Hook):
    """Logs the images that were skipped, at the end of an epoch and before an evaluation."""

    def before_run(self, runner: Runner) -> None:
        """Find out which ones the log has."""
        self.file = skipped_file(runner)
        self.known = set(self.file.read_text('utf-8').splitlines()) if self.file.exists() else set()

    def after_train_epoch(self, runner: Runner) -> None:
        """Log those that are new."""
        if not is_main_process() or not self.file.exists():
            return
        new = sorted(set(self.file.read_text('utf-8').splitlines()) - self.known)
        if new:
            self.known.update(new)
            some = '\n  '.join(new[:20] + ['...'] * (len(new) > 20))
            runner.logger.warning(
                f'{len(new):,} images were skipped, other samples took their places; all are in {self.file}:'
                f'\n  {some}'
            )

    def before_val(self, runner: Runner) -> None:
        """Log those that are new: training by iterations has one epoch only."""
        self.after_train_epoch(runner)


def skipped_file(runner: Runner) -> Path:
    """Where the loaders of all workers and ranks write the images that they skip."""
    return Path(runner.work_dir, 'skipped_images.txt')


def name_bad_images(loader: dict, skipped_file: Path) -> None:
    """Have a data loader's config load images by this module's loader; in place."""
    for _, part in walk(loader):
        scope, _, kind = str(getattr(part.get('type'), '__name__', part.get('type'))).rpartition('.')
        if kind in ('LoadImageFromFile', 'LoadImage') and scope in SCOPES:
            part.update(type='res2net_mm.LoadImageFromFile', skipped_file=str(skipped_file))
