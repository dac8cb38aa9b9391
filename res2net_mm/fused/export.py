"""Networks as files that run without this package: ONNX, and PyTorch's own exported programs."""

import json
import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from mmengine.utils import digit_version
from torch import Tensor
from torch.export import Dim, ExportedProgram

from ..checkpoints import load_pretrained, safe_loading
from ..errors import UserError
from ..files import replacing
from ..models.backbone import Backbone, StagedBackbone
from ..preflight import check_names
from . import fuse
from .network import FusedBackbone, in_channels

FORMATS = {'.onnx': ('onnx', 'onnxruntime', 'onnxscript'), '.pt2': ()}  # and the packages that each needs
OPSET = 18
TOLERANCE = 1e-4
TRACED = (2, 128, 160)  # batch, height, width; no feature map has one row, which would be taken for fixed
CHECKED = (1, 97, 131), (3, 64, 96)


def check_format(path: str | Path) -> None:
    """Check that a file's name says a format, and that what writing it takes is installed.

    Raises:
        UserError: If not.
    """
    suffix = Path(path).suffix
    if suffix not in FORMATS:
        raise UserError(f'{path}: the name must end in {" or ".join(FORMATS)}')
    if digit_version(torch.__version__) < digit_version('2.10'):
        raise UserError(f'exporting needs PyTorch 2.10 or later, and this is {torch.__version__}')
    if missing := [package for package in FORMATS[suffix] if find_spec(package) is None]:
        raise UserError(f'writing {suffix} needs {", ".join(missing)}: pip install {" ".join(missing)}')


def load_backbone(cfg: Config, checkpoint: str | None = None) -> tuple[Backbone, str]:
    """Build a config's ``model.backbone``.

    Args:
        cfg (Config): The config, of any toolbox.
        checkpoint (str, optional): A whole model's or a backbone's, see
            :func:`res2net_mm.checkpoints.load_pretrained`. Default: None (weights as ``init_cfg`` says).

    Returns:
        tuple[Backbone, str]: The network, and where its weights are from.

    Raises:
        UserError: If there is no such backbone, it isn't this package's, or the checkpoint isn't its.
    """
    backbone = (cfg.get('model') or {}).get('backbone')
    if not backbone:
        raise UserError('the config has no model.backbone')
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope')), safe_loading():
        check_names(Config(dict(default_scope=cfg.get('default_scope'), model=dict(backbone=backbone))))
        network = MODELS.build(backbone)
        if not isinstance(network, Backbone):
            raise UserError(
                f"the config's model.backbone is {type(network).__module__}.{type(network).__name__}, "
                "which is none of this package's networks"
            )
        if checkpoint:
            load_pretrained(network, checkpoint)
            return network, str(checkpoint)
        network.init_weights()
    cfgs = backbone.get('init_cfg') or []
    pretrained = [c['checkpoint'] for c in (cfgs if isinstance(cfgs, list) else [cfgs]) if 'checkpoint' in c]
    weights = ', '.join(map(str, pretrained))
    return network, weights or 'RANDOM (no checkpoint, and none in model.backbone.init_cfg)'


def describe_input(cfg: Config) -> dict[str, str]:
    """What images a config's backbone expects, as its data preprocessor makes them; empty if it has none."""
    given = {**(cfg.get('data_preprocessor') or {}), **(cfg.model.get('data_preprocessor') or {})}
    if not given.get('mean') or not given.get('std'):
        return {}
    order = 'RGB' if given.get('bgr_to_rgb') or given.get('to_rgb') else 'BGR'
    channels = len(given['mean'])
    if (cfg.model.get('backbone') or {}).get('in_channels', 3) not in (channels, 3):
        return {}
    order = {1: 'gray', 3: order}.get(channels, f'{channels} channels')
    mean, std = (', '.join(f'{value:g}' for value in given[key]) for key in ('mean', 'std'))
    return dict(input=f'{order} in 0...255, less ({mean}), divided by ({std})')


