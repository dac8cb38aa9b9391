"""The toolboxes' inferencers, used alike: an image goes in, a picture and what is in it come out."""

from dataclasses import dataclass

import mmcv
import numpy as np
import torch
from mmengine.registry import DefaultScope

from ..checkpoints import loading_whole, read_checkpoint, safe_loading
from ..checkpoints.naming import listed
from ..config import load_config, unwrap
from ..errors import UserError
from ..fused import fuse
from ..lookup import find_registered
from ..preflight import check_names

DRAWN = 600  # images are enlarged to about this, where lines and letters would hide a small one


@dataclass
class Prediction:
    """What a model says of an image."""

    picture: np.ndarray  # the image with the prediction drawn on it: (H, W, 3), uint8, RGB
    result: dict | list  # what the toolbox writes to JSON
    # Names and scores, or shares of the image, in 0...1, the best first; no scores of ground truth.
    found: list[tuple[str, float | None]]
    map: np.ndarray | None = None  # each pixel's class, or its saliency in 0...255: (H, W), uint8


class Boxes:
    """Boxes, and masks where the model has them: mmdet.

    This class and those below are built from a config, a checkpoint, a device and a detector. They are called
    with an image, (H, W, 3), uint8, BGR, and with the score from which on boxes and key points are shown.
    """

    def __init__(self, cfg, checkpoint, device, detector):
        from mmdet.apis import DetInferencer

        self.inferencer = DetInferencer(cfg, checkpoint, device, show_progress=False)
        self.classes = self.inferencer.model.dataset_meta['classes']

    def __call__(self, image: np.ndarray, threshold: float) -> Prediction:
        """Predict what is in an image."""
        (sample,) = self.inferencer(image, return_datasamples=True)['predictions']
        result = self.inferencer.pred2dict(sample)
        result['classes'] = [self.classes[i] for i in result['labels']]
        found, scale = sample.pred_instances, max(1, DRAWN // max(image.shape[:2]))
        found.bboxes = found.bboxes * scale
        if 'masks' in found:
            found.masks = found.masks.repeat_interleave(scale, 1).repeat_interleave(scale, 2)
        image = mmcv.imrescale(image[..., ::-1], scale, interpolation='bicubic')
        (picture,) = self.inferencer.visualize([image], [sample], return_vis=True, pred_score_thr=threshold)
        best = sorted(zip(result['scores'], result['labels']), reverse=True)
        seen = [(self.classes[i], score) for score, i in best if score >= threshold]
        return Prediction(picture, result, seen)


class Segments:
    """Each pixel's class, or its saliency where the model has one logit: mmseg."""

    def __init__(self, cfg, checkpoint, device, detector):
        from mmseg.apis import MMSegInferencer

        self.inferencer = MMSegInferencer(cfg, checkpoint, device=device, show_progress=False)
        self.salient = self.inferencer.model.out_channels == 1
        self.classes = self.inferencer.model.dataset_meta['classes']

    def __call__(self, image: np.ndarray, threshold: float) -> Prediction:
        """Predict what is in an image."""
        return self.draw(image, self.inferencer(image, return_datasamples=True).cpu())

    def draw(self, image: np.ndarray, sample) -> Prediction:
        """Draw a data sample: predicted, or with the ground truth in place of that."""
        if self.salient:  # mmseg has taken its sigmoid
            gray = (255 * sample.seg_logits.data[0].float()).round().byte().numpy()
            salient = dict(salient=float(gray.mean() / 255))
            picture = np.hstack([image[..., ::-1], gray[..., None].repeat(3, 2)])
            return Prediction(picture, salient, list(salient.items()), gray)
        (picture,) = self.inferencer.visualize([image[..., ::-1]], [sample], return_vis=True, opacity=0.5)
        labels = sample.pred_sem_seg.data[0].byte().numpy()
        counts = np.bincount(labels.flat)[: len(self.classes)]  # 255 is no class
        shares = {self.classes[i]: counts[i] / labels.size for i in counts.argsort()[::-1] if counts[i]}
        return Prediction(picture, dict(shares=shares), list(shares.items()), labels)


class KeyPoints:
    """Key points of persons, who are where a detector finds them or fill the image: mmpose."""

    def __init__(self, cfg, checkpoint, device, detector):
        from mmpose.apis.inferencers import Pose2DInferencer

        self.inferencer = Pose2DInferencer(cfg, checkpoint, device, det_model='whole_image')
        if detector:
            if 'person' not in detector.classes:
                raise UserError(f'the detector finds no persons, but {listed(detector.classes)}')
            self.inferencer.detector = detector.inferencer
            self.inferencer.det_cat_ids = (detector.classes.index('person'),)

    def __call__(self, image: np.ndarray, threshold: float) -> Prediction:
        """Predict what is in an image."""
        samples = next(self.inferencer(image, return_datasamples=True, bbox_thr=threshold))['predictions']
        (persons,) = self.inferencer.postprocess(samples, [])['predictions']
        line = max(1, round(min(image.shape[:2]) / 200))
        style = dict(radius=2 * line, thickness=line, draw_bbox=self.inferencer.detector is not None)
        (picture,) = self.inferencer.visualize([image], samples, return_vis=True, kpt_thr=threshold, **style)
        found = []
        for person in persons:
            seen = [score for score in person['keypoint_scores'] if score >= threshold]
            name = f'person, {len(seen)} of {len(person["keypoint_scores"])} points'
            found.append((name, float(np.mean(seen)) if seen else 0.0))
        return Prediction(picture, persons, sorted(found, key=lambda person: -person[1]))


class Classes:
    """The image's class: mmpretrain."""

    def __init__(self, cfg, checkpoint, device, detector):
        from mmpretrain import ImageClassificationInferencer
        from mmpretrain.visualization import UniversalVisualizer

        # Files are read as BGR; a data set that holds pixels, CIFAR's, gives RGB.
        self.loads = any('Load' in str(step['type']) for step in cfg.test_dataloader.dataset.pipeline)
        self.inferencer = ImageClassificationInferencer(cfg, checkpoint, device)
        self.visualizer = UniversalVisualizer()
        self.classes = self.inferencer.classes

    def __call__(self, image: np.ndarray, threshold: float) -> Prediction:
        """Predict what is in an image."""
        (data,) = self.inferencer.preprocess([image if self.loads else image[..., ::-1]])
        (sample,) = self.inferencer.forward(data)
        (result,) = self.inferencer.postprocess([sample], None)
        picture = self.visualizer.visualize_cls(
            image[..., ::-1], sample, self.classes, draw_gt=False, resize=max(224, min(image.shape[:2]))
        )
        names = self.classes or list(map(str, range(len(result['pred_scores']))))
        best = sorted(zip(result['pred_scores'].tolist(), names), reverse=True)[:5]
        return Prediction(picture, result, [(name, score) for score, name in best])


PREDICTORS = dict(mmdet=Boxes, mmseg=Segments, mmpose=KeyPoints, mmpretrain=Classes)


def load_predictor(
    config: str,
    checkpoint: str,
    options: dict | None = None,
    device: str | None = None,
    fused: bool = True,
    half: bool = False,
    detector: Boxes | None = None,
) -> Boxes | Segments | KeyPoints | Classes:
    """Load a model with its weights as a function that predicts, see :class:`Boxes`.

    Args:
        config (str): See :func:`res2net_mm.config.load_config`; ``test_dataloader`` says how images are read.
        checkpoint (str): See :func:`res2net_mm.checkpoints.read_checkpoint`.
        options (dict, optional): ``--cfg-options``. Default: None.
        device (str, optional): Such as 'cuda:1'. Default: None (a GPU if there is one).
        fused (bool): Whether this package's networks are fused. Default: True.
        half (bool): Whether they compute in float16 then, in bfloat16 on a CPU. Default: False.
        detector (Boxes, optional): What finds the persons whose key points are wanted. Default: None.

    Raises:
        UserError: If there is no such device, the config has no model of a toolbox, or the checkpoint can't
            be read or isn't of the config's model.
    """
    device = device or ('cuda' if torch.cuda.is_available() else 'cpu')
    if str(device).startswith('mps'):
        raise UserError(
            "device mps: mmengine's detections don't know Apple's GPU; without it, the CPU predicts"
        )
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f'device {device}: {str(error).splitlines()[0]}') from None
    cfg = load_config(config, options)
    scope = cfg.get('default_scope')
    if scope not in PREDICTORS or not (cfg.get('model') and cfg.get('test_dataloader')):
        needed = f'a default_scope ({", ".join(PREDICTORS)}), a model and a test_dataloader'
        raise UserError(f'{config} is of nothing that predicts: that takes {needed}')
    if detector and scope != 'mmpose':
        raise UserError(f'a detector is for key points, and {config} is of {scope}')
    data = unwrap(cfg.test_dataloader.dataset)
    while 'datasets' in data:  # the first of several
        data = unwrap(data.datasets[0])
    data.pipeline = [step for step in data.pipeline if 'Annotations' not in str(step['type'])]
    cfg.test_dataloader.dataset = data
    with DefaultScope.overwrite_default_scope(scope):
        check_names(cfg)
        meta = {**getattr(find_registered(data.type), 'METAINFO', {}), **(data.get('metainfo') or {})}
        with safe_loading(), loading_whole(checkpoint):
            predictor = PREDICTORS[scope](cfg, checkpoint, device, detector)
    saved = read_checkpoint(checkpoint).get('meta') or {}
    model = predictor.inferencer.model
    if scope in ('mmdet', 'mmseg') and 'classes' in meta and not saved.keys() & {'dataset_meta', 'CLASSES'}:
        model.dataset_meta.update(meta)  # the toolboxes take COCO's or Cityscapes' classes then
        predictor.classes = meta['classes']
    if fused:
        dtype = torch.float16 if torch.device(device).type == 'cuda' else torch.bfloat16
        fuse(model, dtype if half else None)
    return predictor
