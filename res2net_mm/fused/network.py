"""A network of convolutions that take in what follows them."""

import copy
import warnings
from collections.abc import Callable, Sequence

import torch
from mmcv.cnn import is_norm
from torch import Tensor, nn

from ..models.backbone import Backbone
from ..models.bottle2neck import Bottle2neck, make_contiguous
from . import cpu, cuda
from .conv import FusedConv2d, can_fold, fuse_conv, has_global_hooks, inferring, transforming, watched


class FusedBottle2neck(nn.Module):
    """:class:`Bottle2neck` of fused convolutions, whose splits are concatenated in place.

    Args:
        block (Bottle2neck): The block, whose modules are taken over.
        overwrite (bool): Whether the output may take the place of the input, which nobody else needs then.
            Default: False.
    """

    def __init__(self, block: Bottle2neck, overwrite: bool = False):
        super().__init__()
        self.width = block.width
        self.scales = block.scales
        self.is_first = block.is_first
        self.overwrite = overwrite
        self.after_conv1, self.after_conv2, self.after_conv3 = (
            nn.Sequential(*(getattr(block, name) for name in names)) for names in block.plugins.values()
        )
        # A gate or a plugin stands between the last convolution and the residual.
        self.adds = block.se is None and not len(self.after_conv3)
        self.relu = block.final_relu
        self.conv1 = fuse_conv(block.conv1, block.bn1, relu=True)
        self.convs = nn.ModuleList(fuse_conv(conv, bn, relu=True) for conv, bn in zip(block.convs, block.bns))
        self.conv3 = fuse_conv(block.conv3, block.bn3, relu=self.relu and self.adds)
        self.pool = block.pool
        self.se = block.se
        self.downsample = block.downsample
        self.aligned = self.can_align() and self.conv1.weight.is_cuda
        if self.aligned:
            self.width = cuda.align(self.conv1, self.convs, self.conv3, self.scales)

    def can_align(self) -> bool:
        """Whether its splits may be padded with zeros: not where groups or plugins count the channels."""
        plugins = len(self.after_conv1) + len(self.after_conv2)
        fused = all(type(conv) is FusedConv2d for conv in (self.conv1, *self.convs, self.conv3))
        return fused and not plugins and self.convs[0].groups == 1

    def forward(self, x: Tensor, shortcut: Tensor | None = None) -> Tensor:
        """As the block's own."""
        out = self.convolve_splits(self.after_conv1(self.conv1(x)))
        overwrite = False
        if shortcut is None:
            shortcut = x if self.downsample is None else self.downsample(x)
            overwrite = self.overwrite or shortcut is not x
        if self.adds:
            return self.conv3(out, shortcut, overwrite)
        out = self.after_conv3(self.conv3(out))
        if self.se is not None:
            out = self.se(out)
        out = out + shortcut
        return out.relu() if self.relu else out

    def convolve_splits(self, x: Tensor) -> Tensor:
        """Map conv1's output to conv3's input."""
        if self.aligned and self.scales > 1 and inferring(x) and (triton := cuda.triton_splits(x)):
            return triton.convolve_splits(
                x, self.convs, self.scales, not self.is_first, self.pool is not None
            )
        xs = x.split(self.width, 1)
        ys = []
        for i, conv in enumerate(self.convs):
            x_i = _compact(xs[i]) if self.is_first or i == 0 else xs[i] + ys[-1]
            ys.append(conv(x_i))
        if len(ys) < self.scales:
            ys.append(xs[-1] if self.pool is None else self.pool(xs[-1]))
        return self.after_conv2(_concatenate(ys, xs, x))


def _compact(split: Tensor) -> Tensor:
    """A split in one piece: PyTorch's convolutions are several times slower on a view of channels."""
    whole = split.is_contiguous() or transforming() or split.is_contiguous(memory_format=torch.channels_last)
    return split if whole else split.clone(memory_format=torch.preserve_format)


def _concatenate(ys: list[Tensor], xs: Sequence[Tensor], whole: Tensor) -> Tensor:
    """Concatenate the outputs of the splits; on a CPU in the place of the splits, if nobody needs them."""
    if len(ys) == 1:
        return ys[0]
    if whole.is_cpu and inferring(whole) and ys[0].shape == xs[0].shape:
        for x, y in zip(xs, ys):
            if y is not x:
                x.copy_(y)
        return whole
    return torch.cat(ys, 1)


def fuse_children(module: nn.Module) -> None:
    """Fuse all that is in a module: its blocks, and in each Sequential a convolution with what follows it.

    What somebody else wrote stays as it is: plugins, blocks with another activation, and classes derived from
    the block or from Sequential.
    """
    before = None
    plugins = sum(module.plugins.values(), []) if isinstance(module, Bottle2neck) else ()
    for name, child in list(module.named_children()):
        if name not in plugins:
            fuse_children(child)
        if type(child) is Bottle2neck and type(child.relu) is nn.ReLU:
            # Between two blocks of a stage nobody else has what one gives the other.
            in_stage = type(module) is nn.Sequential and type(before) is Bottle2neck
            setattr(module, name, FusedBottle2neck(child, overwrite=in_stage))
        before = child
    if type(module) is nn.Sequential:
        layers = list(module.named_children())
        for (name, conv), (norm_name, norm), (relu_name, relu) in zip(
            layers, [*layers[1:], ('', None)], [*layers[2:], ('', None), ('', None)]
        ):
            if norm is not None and is_norm(norm) and can_fold(conv, norm):
                with_relu = type(relu) is nn.ReLU
                setattr(module, name, FusedConv2d(conv, norm, with_relu))
                delattr(module, norm_name)
                if with_relu:
                    delattr(module, relu_name)


