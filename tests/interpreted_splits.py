"""Runs the networks' splits by Triton's interpreter, which stands for a GPU: see test_splits.py.

It is a process of its own, as Triton looks at TRITON_INTERPRET when it is imported.
"""

import torch
from helpers import randomize
from networks import NETWORKS

from res2net_mm.fused import FusedBottle2neck, cpu, cuda, fuse, splits

ran = []


def convolve_splits(x, convs, *arguments):
    ran.append(arguments)
    return splits.convolve_splits(x.contiguous(memory_format=torch.channels_last), convs, *arguments)


if __name__ == '__main__':
    splits.try_out(torch.device('cpu'))
    cpu.has_onednn = lambda x: False
    cuda.triton_splits = lambda x: type('stand-in', (), dict(convolve_splits=convolve_splits))
    for name, build in NETWORKS.items():
        torch.manual_seed(0)
        network = randomize(build())
        shape = (2, 256, 7, 9) if name == 'one stage' else (1, 3, 40, 33)
        x = torch.rand(*shape, generator=torch.Generator().manual_seed(1))
        with torch.no_grad():
            expected = network(x)
            fused = fuse(network)
            for block in fused.modules():
                if isinstance(block, FusedBottle2neck) and block.can_align():
                    block.width = cuda.align(block.conv1, block.convs, block.conv3, block.scales)
                    block.aligned = True
            ran.clear()
            outs = fused(x)
        if isinstance(outs, torch.Tensor):
            outs, expected = [outs], [expected]
        error = max(float((a - b).abs().max() / b.abs().max()) for a, b in zip(outs, expected, strict=True))
        print(f'{name}: {error:.1e} {len(ran)} {len(set(ran))}')
