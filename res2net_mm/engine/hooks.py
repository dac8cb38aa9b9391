"""Hooks, and an optimizer wrapper, that mmengine lacks."""

from contextlib import contextmanager

import torch
from mmengine.dist import master_only
from mmengine.hooks import EMAHook, Hook
from mmengine.logging import print_log
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from torch import Tensor, nn

from ..errors import UserError
from ..fused import FusedBackbone, fuse
from ..models.backbone import Backbone
from ..registry import HOOKS, OPTIM_WRAPPERS
from ..results.curves import plot_curves

NONE = "{} is for this package's networks, of which the model has none"


@OPTIM_WRAPPERS.register_module()
class CPUAmpOptimWrapper(OptimWrapper):
    """``--amp`` on a CPU: bfloat16 autocast, which needs no loss scaling.

    mmengine's ``AmpOptimWrapper`` demands an accelerator. mmcv's compiled ops know no bfloat16 on a CPU,
    :mod:`res2net_mm.ops` do.
    """

    cast_dtype = torch.bfloat16

    @contextmanager
    def optim_context(self, model: nn.Module):
        """Compute the model's forward pass under autocast."""
        with super().optim_context(model), torch.autocast('cpu', self.cast_dtype):
            yield


@HOOKS.register_module()
class FuseHook(Hook):
    """Test this package's networks fused, see :func:`res2net_mm.fused.fuse`.

    Args:
        half (bool): Whether they compute in float16 on a GPU, in bfloat16 on a CPU. Default: False.
        cuda_graph (bool): Whether they run as CUDA graphs on a GPU. Default: False.

    Attributes:
        fused (bool): Whether they are fused.
        dtype (torch.dtype): What they compute in.
    """

    priority = 'VERY_LOW'

    def __init__(self, half: bool = False, cuda_graph: bool = False):
        self.half = half
        self.cuda_graph = cuda_graph
        self.fused = False
        self.dtype = torch.float32

    def before_test(self, runner: Runner) -> None:
        """Fuse what has just been loaded.

        Raises:
            UserError: If no network can be fused, and half precision or CUDA graphs are asked for.
        """
        if any(isinstance(hook, EMAHook) for hook in runner.hooks):  # exchanges the parameters in a test
            runner.logger.warning(
                "EMAHook exchanges the networks' weights: they are tested without being fused"
            )
            return
        half = torch.float16 if torch.cuda.is_available() else torch.bfloat16
        fuse(runner.model, half if self.half else None, self.cuda_graph)
        self.fused = any(isinstance(module, FusedBackbone) for module in runner.model.modules())
        if not self.fused and (self.half or self.cuda_graph):
            option = '--half' if self.half else '--cuda-graph'
            raise UserError(f'{NONE.format(option)} that can be fused')
        if self.half:
            self.dtype = half


@HOOKS.register_module()
class ChannelsLastHook(Hook):
    """Train this package's networks with weights, and so feature maps, in ``channels_last`` format.

    What they give to the rest of the model is channels first: mmcv's compiled ops need that.
    """

    def before_train(self, runner: Runner) -> None:
        """Lay the weights out."""
        for network in networks_of(runner.model, '--channels-last'):
            network.to(memory_format=torch.channels_last)
            network.register_forward_hook(channels_first)


@HOOKS.register_module()
class CompileHook(Hook):
    """Train this package's networks compiled by :func:`torch.compile`, the rest of the model as it is.

    They are evaluated as they are: for the evaluation's mode and sizes they would be compiled anew.
    """

    def before_train(self, runner: Runner) -> None:
        """Have the networks compile at their first forward."""
        print_log(
            '--compile: the first iteration, and one of another size of images, takes minutes', 'current'
        )
        for network in networks_of(runner.model, '--compile'):
            compile_training(network)


def compile_training(network: nn.Module) -> None:
    """Have a network compiled where it trains, and called as it is elsewhere."""
    network.compile()
    compiled = network._compiled_call_impl

    def call(*args, **kwargs):
        return (compiled if network.training else network._call_impl)(*args, **kwargs)

    network._compiled_call_impl = call


def networks_of(model: nn.Module, option: str) -> list[nn.Module]:
    """This package's networks in a model.

    Raises:
        UserError: If there are none that the option could change.
    """
    networks = [module for module in model.modules() if isinstance(module, Backbone)]
    if not networks:
        raise UserError(NONE.format(option))
    return networks


def channels_first(network: nn.Module, args: tuple, outs: Tensor | tuple[Tensor, ...]):
    """Forward hook of a network: make its outputs contiguous, which is channels first."""
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