class FusedBackbone(nn.Module):
    """A network of fused modules; inputs and outputs are as the network's own.

    Args:
        network (Backbone): Any of this package's networks (:func:`can_fuse`), whose modules are taken over.
        cuda_graph (bool): Whether it runs as CUDA graphs on a GPU, see :class:`cuda.Graphs`. Default: False.
    """

    def __init__(self, network: Backbone, cuda_graph: bool = False):
        super().__init__()
        network.__dict__.pop('forward', None)  # the trace that mmengine's efficient_conv_bn_eval puts there
        if any(p.is_inference() for p in network.parameters()):
            network = copy.deepcopy(network)  # which isn't, where fuse() makes it
        self.in_channels = in_channels(network)
        given = list(network.eval().modules())
        for module in given:
            for hook in filter(_makes_weights, module._forward_pre_hooks.values()):
                hook(module, ())  # after a load the weights are those of the last forward
        fuse_children(network)
        if hasattr(network, 'bn1'):  # the stem of those shaped as ResNet; the last convolution of a deep one
            parent, name = network, 'conv1'
            if isinstance(network.conv1, nn.Sequential):
                parent, name = network.conv1, list(network.conv1.named_children())[-1][0]
            if can_fold(getattr(parent, name), network.bn1):
                with_relu = type(network.relu) is nn.ReLU
                setattr(parent, name, FusedConv2d(getattr(parent, name), network.bn1, with_relu))
                network.bn1 = nn.Identity()
                if with_relu:
                    network.relu = nn.Identity()
        inside = set(network.modules())
        names = '_forward_hooks', '_forward_pre_hooks', '_backward_hooks', '_backward_pre_hooks'
        hooks = (getattr(m, name).values() for m in given if m not in inside for name in names)
        if gone := sum(not _makes_weights(hook) for of_module in hooks for hook in of_module):
            warnings.warn(
                f'{gone} hooks are gone with the modules that fuse() replaced: register hooks after it',
                stacklevel=2,
            )
        hooks = [hooks for m in inside for hooks in (m._forward_hooks, m._forward_pre_hooks)]
        self._hooks_inside = [h for h in hooks if make_contiguous not in h.values()]  # which keeps nothing
        self.network = network.requires_grad_(False)
        self.graphs = cuda.Graphs(network) if cuda_graph else None
        self.eval()
        self._register_load_state_dict_pre_hook(_refuse_trained)

    def __getattr__(self, name: str):
        """The network's attributes, such as ``out_channels``."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__('network'), name)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        """As the network's own; feature maps have the images' type and memory format.

        mmcv's compiled ops, RoIAlign for one, take every map for channels first, and compute nonsense of
        others: a model that has them needs images that are channels first.

        Raises:
            TypeError: If the images are not of floating point.
            ValueError: If they are not (N, in_channels, H, W).
        """
        if not x.is_floating_point():
            raise TypeError(f'images must be of floating point, and these are {x.dtype}')
        if torch.compiler.is_compiling() or torch.jit.is_tracing():  # sizes may be free there
            return self._forward(x)
        if x.dim() != 4 or x.shape[1] != self.in_channels:
            raise ValueError(f'images must be (N, {self.in_channels}, H, W), and these are {tuple(x.shape)}')
        if any(self._hooks_inside) or has_global_hooks() or transforming():
            with watched():
                return self._forward(x)
        return self._forward(x)

    def _forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        dtype = next(p.dtype for p in self.parameters() if p.is_floating_point())
        replayed = self.graphs is not None and x.is_cuda and bool(x.numel()) and inferring(x)
        if replayed:
            outs = self.graphs(x, dtype)
        else:
            memory_format = torch.preserve_format if transforming() else torch.channels_last
            outs = self.network(x.to(dtype=dtype, memory_format=memory_format))
        if isinstance(outs, Tensor):
            return _as_given(outs, x, copy=replayed)
        return tuple(_as_given(out, x, copy=replayed) for out in outs)


def can_fuse(network: nn.Module) -> bool:
    """Whether a network is computed as this package's are, and not by methods of a class derived from one."""
    methods = (getattr(type(network), name, None) for name in ('forward', 'forward_stem', 'forward_stages'))
    return all(method is None or method.__module__.startswith('res2net_mm.models.') for method in methods)


def in_channels(network: Backbone) -> int:
    """Channels of a network's images, or of the feature maps that a stage takes."""
    weights = (getattr(module, 'weight', None) for module in network.modules())
    return next(weight for weight in weights if weight is not None and weight.dim() == 4).shape[1]


def _makes_weights(hook: Callable) -> bool:
    """Whether it is a hook of PyTorch's that computes a module's weights: pruning's, or a norm's."""
    return type(hook).__module__.startswith('torch.nn.utils.')


def _as_given(out: Tensor, x: Tensor, copy: bool) -> Tensor:
    """A feature map in the input's type and memory format."""
    if transforming():  # vmap knows no other memory format
        return out.to(x.dtype).contiguous()
    if x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous():
        return out.to(dtype=x.dtype, memory_format=torch.channels_last, copy=copy)
    if out.is_cpu and not out.is_contiguous() and inferring(out):
        return cpu.channels_first(out, x.dtype)
    return out.to(dtype=x.dtype, memory_format=torch.contiguous_format, copy=copy)


def _refuse_trained(state_dict: dict, prefix: str, *_) -> None:
    """Refuse the weights of a training, which a loader that isn't strict would leave out without a word."""
    names = [k.removeprefix(prefix) for k in state_dict if k.startswith(prefix)]
    if names and not any(name.startswith('network.') for name in names):
        raise RuntimeError(
            "the network is fused and the weights are of a training's: load them before fuse()"
        )
