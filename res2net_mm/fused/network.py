"""A network of convolutions that take in what follows them: normalization, residual and ReLU."""

from collections.abc import Sequence

import torch
from mmcv.cnn import is_norm
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from ..models.backbone import Backbone
from ..models.bottle2neck import Bottle2neck
from . import cpu, cuda


def can_fold(conv: nn.Module, norm: nn.Module) -> bool:
    """Whether a normalization, by its running statistics, is something that the convolution can do, too."""
    return (
        type(conv) is nn.Conv2d
        and conv.padding_mode == 'zeros'
        and isinstance(norm, _BatchNorm)
        and norm.affine
        and norm.track_running_stats
    )


class FusedConv2d(nn.Module):
    """A convolution with its BN folded in, residual and ReLU in the same kernel where the device has one.

    Elsewhere, and where autograd, a tracer or torch.compile looks on, it is PyTorch's convolution, addition
    and ReLU.

    Args:
        conv (nn.Conv2d): The convolution.
        norm (_BatchNorm): Its normalization, see :func:`can_fold`.
        relu (bool): Whether a ReLU follows. Default: False.
    """

    def __init__(self, conv: nn.Conv2d, norm: _BatchNorm, relu: bool = False):
        super().__init__()
        self.relu = relu
        self.stride, self.padding, self.dilation, self.groups = (
            conv.stride,
            conv.padding,
            conv.dilation,
            conv.groups,
        )
        with torch.no_grad():
            scale = norm.weight.double() * (norm.running_var.double() + norm.eps).rsqrt()
            mean = norm.running_mean.double() - (0 if conv.bias is None else conv.bias.double())
            weight = conv.weight.double() * scale.reshape(-1, 1, 1, 1)
            bias = norm.bias.double() - mean * scale
        weight = weight.to(conv.weight.dtype, memory_format=torch.channels_last)
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.bias = nn.Parameter(bias.to(conv.weight.dtype), requires_grad=False)
        self._packed = cpu.PackedWeight()

    def __getstate__(self) -> dict:
        return {**self.__dict__, '_packed': cpu.PackedWeight()}  # it can be neither copied nor saved

    def extra_repr(self) -> str:
        """The shape and what else tells the convolution."""
        names = 'stride', 'padding', 'dilation', 'groups', 'relu'
        return ', '.join([f'{tuple(self.weight.shape)}', *(f'{n}={getattr(self, n)}' for n in names)])

    def forward(self, x: Tensor, residual: Tensor | None = None, overwrite: bool = False) -> Tensor:
        """Compute ``relu(conv(x) + residual)``.

        Args:
            x (Tensor): The input, (N, C, H, W).
            residual (Tensor, optional): What is added, of the output's shape. Default: None.
            overwrite (bool): Whether the output may take the place of the residual. Default: False.
        """
        geometry = self.padding, self.stride, self.dilation, self.groups
        if inferring(x) and (residual is None or inferring(residual)):
            if self.relu and cuda.has_cudnn(x):
                return cuda.convolve_relu(x, self.weight, self.bias, geometry, residual)
            if cpu.has_onednn(x):
                weight = self._packed(self.weight, geometry, x.shape)
                return cpu.convolve(x, weight, self.bias, geometry, self.relu, residual, overwrite)
        out = F.conv2d(x, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)
        if residual is not None:
            out += residual
        return F.relu(out, inplace=True) if self.relu else out


class UnfusedConv2d(nn.Module):
    """A convolution and its normalization that can't be fused, called as :class:`FusedConv2d` is.

    Args:
        conv (nn.Module): The convolution.
        norm (nn.Module): Its normalization.
        relu (bool): Whether a ReLU follows. Default: False.
    """

    def __init__(self, conv: nn.Module, norm: nn.Module, relu: bool = False):
        super().__init__()
        self.conv = conv
        self.norm = norm
        self.relu = relu

    def forward(self, x: Tensor, residual: Tensor | None = None, overwrite: bool = False) -> Tensor:
        """Compute ``relu(norm(conv(x)) + residual)``."""
        out = self.norm(self.conv(x))
        if residual is not None:
            out += residual
        return F.relu(out, inplace=True) if self.relu else out


def fuse_conv(conv: nn.Module, norm: nn.Module, relu: bool = False) -> nn.Module:
    """Make one module of a convolution, its normalization and, with ``relu``, the ReLU after it."""
    return (FusedConv2d if can_fold(conv, norm) else UnfusedConv2d)(conv, norm, relu)


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
    whole = split.is_contiguous() or split.is_contiguous(memory_format=torch.channels_last)
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

    What somebody else wrote stays as it is: plugins, and classes derived from the block or from Sequential.
    """
    before = None
    plugins = sum(module.plugins.values(), []) if isinstance(module, Bottle2neck) else ()
    for name, child in list(module.named_children()):
        if name not in plugins:
            fuse_children(child)
        if type(child) is Bottle2neck:
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
                with_relu = isinstance(relu, nn.ReLU)
                setattr(module, name, FusedConv2d(conv, norm, with_relu))
                delattr(module, norm_name)
                if with_relu:
                    delattr(module, relu_name)


class FusedBackbone(nn.Module):
    """A network of fused modules; inputs and outputs are as the network's own.

    Args:
        network (Backbone): Any of this package's networks, whose modules are taken over.
        cuda_graph (bool): Whether it runs as CUDA graphs on a GPU, see :class:`cuda.Graphs`. Default: False.
    """

    def __init__(self, network: Backbone, cuda_graph: bool = False):
        super().__init__()
        network.__dict__.pop('forward', None)  # the trace that mmengine's efficient_conv_bn_eval puts there
        fuse_children(network)
        if hasattr(network, 'bn1'):  # the stem of those shaped as ResNet; the last convolution of a deep one
            parent, name = network, 'conv1'
            if isinstance(network.conv1, nn.Sequential):
                parent, name = network.conv1, list(network.conv1.named_children())[-1][0]
            if can_fold(getattr(parent, name), network.bn1):
                setattr(parent, name, FusedConv2d(getattr(parent, name), network.bn1, relu=True))
                network.bn1 = network.relu = nn.Identity()
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
        """
        dtype = next(p.dtype for p in self.parameters() if p.is_floating_point())
        replayed = self.graphs is not None and x.is_cuda and bool(x.numel()) and inferring(x)
        if replayed:
            outs = self.graphs(x, dtype)
        else:
            outs = self.network(x.to(dtype=dtype, memory_format=torch.channels_last))
        if isinstance(outs, Tensor):
            return _as_given(outs, x, copy=replayed)
        return tuple(_as_given(out, x, copy=replayed) for out in outs)


def _as_given(out: Tensor, x: Tensor, copy: bool) -> Tensor:
    """A feature map in the input's type and memory format."""
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


def inferring(x: Tensor) -> bool:
    """Whether nothing records what is done with ``x``: neither autograd nor a tracer or compiler."""
    return not (x.requires_grad or torch.compiler.is_compiling() or torch.jit.is_tracing())
