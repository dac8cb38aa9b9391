"""The ground truth of images, drawn as the predictions that it is shown beside."""

import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import mmcv
import mmengine
import numpy as np
import torch
from mmengine.structures import BaseDataElement, InstanceData, PixelData

from ..checkpoints.naming import listed
from ..datasets import LoadSaliencyMask
from ..errors import UserError
from ..own_data.folder import SUFFIX
from .inferencers import DRAWN, Boxes, Classes, KeyPoints, Prediction, Segments


class Annotations:
    """Boxes, masks where the model has them, or key points: of COCO's JSON."""

    def __init__(self, path: str, predictor: Boxes | KeyPoints):
        self.path, self.predictor = path, predictor
        self.points, self.images = isinstance(predictor, KeyPoints), {}
        drawn, values = ('keypoints', 3) if self.points else ('bbox', 4)
        found = defaultdict(list)
        try:
            data = mmengine.load(path)
            names = {category['id']: category['name'] for category in data['categories']}
            for annotation in data['annotations']:
                if np.reshape(annotation.get(drawn) or [], (-1, values)).any():
                    named = annotation | dict(category=names[annotation['category_id']])
                    found[annotation['image_id']].append(named)
            for image in data['images']:
                size = image['height'], image['width']
                self.images[image['file_name']] = size, found[image['id']]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(f"{path} is not COCO's JSON: {type(error).__name__}: {error}") from None

    def find(self, source: str) -> tuple[tuple[int, int], list[dict]] | None:
        """The size of an image, by its file or address, and what is annotated; None if nothing is."""
        parts = _path(source).parts
        ends = ('/'.join(parts[i:]) for i in reversed(range(len(parts))))
        return next((self.images[end] for end in ends if self.images.get(end, ((), []))[1]), None)

    def draw(self, found: tuple, image: np.ndarray, threshold: float) -> Prediction:
        """Draw all that was found, whatever the threshold."""
        size, annotations = found
        if size != image.shape[:2]:
            raise UserError(f'{self.path}: an image of {image.shape[:2]} pixels is {size} there')
        picture, instances, names = (self._points if self.points else self._boxes)(annotations, image)
        visualizer = self.predictor.inferencer.visualizer
        visualizer.add_datasample('', picture, BaseDataElement(gt_instances=instances), draw_pred=False)
        return Prediction(visualizer.get_image(), annotations, [(name, None) for name in names])

    def _boxes(self, annotations: list[dict], image: np.ndarray) -> tuple:
        scale, classes = max(1, DRAWN // max(image.shape[:2])), list(self.predictor.classes)
        names = [annotation['category'] for annotation in annotations]
        labels = [classes.index(name) if name in classes else 0 for name in names]  # give the colors
        boxes = torch.tensor([annotation['bbox'] for annotation in annotations]).float()
        boxes[:, 2:] += boxes[:, :2]
        instances = InstanceData(bboxes=boxes * scale, labels=torch.tensor(labels), label_names=names)
        if self.predictor.inferencer.model.with_mask and all(a.get('segmentation') for a in annotations):
            from pycocotools.coco import COCO

            coco = COCO()
            coco.imgs = {a['image_id']: dict(zip(('height', 'width'), image.shape)) for a in annotations}
            masks = np.stack([coco.annToMask(annotation) for annotation in annotations])
            instances.masks = torch.from_numpy(masks.repeat(scale, 1).repeat(scale, 2))
        return mmcv.imrescale(image[..., ::-1], scale, interpolation='bicubic'), instances, names

    def _points(self, annotations: list[dict], image: np.ndarray) -> tuple:
        count = self.predictor.inferencer.model.dataset_meta['num_keypoints']
        if any(len(annotation['keypoints']) != 3 * count for annotation in annotations):
            raise UserError(f"{self.path} has not the model's {count} key points")
        points = np.reshape([annotation['keypoints'] for annotation in annotations], (-1, count, 3))
        seen = (points[..., 2] > 0).astype(int)
        instances = InstanceData(keypoints=points[..., :2].astype(float), keypoints_visible=seen)
        names = [f'{a["category"]}, {n} of {count} points' for a, n in zip(annotations, seen.sum(1))]
        return image[..., ::-1], instances, names


class Masks:
    """Each pixel's class, or the salient pixels: of a folder with A.png or A_mask.png of an image A."""

    def __init__(self, path: str, predictor: Segments):
        from mmseg.datasets.transforms import LoadAnnotations

        self.path, self.predictor, self.load = Path(path), predictor, LoadAnnotations()
        files = sorted(self.path.glob('*.png'))
        self.masks = {file.stem: file for file in files}
        self.masks |= {SUFFIX.sub('', file.stem): file for file in files if SUFFIX.search(file.stem)}
        self.data = predictor.inferencer.cfg.test_dataloader.dataset
        if predictor.salient:
            steps = [step for step in self.data.pipeline if 'LoadSaliencyMask' in str(step['type'])]
            self.load = LoadSaliencyMask(**{k: v for step in steps for k, v in step.items() if k != 'type'})

    def find(self, source: str) -> Path | None:
        """The mask of an image, by its file or address; None if there is none."""
        return self.masks.get(_path(source).stem)

    def draw(self, found: Path, image: np.ndarray, threshold: float) -> Prediction:
        """Draw the mask that was found."""
        given = dict(img_path='', seg_map_path=str(found), ori_shape=image.shape, seg_fields=[])
        given['reduce_zero_label'] = self.data.get('reduce_zero_label', False)
        try:
            mask = self.load.transform(given)['gt_seg_map']
        except OSError:  # of Pillow
            raise UserError(f'{found} is not an image') from None
        if mask.shape != image.shape[:2]:
            raise UserError(f'{found} is of shape {mask.shape}, its image of {image.shape[:2]}')
        data = PixelData(data=torch.from_numpy(mask[None].astype('int64')))
        return self.predictor.draw(image, BaseDataElement(pred_sem_seg=data, seg_logits=data))


def load_ground_truth(
    path: str, predictor: Boxes | Segments | KeyPoints | Classes, sources: Sequence[str]
) -> Annotations | Masks:
    """Load the ground truth of images.

    Args:
        path (str): COCO's JSON, or a folder of masks for a model that predicts such.
        predictor (Boxes | Segments | KeyPoints | Classes): The model beside whose predictions it is shown.
        sources (Sequence[str]): The images, see :func:`res2net_mm.visualization.predict.find_images`.

    Raises:
        UserError: If it isn't there, isn't what the model predicts, or has nothing of any image.
    """
    if isinstance(predictor, Classes):
        raise UserError(f'{path}: a classifier has no ground truth that could be drawn')
    if not os.path.exists(path):
        raise UserError(f'{path} does not exist')
    masks = isinstance(predictor, Segments)
    if os.path.isdir(path) != masks:
        wanted = 'a folder of masks' if masks else "COCO's JSON, a file"
        raise UserError(f"{path}: this model's ground truth is {wanted}")
    truth = (Masks if masks else Annotations)(path, predictor)
    if not any(map(truth.find, sources)):
        raise UserError(f'{path} has nothing of {listed(sources)}')
    return truth


def _path(source: str) -> Path:
    return Path(urlsplit(source).path if '://' in source else os.path.abspath(source))
