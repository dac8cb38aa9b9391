"""Grad-CAM (Selvaraju et al., ICCV 2017) of classifiers, segmentors and detectors: Sec. 4.5, Fig. 4."""

import textwrap
from collections.abc import Sequence
from pathlib import Path

import cv2
import mmcv
import mmengine.runner.checkpoint
import numpy as np
import torch
from matplotlib.figure import Figure
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.registry import MODELS, DefaultScope
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.image import show_cam_on_image
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor, nn

from ..checkpoints import check_weights, loading_whole, read_checkpoint
from ..config import unwrap
from ..datasets.images import read_image
from ..errors import UserError
from ..lookup import did_you_mean, find_registered
from ..preflight import check_names

COLUMNS = 8  # of the figure; further images go below


class ClassScores(nn.Module):
    """A toolbox's model that maps an image to a score for each class, with gradients.

    They are a classifier's logits, the sum of a segmentor's over the pixels of the class, and the sum of the
    scores of a detector's boxes of the class; -inf where it found no such pixel or box.

    Args:
        cfg (Config): The config of a model of mmpretrain, mmseg or mmdet.
        checkpoint (str): The whole model's, or a classifier's with the names of torchvision and the authors.

    Attributes:
        classes (list[str]): Names of the classes; their indices if neither checkpoint nor config names them.

    Raises:
        UserError: If the config has no such model or no test pipeline, or the checkpoint isn't the model's.
    """

    def __init__(self, cfg: Config, checkpoint: str):
        super().__init__()
        self.scope = cfg.get('default_scope')
        if self.scope not in ('mmpretrain', 'mmseg', 'mmdet') or 'backbone' not in (cfg.get('model') or {}):
            raise UserError('Grad-CAM takes models of mmpretrain, mmseg and mmdet that have a backbone')
        dataset = unwrap((cfg.get('test_dataloader') or {}).get('dataset') or {})
        pipeline = [t for t in dataset.get('pipeline', []) if 'Annotation' not in str(t['type'])]
        if not pipeline:
            raise UserError(
                'the config has no test_dataloader.dataset.pipeline, by which images are prepared'
            )
        self.loads = 'Load' in str(pipeline[0]['type'])  # else the data set holds pixels: CIFAR's
        content = read_checkpoint(checkpoint)
        with DefaultScope.overwrite_default_scope(self.scope):
            check_names(cfg)
            self.pipeline = Compose(pipeline)
            preprocessor = cfg.get('data_preprocessor')
            self.model = MODELS.build(
                dict(dict(data_preprocessor=preprocessor) if preprocessor else {}, **cfg.model)
            )
            known = getattr(find_registered(dataset.type), 'METAINFO', {})
        self._load(content, checkpoint)
        self.classes = self._class_names(content, dataset, known)
        self.feature_map = nn.Identity()  # the backbone's last, whichever of its layers makes it
        self.model.backbone.register_forward_hook(
            lambda backbone, args, maps: (*maps[:-1], self.feature_map(maps[-1]))
        )
        self.eval().requires_grad_(False)  # of the parameters: `forward` asks for those of feature maps

    def _load(self, content: dict, checkpoint: str) -> None:
        if not isinstance(content, dict):
            raise UserError(f'{checkpoint} holds no state dict, but a {type(content).__name__}')
        state_dict = content.get('state_dict', content)
        check_weights(state_dict, checkpoint)
        if 'fc.weight' in state_dict:  # torchvision's and the authors' classifiers
            state_dict = {
                f'{"head" if k.startswith("fc.") else "backbone"}.{k}': v for k, v in state_dict.items()
            }
        with loading_whole(checkpoint):
            mmengine.runner.checkpoint.load_state_dict(self.model, state_dict)

    def _class_names(self, content: dict, dataset: dict, known: dict) -> list[str]:
        metas = (content.get('meta') or {}).get('dataset_meta'), dataset.get('metainfo'), known
        names = [meta[key] for meta in metas if meta for key in ('classes', 'CLASSES') if meta.get(key)]
        numbers = [n for m in self.model.modules() if isinstance(n := getattr(m, 'num_classes', None), int)]
        return list(names[0]) if names else [str(i) for i in range(numbers[-1])]

    def find_class(self, name: str) -> int:
        """Index of a class by its name, one part of it (``tench`` of 'tench, Tinca tinca') or itself.

        Raises:
            UserError: If there is none.
        """
        known = {s.strip().lower(): i for i, c in enumerate(self.classes) for s in (*c.split(','), c)}
        if name.lower() in known:
            return known[name.lower()]
        if name.isdecimal() and int(name) < len(self.classes):
            return int(name)
        hint = did_you_mean(name, (s.strip() for c in self.classes for s in (*c.split(','), c)), most=3)
        number = f'; there are {len(self.classes)}, from {self.classes[0]!r} to {self.classes[-1]!r}'
        raise UserError(f'no class {name!r}{hint or number}')

    def find_layer(self, name: str) -> nn.Module:
        """A layer by its name in the model, such as ``backbone.layer3``.

        Raises:
            UserError: If there is none.
        """
        known = dict(self.model.named_modules())
        if name in known:
            return known[name]
        raise UserError(f'no layer {name!r}{did_you_mean(name, known, most=5, cutoff=0)}')

    def read(self, path: str | Path) -> tuple[np.ndarray, Tensor]:
        """Prepare an image as the config's test does.

        Returns:
            tuple[np.ndarray, Tensor]: What of it the model sees, (H, W, 3), RGB in 0 ... 255, and the model's
            input, (1, C, H, W), which may be padded below and on the right.

        Raises:
            UnreadableError: If it can't be read.
        """
        image = mmcv.bgr2rgb(read_image(str(path)))
        data = {} if self.loads else dict(img=image, img_shape=image.shape[:2], ori_shape=image.shape[:2])
        data = self.pipeline(dict(data, img_path=str(path), img_id=0))
        picture = data['inputs'].permute(1, 2, 0).byte().numpy()
        picture = picture[..., ::-1] if self.loads else picture
        data = self.model.data_preprocessor(pseudo_collate([data]), False)
        self.samples = data['data_samples']
        return picture.repeat(3 // picture.shape[2], axis=2), data['inputs']

    def forward(self, inputs: Tensor) -> Tensor:
        """Map the image that was read last, (1, C, H, W), to its scores, (1, number of classes)."""
        inputs = inputs.requires_grad_(torch.is_grad_enabled())
        if self.scope == 'mmdet':
            found = self.model(inputs, self.samples, mode='predict')[0].pred_instances
            scores = found.scores.new_zeros(len(self.classes)).index_add(0, found.labels, found.scores)
            present = found.labels.bincount(minlength=len(self.classes)) > 0
            return scores.where(present, -torch.inf)[None]
        scores = self.model(inputs, self.samples, mode='tensor')
        if self.scope == 'mmseg':
            if scores.shape[1] == 1 and len(self.classes) == 2:  # the foreground's
                scores = torch.cat([-scores, scores], dim=1)
            mask = nn.functional.one_hot(scores.argmax(1), scores.shape[1]).permute(0, 3, 1, 2)
            scores = (scores * mask).sum((2, 3)).where(mask.any(3).any(2), -torch.inf)
        return scores


class _GradCAM(GradCAM):
    def compute_cam_per_layer(self, *args):
        found = self.activations_and_grads
        if not len(found.activations) == len(found.gradients) == len(self.target_layers):
            raise UserError(
                'the class must depend once on each of the layers, and does so more often or never'
            )
        return super().compute_cam_per_layer(*args)


def grad_cam(
    model: ClassScores, path: str | Path, class_index: int | None = None, layers: Sequence[nn.Module] = ()
) -> tuple[np.ndarray, np.ndarray, int | None]:
    """Compute what of an image a class's score depends on.

    Args:
        model (ClassScores): The model.
        path (str | Path): The image.
        class_index (int, optional): The class. Default: None (the one of the highest score).
        layers (Sequence[nn.Module]): Layers of the model whose maps are averaged. Default: the backbone's
            last feature map, which is the output of a ResNet's last block.

    Returns:
        tuple[np.ndarray, np.ndarray, int | None]: What the model sees of the image, (H, W, 3), RGB in
        0 ... 255; the map, (H, W), float32 in 0 ... 1, all 0 if the model finds nothing of the class; and the
        class, None if it was not given and the model finds nothing at all.

    Raises:
        UserError: If the image can't be read, or the layers' outputs are no feature maps.
    """
    picture, inputs = model.read(path)
    height, width = picture.shape[:2]
    with torch.no_grad():
        scores = model(inputs)[0]
    index = int(scores.argmax()) if class_index is None else class_index
    if scores[index].isinf():
        return picture, np.zeros((height, width), np.float32), class_index

    def feature_map(x: Tensor) -> Tensor:
        if isinstance(x, Tensor) and x.dim() == 3:  # tokens, after those of no place in the image
            rows = round((x.shape[1] * inputs.shape[2] / inputs.shape[3]) ** 0.5)
            columns = x.shape[1] // rows
            x = x[:, -rows * columns :].mT.unflatten(2, (rows, columns))
        if not isinstance(x, Tensor) or x.dim() != 4:
            raise UserError(
                'a layer to explain must give one feature map, (N, C, H, W), or tokens, (N, L, C)'
            )
        return x.clone()  # the layers after it may work in place

    cam = _GradCAM(model, list(layers) or [model.feature_map], feature_map)
    return picture, cam(inputs, [ClassifierOutputTarget(index)])[0, :height, :width], index


def draw(rows: dict[str, Sequence[tuple[np.ndarray, np.ndarray]]], titles: Sequence[str]) -> Figure:
    """Draw maps over their pictures, a row for each model and a column for each image, as Fig. 4.

    Args:
        rows (dict): Of each model, by its label, the pictures and maps that :func:`grad_cam` returned.
        titles (Sequence[str]): What stands over the columns.

    Returns:
        Figure: The figure; of more than :data:`COLUMNS` images in several pairs of rows.
    """
    columns = min(len(titles), COLUMNS)
    strips = -(-len(titles) // columns)
    height = max(picture.shape[0] / picture.shape[1] for cams in rows.values() for picture, _ in cams)
    size = (1.6 * columns + 0.4, (1.6 * min(height, 2) * len(rows) + 0.3) * strips)
    figure = Figure(size, layout='constrained')
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0, hspace=0)
    axes = figure.subplots(strips * len(rows), columns, squeeze=False)
    for ax in axes.flat:
        ax.set_axis_off()
    for row, (label, cams) in enumerate(rows.items()):
        for i, (picture, cam) in enumerate(cams):
            strip, column = divmod(i, columns)
            ax = axes[strip * len(rows) + row, column]
            if cam.any():  # in colors of which the lighter ones are the stronger, as in Fig. 4
                colors = dict(colormap=cv2.COLORMAP_INFERNO, image_weight=0.4, use_rgb=True)
                picture = show_cam_on_image(picture / np.float32(255), cam, **colors)
            ax.imshow(picture)
            if row == 0:
                ax.set_title(titles[i], fontsize=8)
            if column == 0:
                label = textwrap.fill(label.replace('_', ' '), 16)
                place = dict(rotation=90, ha='right', va='center', transform=ax.transAxes)
                ax.text(-0.04, 0.5, label, fontsize=7, **place)
    return figure
