"""The measures of salient object detection (Table 9)."""

from collections import defaultdict
from collections.abc import Sequence
from importlib.util import find_spec

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from rich import box
from rich.console import Console
from rich.table import Table

from ..errors import UserError
from ..registry import METRICS

BETA_SQUARED = 0.3


@METRICS.register_module()
class SaliencyMetric(BaseMetric):
    """F-measure (beta^2 = 0.3), MAE, S-measure and E-measure of each set of images, by pysodmetrics.

    Saliency maps are rounded to 8 bits, as if saved, and stretched per image, as pysodmetrics does. Each set
    has metrics under its name, such as ``ECSSD/max_F``:

    - ``max_F``, ``adaptive_F``: The maximum over thresholds of the images' mean F-measure, and the mean at
      twice each map's mean.
    - ``max_F_PR``: The maximum over thresholds of the F-measure of the images' mean precision and recall,
      the older definition, DSS's.
    - ``MAE``, ``S``: Mean absolute error and S-measure.
    - ``max_E``, ``mean_E``, ``adaptive_E``: E-measure, likewise; its mean over thresholds.
    - ``images``: The number of images.

    Until the end it keeps three curves of 256 thresholds an image, 3 kB.

    Args:
        kwargs: As in mmengine's ``BaseMetric``.

    Raises:
        UserError: If pysodmetrics isn't installed.
    """

    default_prefix = ''  # the sets' names are the prefixes

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        if find_spec('py_sod_metrics') is None:
            raise UserError('SaliencyMetric needs the package pysodmetrics: pip install pysodmetrics')

    def process(self, data_batch: dict | None, data_samples: Sequence[dict]) -> None:
        """Measure a batch.

        Args:
            data_batch (dict, optional): Not used.
            data_samples (Sequence[dict]): With ``seg_logits``, the saliency in 0 ... 1, and ``gt_sem_seg``, 0
                or 1, both (1, H, W), and ``dataset``, the name of the image's set.
        """
        for sample in data_samples:
            saliency = (sample['seg_logits']['data'][0] * 255).round().byte().cpu().numpy()
            mask = sample['gt_sem_seg']['data'][0].cpu().numpy().astype(bool)
            self.results.append((sample['dataset'], measure(saliency, mask)))

    def compute_metrics(self, results: list[tuple[str, dict]]) -> dict[str, float]:
        """Average over the images of each set, and log a table."""
        sets = defaultdict(list)
        for name, measured in results:
            sets[name].append(measured)
        metrics = {name: summarize(measured) for name, measured in sets.items()}
        table = Table('', *next(iter(metrics.values()), ()), box=box.SIMPLE_HEAD)
        for name, values in metrics.items():
            table.add_row(name, *(f'{v:,.0f}' if k == 'images' else f'{v:.3f}' for k, v in values.items()))
        console = Console(width=120, color_system=None)
        with console.capture() as text:
            console.print(table)
        print_log('\n' + text.get(), 'current')
        return {f'{name}/{key}': value for name, values in metrics.items() for key, value in values.items()}


def measure(saliency: np.ndarray, mask: np.ndarray) -> dict[str, np.ndarray]:
    """Measure one image.

    Args:
        saliency (np.ndarray): The saliency map, (H, W) of uint8.
        mask (np.ndarray): The salient pixels, (H, W) of bool.

    Returns:
        dict[str, np.ndarray]: Curves over the thresholds 255 ... 0, and values at one threshold or none.
    """
    import py_sod_metrics as sod

    of_f = sod.FmeasureV2(
        dict(
            f=sod.FmeasureHandler(with_dynamic=True, with_adaptive=True, beta=BETA_SQUARED),
            p=sod.PrecisionHandler(with_dynamic=True, with_adaptive=False),
            r=sod.RecallHandler(with_dynamic=True, with_adaptive=False),
        )
    )
    of_e, of_s, of_mae = sod.Emeasure(), sod.Smeasure(), sod.MAE()
    for each in (of_f, of_e, of_s, of_mae):
        each.step(saliency, mask * np.uint8(255))
    f, e = of_f.get_results(), of_e.get_results()['em']
    measured = dict(
        precision=f['p']['dynamic'],
        recall=f['r']['dynamic'],
        e=e['curve'],
        f_adaptive=f['f']['adaptive'],
        e_adaptive=e['adp'],
        s=of_s.get_results()['sm'],
        mae=of_mae.get_results()['mae'],
    )
    return {key: np.asarray(value, np.float32) for key, value in measured.items()}


def summarize(images: list[dict[str, np.ndarray]]) -> dict[str, float]:
    """Average what :func:`measure` returned of each image of a set."""
    curves = {key: np.stack([measured[key] for measured in images]).astype(float) for key in images[0]}
    mean = {key: values.mean(0) for key, values in curves.items()}
    metrics = dict(
        max_F=f_measure(curves['precision'], curves['recall']).mean(0).max(),
        max_F_PR=f_measure(mean['precision'], mean['recall']).max(),
        adaptive_F=mean['f_adaptive'],
        MAE=mean['mae'],
        S=mean['s'],
        max_E=mean['e'].max(),
        mean_E=mean['e'].mean(),
        adaptive_E=mean['e_adaptive'],
        images=len(images),
    )
    return {key: float(value) for key, value in metrics.items()}


def f_measure(precision: np.ndarray, recall: np.ndarray) -> np.ndarray:
    """The F-measure; 0 where precision and recall are."""
    weighted = BETA_SQUARED * precision + recall
    return (1 + BETA_SQUARED) * precision * recall / np.where(weighted == 0, 1, weighted)
