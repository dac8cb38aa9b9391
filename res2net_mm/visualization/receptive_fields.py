"""What each split of a Res2Net module sees: its effective receptive field (Luo et al., NeurIPS 2016)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from rich import box
from rich.table import Table
from torch import Tensor, nn

from ..errors import UserError
from ..lookup import did_you_mean
from ..models import Bottle2neck

MASS = 0.95  # of the gradient, that the side of an effective receptive field holds


@dataclass
class Split:
    """One split of a block.

    Attributes:
        index (int): The i of y_i in Sec. 3.1, whose y_1 has no convolution; in the blocks that is the last.
        response (Tensor): The split's output y_i for the first image, the mean of its channels, (H, W).
        in_block, in_image (Tensor): Sizes of the gradient of y_i's center with respect to the block's input
            and to the image, summed over channels and images, (h, w), of sum 1, with y_i's place in the
            middle of an odd number of rows and columns.
        theory (int): Side of the field within the block by Sec. 3.1, in places of the block's input.
    """

    index: int
    response: Tensor
    in_block: Tensor
    in_image: Tensor
    theory: int


def side(gradient: Tensor, mass: float = MASS) -> int:
    """Side of the smallest square in the middle of a map that holds a part of its sum.

    With ``mass=1`` it is that of all that isn't zero, to a millionth of the sum; 0 if everything is.
    """
    rows, columns = (torch.arange(n) - n // 2 for n in gradient.shape)
    distance = torch.maximum(rows.abs()[:, None], columns.abs())
    within = distance.flatten().bincount(gradient.flatten().double()).cumsum(0)
    return 2 * int((within < (mass - 1e-6) * within[-1]).sum()) + 1 if within[-1] else 0


def theoretical_sides(block: Bottle2neck) -> list[int]:
    """Sides of the fields of a block's splits within it, by Sec. 3.1, in the order of its channels.

    3, 5, 7 ... for the splits with a convolution (3 for all of them in a first block, where they aren't added
    to one another), then 1 for the last (3 where it is pooled); more with a dilation.
    """
    dilation = block.convs[0].dilation[0]
    sides = [1 + 2 * dilation * (1 if block.is_first else i + 1) for i in range(len(block.convs))]
    return sides + [1 if block.pool is None else 3] * (block.scales - len(sides))


def find_blocks(network: nn.Module, names: Sequence[str] | None = None) -> dict[str, Bottle2neck]:
    """Blocks of a network.

    Args:
        network (nn.Module): Any of this package's networks.
        names (Sequence[str], optional): Their names in it, such as ``layer1.1``. Default: None (of each stage
            the one in the middle of those after the first; all, if there are only first ones).

    Returns:
        dict[str, Bottle2neck]: The blocks, by their names.

    Raises:
        UserError: If there is no such block.
    """
    known = {name: m for name, m in network.named_modules() if isinstance(m, Bottle2neck)}
    if names is None:
        stages = {}
        for name, block in known.items():
            stages.setdefault(name.split('.')[0], []).extend([] if block.is_first else [name])
        names = [later[(len(later) - 1) // 2] for later in stages.values() if later] or list(known)
    for name in names:
        if name not in known:
            raise UserError(f'no block {name!r}{did_you_mean(name, known, most=4, cutoff=0)}')
    return {name: known[name] for name in names}


def measure(network: nn.Module, blocks: dict[str, Bottle2neck], images: Tensor) -> dict[str, list[Split]]:
    """Measure the receptive fields of blocks' splits, by the gradients of the centers of their outputs.

    Args:
        network (nn.Module): Any of this package's networks. It is put into eval mode: with the batch's
            statistics each output would depend on everything.
        blocks (dict[str, Bottle2neck]): Some of its blocks, by name.
        images (Tensor): Its input, (N, C, H, W).

    Returns:
        dict[str, list[Split]]: Each block's splits, in the order of its channels, on the CPU.
    """
    inputs, outputs, hooks = {}, {}, []
    for name, block in blocks.items():
        hooks += [
            block.register_forward_pre_hook(lambda _, args, name=name: inputs.update({name: args[0]})),
            block.conv3.register_forward_pre_hook(lambda _, args, name=name: outputs.update({name: args[0]})),
        ]
    images = images.detach().requires_grad_()
    network.eval()(images)
    for hook in hooks:
        hook.remove()

    fields = {}
    for name, block in blocks.items():
        indices = [*range(1, block.scales + 1)]
        if len(block.convs) < block.scales:
            indices.append(indices.pop(0))
        fields[name] = []
        ys = outputs[name].split(block.width, dim=1)
        for index, y, theory in zip(indices, ys, theoretical_sides(block)):
            center = y[:, :, y.shape[2] // 2, y.shape[3] // 2].sum()
            gradients = torch.autograd.grad(center, (inputs[name], images), retain_graph=True)
            sizes = (_around(gradient, y.shape).cpu() for gradient in gradients)
            fields[name].append(Split(index, y[0].detach().mean(0).cpu(), *sizes, theory))
    return fields


def _around(gradient: Tensor, shape: Sequence[int]) -> Tensor:
    """The size of a gradient around the place that an output's center has in its input."""
    sizes = gradient.abs().sum((0, 1))
    for dim in (0, 1):
        n = sizes.shape[dim]
        place = shape[dim + 2] // 2 * round(n / shape[dim + 2])
        radius = min(place, n - 1 - place)
        sizes = sizes.narrow(dim, place - radius, 2 * radius + 1)
    return sizes / sizes.sum().clamp(min=torch.finfo().tiny)  # no gradient where all of its outputs are 0


