"""The networks that are timed: this package's and other packages'."""

from dataclasses import dataclass, field, replace
from importlib import import_module

from benchmark_jobs import AS_MMDET, RESNET
from mmengine.registry import MODELS
from torch import nn

from res2net_mm.results.paper import paper


@dataclass
class Candidate:
    """A network to time."""

    name: str
    network: dict  # its config; of timm's type='timm.NAME'
    baselines: tuple[str, ...] = ()  # the candidates whose time is divided by its
    fused: bool = False
    half: bool = False  # it computes in bfloat16, and takes images and gives feature maps of that type
    channels_last: bool = False  # its weights, and in inference images and feature maps, too
    convs_only: bool = False  # its convolutions one by one, without what is between them
    cuda_graph: bool = False  # it is replayed as one, in training as two; on a GPU alone
    amp: bool = False  # its forward is under bfloat16 autocast
    compiled: bool = False  # by torch.compile

    @property
    def package(self) -> str:
        return self.network['type'].partition('.')[0]

    def build(self) -> nn.Module:
        """The network, in training mode, on the CPU."""
        if self.package != 'timm':
            return MODELS.build(self.network)
        name = self.network['type'].partition('.')[2]
        return import_module('timm').create_model(name, features_only=True, out_indices=(1, 2, 3, 4))


@dataclass
class Benchmark:
    """Tables of one kind, one a shape of images."""

    help: str
    candidates: list[Candidate]
    shapes: list[tuple[int, ...]]
    gpu_shapes: list[tuple[int, ...]] | None = None  # on a GPU
    training: bool = False  # steps (forward and backward, no optimizer) instead of inference
    published: dict[str, float] = field(default_factory=dict)  # ratios by the names of baselines


def ours(**arguments) -> dict:
    return dict(type='res2net_mm.Res2Net', depth=50) | arguments


def theirs(package: str, **arguments) -> dict:
    own = dict(type=f'{package}.Res2Net', depth=50, scales=4, base_width=26, out_indices=(0, 1, 2, 3))
    return own | arguments


LAST, CONVS, HALF = dict(channels_last=True), dict(fused=True, convs_only=True), dict(fused=True, half=True)
GRAPHS = ', CUDA graphs'
FROZEN = dict(norm_eval=True, frozen_stages=1)  # as detectors are trained
W14S8 = dict(scales=8, base_width=14)
MMDET, MMDET_LAST = 'mmdet (its v1b variant)', 'mmdet, channels last'
LAST_AS_MMDET = 'v1b, as mmdet, channels last'
PLAIN = "plain form (the authors')"
v1b, resnet = ours(**AS_MMDET), ours(**RESNET)
mmdet = theirs('mmdet', norm_eval=False)  # its networks keep BN's statistics in training unless they are told


def as_mmdet(network: dict) -> list[Candidate]:
    """The forms of our network in training."""
    return [
        Candidate(name + form, network, (MMDET, MMDET_LAST), channels_last=last, cuda_graph=bool(form))
        for form in ('', GRAPHS)
        for name, last in (('v1b, as mmdet', False), (LAST_AS_MMDET, True))
    ]


OTHERS = [
    Candidate('timm', dict(type='timm.res2net50_26w_4s')),
    Candidate('mmpretrain', theirs('mmpretrain')),
    Candidate(MMDET, mmdet),
    Candidate('ResNet-50, mmdet', dict(type='mmdet.ResNet', depth=50, norm_eval=False)),
    Candidate(MMDET_LAST, mmdet, **LAST),
]
INFERENCE = [
    *OTHERS,
    Candidate('14w8s, mmdet', mmdet | W14S8),
    Candidate(PLAIN, ours()),
    Candidate('fused', ours(), (MMDET, 'mmpretrain', 'timm'), fused=True),
    Candidate('fused v1b, as mmdet', v1b, (MMDET,), fused=True),
    Candidate('fused v1b, as mmdet, channels last', v1b, (MMDET, MMDET_LAST), fused=True, **LAST),
    Candidate('fused 14w8s, as mmdet', v1b | W14S8, ('14w8s, mmdet',), fused=True),
    Candidate('fused, channels last', ours(), (MMDET,), fused=True, **LAST),
    Candidate('fused ResNet-50', resnet, ('fused',), fused=True),
    Candidate('its convolutions only', ours(), ('fused',), **CONVS),
    Candidate("ResNet-50's convolutions only", resnet, ('its convolutions only',), **CONVS),
    Candidate('fused, half', ours(), **HALF),
    Candidate('fused v1b as mmdet, half', v1b, (MMDET,), **HALF),
    Candidate('fused ResNet-50, half', resnet, **HALF),
]
TRAINING = [
    *OTHERS,
    Candidate('timm, channels last', OTHERS[0].network, **LAST),
    Candidate('Res2Net-50', ours(), ('mmpretrain', 'timm')),
    *as_mmdet(v1b),
    Candidate('ResNet-50', resnet),
]
FROZEN_TRAINING = [
    Candidate(MMDET, mmdet | FROZEN),
    Candidate(MMDET_LAST, mmdet | FROZEN, **LAST),
    *as_mmdet(v1b | FROZEN),
]
compiled = Candidate(f'{LAST_AS_MMDET}, compiled', v1b, (MMDET_LAST, LAST_AS_MMDET), compiled=True, **LAST)
COMPILED = [
    Candidate(MMDET_LAST, mmdet, **LAST),
    Candidate(LAST_AS_MMDET, v1b, (MMDET_LAST,), **LAST),
    compiled,
    replace(compiled, name=compiled.name + GRAPHS, cuda_graph=True),
]


