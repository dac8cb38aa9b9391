"""What mmengine's training lacks for this package's runs."""

from contextlib import contextmanager

import torch
from mmengine.dist import master_only
from mmengine.hooks import EMAHook, Hook
from mmengine.optim import OptimWrapper
from mmengine.runner import BaseLoop, Runner, TestLoop, ValLoop
from torch import Tensor, nn

from .registry import HOOKS, OPTIM_WRAPPERS
from .results.curves import plot_curves


@OPTIM_WRAPPERS.register_module()
class CPUAmpOptimWrapper(OptimWrapper):
    """``--amp`` on a CPU: bfloat16 autocast, which needs no loss scaling.

    mmengine's ``AmpOptimWrapper`` demands an accelerator. mmcv's compiled ops know no bfloat16 on a CPU,
    :mod:`res2net_mm.ops` do.
    """

    @contextmanager
    def optim_context(self, model: nn.Module):
        """Compute the model's forward pass under autocast."""
        with super().optim_context(model), torch.autocast('cpu', torch.bfloat16):
            yield


@HOOKS.register_module()
class CountImagesHook(Hook):
    """Record beside an evaluation's metrics how many images it was on, as ``images``.

    So that :mod:`res2net_mm.results` can tell COCO's 5,000 from anything smaller that lies in its place. In a
    training also how many images an iteration learned from, as ``images_per_iter``: all processes', which no
    config knows.
    """

    priority = 'HIGHEST'  # before the hooks that log the metrics

    def after_val_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        """Count the images of a validation, and those of an iteration of its training."""
        _count_images(runner.val_loop, metrics)
        if metrics and isinstance(runner._train_loop, BaseLoop):
            loader = runner.train_dataloader
            batch = loader.batch_size or loader.batch_sampler.batch_size
            batches = getattr(runner.optim_wrapper, '_accumulative_counts', 1)
            metrics['images_per_iter'] = float(batch * batches * runner.world_size)

    def after_test_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        """Count the images of a test."""
        _count_images(runner.test_loop, metrics)


def _count_images(loop: ValLoop | TestLoop, metrics: dict | None) -> None:
    if metrics:
        # A data set of persons has an entry for each; that of COCO's key points knows its images.
        coco = next((m.coco for m in loop.evaluator.metrics if hasattr(m, 'coco')), None)
        # A float: of integers mmengine makes NumPy's, which its metric files leave out.
        metrics['images'] = float(len(coco.imgs if coco else loop.dataloader.dataset))


@HOOKS.register_module()
class InferenceFormHook(Hook):
    """Test this package's networks fused, see :func:`res2net_mm.fused.fuse`.

    Args:
        half (bool): Whether they compute in float16 on a GPU, in bfloat16 on a CPU. Default: False.
    """

    priority = 'VERY_LOW'

    def __init__(self, half: bool = False):
        self.half = half

    def before_test(self, runner: Runner) -> None:
        """Fuse what has just been loaded."""
        from .fused import fuse

        if any(isinstance(hook, EMAHook) for hook in runner.hooks):  # exchanges the parameters in a test
            runner.logger.warning(
                "EMAHook exchanges the networks' weights: they are tested without being fused"
            )
            return
        half = torch.float16 if torch.cuda.is_available() else torch.bfloat16
        fuse(runner.model, half if self.half else None)


@HOOKS.register_module()
class ChannelsLastHook(Hook):
    """Train this package's networks with weights, and so feature maps, in ``channels_last`` format.

    What they give to the rest of the model is channels first: mmcv's compiled ops need that.
    """

    def before_train(self, runner: Runner) -> None:
        """Lay the weights out."""
        from .models.backbone import Backbone

        for module in runner.model.modules():
            if isinstance(module, Backbone):
                module.to(memory_format=torch.channels_last)
                module.register_forward_hook(_channels_first)


def _channels_first(network: nn.Module, args: tuple, outs: Tensor | tuple[Tensor, ...]):
    return outs.contiguous() if isinstance(outs, Tensor) else tuple(out.contiguous() for out in outs)


@HOOKS.register_module()
class CurvesHook(Hook):
    """Leave ``curves.png``, the run's losses and scores, in the work directory."""

    priority = 'VERY_LOW'

    @master_only
    def after_train(self, runner: Runner) -> None:
        """Draw the plot."""
        runner.visualizer.close()
        path = plot_curves(runner.work_dir)
        if path:
            runner.logger.info(f'losses and scores: {path}')