def table(fields: dict[str, list[Split]]) -> Table:
    """The sides of the splits' fields, by :func:`measure`, of each block."""
    scales = max(map(len, fields.values()))
    titles = ['block', 'side of the receptive field', *(f'y{i + 1}' for i in range(scales))]
    found = Table(*titles, box=box.SIMPLE)
    for block, splits in fields.items():
        splits = sorted(splits, key=lambda split: split.index)
        for what, value in {
            'in the block, by Sec. 3.1': lambda split: split.theory,
            'measured, all of the gradient': lambda split: side(split.in_block, 1),
            f'measured, {MASS:.0%} of it': lambda split: side(split.in_block),
            f'in the image (pixels), {MASS:.0%}': lambda split: side(split.in_image),
        }.items():
            found.add_row(block, what, *(str(value(split)) for split in splits))
            block = ''
        found.add_section()
    return found


def draw(fields: dict[str, list[Split]], title: str, responses: bool) -> Figure:
    """Draw the splits' fields, a row for each block.

    Args:
        fields (dict): The splits that :func:`measure` returned, by the blocks' names.
        title (str): What network, weights and images they are of.
        responses (bool): Whether to draw the splits' outputs, too.

    Returns:
        Figure: The figure. The squares hold :data:`MASS` of the gradient; colors go by its square root.
    """
    scales = max(map(len, fields.values()))
    window = max(split.theory for splits in fields.values() for split in splits) + 2
    groups = [
        f"gradient in the block's input, {MASS:.0%} within",
        f'gradient in the image, {MASS:.0%} within',
    ]
    groups += ['response to the first image'] * responses
    figure = Figure((0.95 * scales * len(groups) + 0.8, 1.05 * len(fields) + 0.9), layout='constrained')
    figure.suptitle(title, fontsize=9)
    for group, part in zip(groups, figure.subfigures(1, len(groups), squeeze=False)[0]):
        part.suptitle(group, fontsize=8)
        axes = part.subplots(len(fields), scales, squeeze=False)
        for ax in axes.flat:
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set_visible(False)
        for row, (block, splits) in zip(axes, fields.items()):
            row[0].set_ylabel(block if group == groups[0] else '', fontsize=8)
            extent = max(side(split.in_image) for split in splits) // 3 * 4 + 1
            for split in splits:
                ax = row[split.index - 1]
                if ax in axes[0]:
                    ax.set_title(f'$y_{split.index}$', fontsize=8)
                if group not in groups[:2]:
                    ax.imshow(split.response, cmap='viridis')
                    continue
                field, shown = (split.in_block, window) if group == groups[0] else (split.in_image, extent)
                radius, square = min(shown, *field.shape) // 2, side(field)
                limits = [-radius - 0.5, radius + 0.5] * 2
                middle = [slice(n // 2 - radius, n // 2 + radius + 1) for n in field.shape]
                ax.imshow(field[middle[0], middle[1]], cmap='magma', norm=PowerNorm(0.5), extent=limits)
                ax.add_patch(Rectangle([-square / 2] * 2, square, square, fill=False, color='white', lw=0.8))
                ax.set_xlabel(f'{square}' + ' px' * (field is split.in_image), fontsize=7, labelpad=2)
    return figure