def export(
    network: Backbone, path: str | Path, metadata: Mapping[str, str] | None = None
) -> tuple[float, dict[str, tuple[int, int]]]:
    """Write a network, fused, to a file that is checked to compute what the network does.

    Batch, height and width are free; in a ``.pt2`` the last feature map must have more than one row and
    column. The outputs are the network's feature maps in their order, in ONNX under the stages' names.
    Whoever runs the file has ``torch.export.load(path).module()`` or
    ``onnxruntime.InferenceSession(path)``, and needs nothing else.

    Args:
        network (Backbone): Any of this package's networks; it goes to the CPU. Its fused form takes over its
            modules: it is no longer to be used.
        path (str | Path): ``NAME.onnx`` or ``NAME.pt2``.
        metadata (Mapping[str, str], optional): What the file is to say beside the network's name and strides:
            in ONNX as its metadata, in a ``.pt2`` as its extra file ``metadata.json``. Default: nothing.

    Returns:
        tuple[float, dict]: The largest difference found, by the largest value of the feature map it is
        in, and each feature map's channels and stride.

    Raises:
        UserError: If the network can't be exported, the file can't be written, or it computes something else.

    Example:
        >>> import torch
        >>> from res2net_mm.fused.export import export
        >>> from res2net_mm.models import Res2Net
        >>> network = Res2Net(depth=(1, 1), base_channels=4, num_stages=2, out_indices=(0, 1))
        >>> path = getfixture('tmp_path') / 'network.pt2'
        >>> difference, feature_maps = export(network, path)
        >>> feature_maps
        {'layer1': (16, 4), 'layer2': (32, 8)}
        >>> [tuple(x.shape) for x in torch.export.load(path).module()(torch.rand(1, 3, 64, 96))]
        [(1, 16, 16, 24), (1, 32, 8, 12)]
    """
    path = Path(path)
    check_format(path)
    if any(hasattr(module, 'conv_offset') for module in network.modules()):
        raise UserError(
            "deformable convolutions can't be exported: mmcv's have no counterpart in PyTorch or ONNX"
        )
    network.eval().cpu()
    generator = torch.Generator().manual_seed(0)
    images = [torch.randn(n, in_channels(network), h, w, generator=generator) for n, h, w in CHECKED]
    with torch.no_grad():
        expected = [_as_tuple(network(x)) for x in images]  # it is fused below
        program = _trace(fuse(network))
    names = _names(network)
    height = CHECKED[-1][1]  # which all strides divide
    feature_maps = {name: (x.shape[1], height // x.shape[2]) for name, x in zip(names, expected[-1])}
    metadata = {
        'network': type(network).__name__,
        'strides': ', '.join(str(stride) for _, stride in feature_maps.values()),
        **(metadata or {}),
    }
    write = _write_onnx if path.suffix == '.onnx' else _write_program
    try:
        with replacing(path) as part, warnings.catch_warnings():
            warnings.simplefilter('ignore')  # of PyTorch's about its own ways
            run = write(program, part, names, metadata)
            difference = max(_difference(run(x), y) for x, y in zip(images, expected))
            if not difference <= TOLERANCE:
                raise UserError(
                    f'{path} was not written: what it computes differs from the network by {difference:.1e} '
                    "of a feature map's largest value"
                )
    except OSError as error:
        raise UserError(f'could not write {path}: {error.strerror or error}') from None
    return difference, feature_maps


def _names(network: Backbone) -> list[str]:
    if isinstance(network, StagedBackbone):
        stem = ['stem'] if getattr(network, 'out_stem', False) else []
        return stem + [name for i, name in enumerate(network.stages) if i in network.out_indices]
    return [network.stage]


def _as_tuple(outs: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return outs if isinstance(outs, tuple) else (outs,)


def _difference(outs: Sequence[Tensor], expected: Sequence[Tensor]) -> float:
    """The largest difference, by the largest value; infinite for other shapes or not a number."""
    if [m.shape for m in outs] != [m.shape for m in expected]:
        return float('inf')
    by_output = torch.stack(
        [(a - b).abs().max() / b.abs().max().clamp(min=1e-12) for a, b in zip(outs, expected)]
    )
    return float(by_output.nan_to_num(float('inf')).max())


def _trace(network: FusedBackbone) -> ExportedProgram:
    n, height, width = TRACED
    free = dict.fromkeys((0, 2, 3), Dim.DYNAMIC)
    program = torch.export.export(
        network,
        (torch.zeros(n, network.in_channels, height, width),),
        dynamic_shapes=(free,),
        prefer_deferred_runtime_asserts_over_guards=True,
    )
    # To know the size after a pooling PyTorch asks whether the input's is even, and notes the answer as a
    # condition on all images, though the size follows from the same formula either way.
    graph = program.graph
    for node in list(graph.nodes):
        if node.target is torch.ops.aten._assert_scalar.default:
            graph.erase_node(node)
    graph.eliminate_dead_code()
    program.graph_module.recompile()
    return program


def _write_program(program: ExportedProgram, path: Path, names: list[str], metadata: dict) -> Callable:
    """Write a ``.pt2``; return what runs it."""
    with path.open('wb') as file:
        torch.export.save(program, file, extra_files={'metadata.json': json.dumps(metadata)})
    with path.open('rb') as file:
        module = torch.export.load(file).module()

    def run(x: Tensor) -> tuple[Tensor, ...]:
        with torch.no_grad():
            return _as_tuple(module(x))

    return run


def _write_onnx(program: ExportedProgram, path: Path, names: list[str], metadata: dict) -> Callable:
    """Write ONNX; return what runs it."""
    import onnx
    import onnxruntime

    log = logging.getLogger('torch.onnx')
    level = log.level
    log.setLevel(logging.ERROR)  # it tells of torchvision's operators, which no network here has
    try:
        onnx_program = torch.onnx.export(
            program,
            dynamo=True,
            opset_version=OPSET,
            input_names=['input'],
            output_names=names,
            dynamic_shapes=({0: 'batch', 2: 'height', 3: 'width'},),
            verbose=False,
        )
    finally:
        log.setLevel(level)
    onnx_program.model.metadata_props.update(metadata)
    onnx_program.save(path)
    onnx.checker.check_model(str(path), full_check=True)
    session = onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
    return lambda x: [torch.from_numpy(y) for y in session.run(None, {'input': x.numpy()})]
