"""A convolution, its normalisation and what follows as one step, in training and in inference form."""

from collections import OrderedDict
from collections.abc import Iterator
from functools import partial

import torch
from mmcv.cnn import build_conv_layer, build_norm_layer, is_norm
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from .recompute import offer


def conv_norm(
    conv: nn.Module,
    norm: nn.Module,
    x: Tensor,
    residual: Tensor | None = None,
    *,
    relu: bool = True,
    overwrite: bool = False,
    recompute: bool = True,
) -> Tensor:
    """Compute ``relu(norm(conv(x)) + residual)``, the step that all networks here are made of.

    In training a BN layer that keeps its running statistics (``norm_eval``) is folded into the convolution's
    weight, so that its input need not be kept for the backward pass; the gradients are the same.

    Args:
        conv (nn.Module): The convolution.
        norm (nn.Module): Its normalisation; ``nn.Identity`` where :func:`fuse_step` has made one of the two.
        x (Tensor): The input, (N, C, H, W).
        residual (Tensor, optional): What is added, of the output's shape. Default: None.
        relu (bool): Whether a ReLU follows. Default: True.
        overwrite (bool): Whether the output may take the place of the residual. Default: False.
        recompute (bool): Whether BN's output is computed again for the backward pass rather than kept.
            Default: True.
    """
    if isinstance(norm, nn.Identity):
        return conv(x) if residual is None else conv(x, residual, overwrite)
    if conv.training and not norm.training and torch.is_grad_enabled() and can_fold(conv, norm):
        weight, bias = fold(conv, norm)
        offer(weight, lambda: fold(conv, norm)[0])
        out = conv._conv_forward(x, weight, bias)
    else:
        before = conv(x)
        out = norm(before)
        if recompute and residual is None and norm.training and type(norm) is nn.BatchNorm2d:
            offer(out, partial(_normalise, norm, relu), before)
    if residual is not None:
        out += residual
    return F.relu(out, inplace=True) if relu else out


def _normalise(norm: nn.BatchNorm2d, relu: bool, x: Tensor) -> Tensor:
    """What BN and ReLU gave in training, a second time; the running statistics have had it."""
    out = F.batch_norm(x, None, None, norm.weight, norm.bias, True, eps=norm.eps)
    return out.relu_() if relu else out


def can_fold(conv: nn.Module, norm: nn.Module) -> bool:
    """Whether a normalisation, by its running statistics, is something that the convolution can do, too."""
    return (
        type(conv) is nn.Conv2d
        and conv.padding_mode == 'zeros'
        and isinstance(norm, _BatchNorm)
        and norm.affine
        and norm.track_running_stats
    )


def fold(conv: nn.Conv2d, norm: _BatchNorm, dtype: torch.dtype | None = None) -> tuple[Tensor, Tensor]:
    """Weight and bias of the convolution that does alone what ``conv`` and BN's statistics do.

    Args:
        conv (nn.Conv2d): The convolution.
        norm (_BatchNorm): The normalisation after it.
        dtype (torch.dtype, optional): What to compute in. Default: None (as the parameters are).
    """
    weight, bias, gain, shift, mean, var = (
        None if t is None else t.to(dtype or t.dtype)
        for t in (conv.weight, conv.bias, norm.weight, norm.bias, norm.running_mean, norm.running_var)
    )
    scale = gain * (var + norm.eps).rsqrt()
    mean = mean if bias is None else mean - bias
    return weight * scale.reshape(-1, 1, 1, 1), shift - mean * scale


def inferring(x: Tensor) -> bool:
    """Whether nothing records what is done with ``x``: neither autograd nor a tracer or compiler."""
    return not (x.requires_grad or torch.compiler.is_compiling() or torch.jit.is_tracing())


class FusedConv2d(nn.Module):
    """A convolution in inference form: its normalisation folded in, residual and ReLU in the same pass.

    On a CPU that pass is oneDNN's, with a copy of the weights in oneDNN's own layout; elsewhere, and where
    autograd, a tracer or torch.compile looks on, it is PyTorch's convolution, addition and ReLU.

    Args:
        conv (nn.Conv2d): The convolution.
        norm (nn.Module): Its normalisation, see :func:`can_fold`.
        relu (bool): Whether a ReLU follows. Default: False.
    """

    def __init__(self, conv: nn.Conv2d, norm: _BatchNorm, relu: bool = False):
        super().__init__()
        self.relu = relu
        self.padding, self.stride, self.dilation, self.groups = (
            conv.padding,
            conv.stride,
            conv.dilation,
            conv.groups,
        )
        with torch.no_grad():
            weight, bias = fold(conv, norm, torch.float64)
        self.weight = nn.Parameter(weight.to(conv.weight.dtype), requires_grad=False)
        self.bias = nn.Parameter(bias.to(conv.weight.dtype), requires_grad=False)
        self._packed = _Packed()

    def __getstate__(self) -> dict:
        return {**self.__dict__, '_packed': _Packed()}  # what it holds can be neither copied nor saved

    def extra_repr(self) -> str:
        """The shape and what else tells the convolution."""
        names = 'stride', 'padding', 'dilation', 'groups', 'relu'
        return ', '.join(
            [f'{tuple(self.weight.shape)}', *(f'{name}={getattr(self, name)}' for name in names)]
        )

    def forward(self, x: Tensor, residual: Tensor | None = None, overwrite: bool = False) -> Tensor:
        """Map (N, C, H, W) to (N, C_out, H_out, W_out); see :func:`conv_norm`."""
        if inferring(x) and _has_onednn(x) and (residual is None or inferring(residual)):
            return self._in_one_pass(x, residual, overwrite)
        out = F.conv2d(x, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)
        if residual is not None:
            out += residual
        return F.relu(out, inplace=True) if self.relu else out

    def _in_one_pass(self, x: Tensor, residual: Tensor | None, overwrite: bool) -> Tensor:
        onednn = torch.ops.mkldnn  # what torch.compile calls, too
        geometry = self.padding, self.stride, self.dilation, self.groups
        weight = self._packed(self.weight, geometry, x.shape)
        if residual is None:
            relu = 'relu' if self.relu else 'none'
            return onednn._convolution_pointwise(x, weight, self.bias, *geometry, relu, [], '')
        relu = 'relu' if self.relu else None
        if not overwrite and residual.shape[2:] == (1, 1):  # oneDNN refuses one's format then
            residual, overwrite = residual.clone(), True
        add = onednn._convolution_pointwise_ if overwrite else onednn._convolution_pointwise
        args = (residual, x) if overwrite else (x, residual)
        return add.binary(*args, weight, self.bias, *geometry, 'add', 1.0, relu, [], '')


