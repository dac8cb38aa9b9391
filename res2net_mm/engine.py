"""What mmengine's training lacks for this package's runs."""

from contextlib import contextmanager

import torch
from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from torch import nn

from .registry import HOOKS, OPTIM_WRAPPERS
from .results.curves import plot_curves


@OPTIM_WRAPPERS.register_module()
class CPUAmpOptimWrapper(OptimWrapper):
    """``--amp`` on a CPU: bfloat16 autocast, which needs no loss scaling.

    mmengine's ``AmpOptimWrapper`` demands an accelerator.
    """

    @contextmanager
    def optim_context(self, model: nn.Module):
        """Compute the model's forward pass under autocast."""
        with super().optim_context(model), torch.autocast('cpu', torch.bfloat16):
            yield


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