def training(help: str, candidates: list[Candidate], amp: bool = False, detection: bool = False) -> Benchmark:
    gpu_shapes = [(4, 3, 800, 1344) if detection else (64, 3, 224, 224)]
    candidates = [replace(candidate, amp=amp) for candidate in candidates]
    return Benchmark(help, candidates, [(2, 3, 256, 256), (2, 3, 512, 512)], gpu_shapes, training=True)


def forms(cuda_graph: bool) -> list[Candidate]:
    """What a GPU is to run: each network in float32 (or TF32), then in bfloat16."""
    last = dict(cuda_graph=cuda_graph, **LAST)
    return [
        replace(
            candidate, name=candidate.name + form, half=half, baselines=tuple(b + form for b in baselines)
        )
        for form, half in (('', False), (', half', True))
        for candidate, baselines in (
            (Candidate(MMDET, mmdet, cuda_graph=cuda_graph), ()),
            (Candidate(MMDET_LAST, mmdet, **last), ()),
            (Candidate('timm, channels last', OTHERS[0].network, **last), ()),
            (Candidate('ResNet-50, mmdet, channels last', OTHERS[3].network, **last), ()),
            (Candidate('fused v1b, as mmdet', v1b, fused=True, **last), (MMDET, MMDET_LAST)),
            (Candidate('fused', ours(), fused=True, **last), (MMDET, 'timm, channels last')),
            (Candidate('fused ResNet-50', resnet, fused=True, **last), ('fused v1b, as mmdet',)),
        )
    ]


def table3() -> Benchmark:
    milliseconds = {}
    for row in paper()['tables']['3']['groups'][0]['rows']:
        network, setting = row['row']
        published = row.get('paper', [None, None])[1]
        if published:
            milliseconds[f'{network.split(" ")[0]} {setting}'] = float(published.removesuffix('ms'))
    resnet, *others = milliseconds
    candidates, ratios = [], {}
    for name in milliseconds:
        width, _, scales = name.split(' ')[-1].partition('×')
        network = ours(scales=int(scales.rstrip('s') or 1), base_width=int(width.rstrip('w')))
        for form, fused in (('', False), (', fused', True)):
            compared = tuple(other + form for other in others) if name == resnet else ()
            candidates.append(Candidate(name + form, network, compared, fused))
            ratios[name + form] = milliseconds[name] / milliseconds[resnet]
    text = "The runtimes of Table 3's networks: their ratios to ResNet-50 beside the paper's."
    return Benchmark(text, candidates, [(1, 3, 224, 224)], published=ratios)


def scales() -> Benchmark:
    candidates = []
    for s, w in ((1, 64), (2, 48), (4, 26), (6, 18), (8, 14)):
        setting = dict(scales=s, base_width=w)
        if s > 1:  # mmdet's has no scale 1
            candidates.append(Candidate(f'{w}w{s}s, {MMDET}', theirs('mmdet', **setting)))
        candidates.append(Candidate(f'{w}w{s}s', ours(**setting)))
        candidates.append(Candidate(f'{w}w{s}s, fused', ours(**setting), fused=True))
    return Benchmark('How the cost grows with the scale, at equal FLOPs.', candidates, [(2, 3, 512, 512)])


GPU_SHAPES = [(32, 3, 224, 224), (1, 3, 800, 1344), (1, 3, 224, 224)]
BENCHMARKS = {
    'inference': Benchmark(
        'The networks and other packages, at several sizes of images.',
        INFERENCE,
        [(1, 3, 224, 224), (2, 3, 512, 512), (1, 3, 800, 1333)],
    ),
    'training': training('A step of their training, forward and backward, and what it saves.', TRAINING),
    'amp': training('The same under bfloat16 autocast.', TRAINING, amp=True),
    'frozen': training('As detectors train: BN and the first stage frozen.', FROZEN_TRAINING, detection=True),
    'frozen-amp': training('The same under bfloat16 autocast.', FROZEN_TRAINING, amp=True, detection=True),
    'compiled': training('Under autocast and compiled, which takes minutes.', COMPILED, amp=True),
    'eager': Benchmark(
        'What a GPU runs: float32 (or TF32) and bfloat16, channels last.', forms(cuda_graph=False), GPU_SHAPES
    ),
    'graphs': Benchmark('The same, replayed as CUDA graphs (on a GPU).', forms(cuda_graph=True), GPU_SHAPES),
    'table3': table3(),
    'scales': scales(),
    'sizes': Benchmark(
        'How the cost grows with the size of the images.',
        [c for c in INFERENCE if c.name in (MMDET, PLAIN, 'fused', 'fused ResNet-50')],
        [(1, 3, side, side) for side in (160, 224, 320, 448, 640)],
    ),
}