class _Packed:
    """A convolution's weight in oneDNN's own layouts.

    oneDNN chooses the layout by the input's shape, and converts one of another layout in every pass, which
    can take half as long as the pass itself. Some three layouts serve all shapes.
    """

    def __init__(self):
        self._source = None

    def __call__(self, weight: Tensor, geometry: tuple, shape: torch.Size) -> Tensor:
        """The weight for inputs of that shape."""
        source = weight.data_ptr(), weight.dtype, weight._version
        if self._source != source:
            self._source, self._of_shape, self._of_layout = source, {}, {}
        if shape not in self._of_shape:
            packed = torch.ops.mkldnn._reorder_convolution_weight(weight, *geometry, shape)
            layout = bytes(torch.ops.mkldnn._get_mkldnn_serialized_md(packed).tolist())
            self._of_shape[shape] = self._of_layout.setdefault(layout, packed)
        return self._of_shape[shape]


def _has_onednn(x: Tensor) -> bool:
    """Whether oneDNN computes with such tensors."""
    onednn = torch.backends.mkldnn
    if x.device.type != 'cpu' or not onednn.enabled or not onednn.is_available():
        return False
    return x.dtype is torch.float32 or (
        x.dtype is torch.bfloat16 and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    )


def fuse_step(conv: nn.Module, norm: nn.Module, relu: bool = False) -> tuple[nn.Module, nn.Module]:
    """Make one of a convolution, its normalisation and, with ``relu``, the ReLU after it.

    Returns:
        tuple[nn.Module, nn.Module]: A :class:`FusedConv2d` and ``nn.Identity``, or the two modules themselves
        where they can't be fused (a deformable convolution, a normalisation by group).
    """
    return (FusedConv2d(conv, norm, relu), nn.Identity()) if can_fold(conv, norm) else (conv, norm)


class ConvNorms(nn.Sequential):
    """As :class:`torch.nn.Sequential`, but a convolution, its normalisation and a ReLU are one step."""

    def forward(self, x: Tensor) -> Tensor:
        """Run the layers."""
        for (_, layer), (_, norm), (_, relu) in self._steps():
            x = layer(x) if norm is None else conv_norm(layer, norm, x, relu=relu is not None)
        return x

    def fuse(self) -> None:
        """Put the steps into inference form."""
        for (name, layer), (norm_name, norm), (relu_name, relu) in list(self._steps()):
            if norm is not None and can_fold(layer, norm):
                self._modules[name] = FusedConv2d(layer, norm, relu is not None)
                del self._modules[norm_name]
                if relu is not None:
                    del self._modules[relu_name]

    def _steps(self) -> Iterator[tuple[tuple[str, nn.Module | None], ...]]:
        """The layers with the normalisation and the ReLU that belong to them, all with their names."""
        layers = list(self._modules.items())
        while layers:
            step = [layers.pop(0), ('', None), ('', None)]
            if layers and is_norm(layers[0][1]):
                step[1] = layers.pop(0)
                if layers and isinstance(layers[0][1], nn.ReLU):
                    step[2] = layers.pop(0)
            yield tuple(step)


def build_conv_norm(
    in_channels: int,
    out_channels: int,
    kernel_size: int,
    stride: int = 1,
    *,
    relu: bool = True,
    names: tuple[str, str, str] = ('0', '1', '2'),
    conv_cfg: dict | None = None,
    norm_cfg: dict | None = None,
) -> ConvNorms:
    """Build a convolution that keeps the size (less the stride), its normalisation and perhaps a ReLU.

    Args:
        in_channels (int): Channels of the input.
        out_channels (int): Channels of the output.
        kernel_size (int): Size of the kernel, odd.
        stride (int): The stride. Default: 1.
        relu (bool): Whether a ReLU follows. Default: True.
        names (tuple[str, str, str]): What the three are called in a state dict. Default: their numbers.
        conv_cfg (dict, optional): Config of the convolution. Default: None (Conv2d).
        norm_cfg (dict, optional): Config of the normalisation. Default: BN.
    """
    conv = build_conv_layer(
        conv_cfg, in_channels, out_channels, kernel_size, stride, kernel_size // 2, bias=False
    )
    layers = [conv, build_norm_layer(norm_cfg or dict(type='BN'), out_channels)[1]]
    if relu:
        layers.append(nn.ReLU(inplace=True))
    return ConvNorms(OrderedDict(zip(names, layers)))
