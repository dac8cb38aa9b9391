"""Focal loss (Lin et al., ICCV 2017) on integer labels, and its gradient."""

import torch
from torch import Tensor
from torch.nn import functional as F

from .precision import as_computed


def sigmoid_focal_loss_forward(
    input: Tensor, target: Tensor, weight: Tensor, output: Tensor, gamma: float, alpha: float
) -> None:
    """Binary focal loss of each class.

    Args:
        input (Tensor): (N, C), logits.
        target (Tensor): (N,), int64, the class; any other number is background.
        weight (Tensor): (C,) of the samples' classes, 1 for background; or empty.
        output (Tensor): (N, C), written to.
        gamma (float): How much well classified samples count less.
        alpha (float): Weight of the class, 1 - ``alpha`` that of all others.
    """
    _, logit, scale = _of_truth(input, target, weight, alpha)
    output.copy_(-scale * torch.sigmoid(-logit) ** gamma * F.logsigmoid(logit))


def sigmoid_focal_loss_backward(
    input: Tensor, target: Tensor, weight: Tensor, grad_input: Tensor, gamma: float, alpha: float
) -> None:
    """Gradient of :func:`sigmoid_focal_loss_forward`, written to ``grad_input``, (N, C)."""
    is_class, logit, scale = _of_truth(input, target, weight, alpha)
    p = torch.sigmoid(logit)
    grad = scale * torch.sigmoid(-logit) ** gamma * (gamma * p * F.logsigmoid(logit) - (1 - p))
    grad_input.copy_(torch.where(is_class, grad, -grad))


def _of_truth(input: Tensor, target: Tensor, weight: Tensor, alpha: float) -> tuple[Tensor, Tensor, Tensor]:
    """Where a class is the sample's, the logits of what is true, and the weights, each (N, C) or wider."""
    (input,) = as_computed(input)
    is_class = target[:, None] == torch.arange(input.shape[1], device=input.device)
    logit = torch.where(is_class, input, -input)
    scale = torch.where(is_class, alpha, 1 - alpha).to(input.dtype)
    if weight.numel():
        scale = scale * _of_class(weight.to(input.dtype), target)[:, None]
    return is_class, logit, scale


def softmax_focal_loss_forward(
    softmax: Tensor, target: Tensor, weight: Tensor, output: Tensor, gamma: float, alpha: float
) -> None:
    """Focal loss of each sample's class.

    Args:
        softmax (Tensor): (N, C), probabilities.
        target (Tensor): (N,), int64, the class; negative if the sample doesn't count.
        weight (Tensor): (C,) of the classes, or empty.
        output (Tensor): (N,), written to.
        gamma (float): How much well classified samples count less.
        alpha (float): Weight of the loss.
    """
    p, scale = _probability(softmax, target, weight, alpha)
    output.copy_(-scale * (1 - p) ** gamma * p.log())


def softmax_focal_loss_backward(
    softmax: Tensor,
    target: Tensor,
    weight: Tensor,
    buff: Tensor,
    grad_input: Tensor,
    gamma: float,
    alpha: float,
) -> None:
    """Gradient of :func:`softmax_focal_loss_forward` for the logits, written to ``grad_input``, (N, C)."""
    p, scale = _probability(softmax, target, weight, alpha)
    q = (1 - p).clamp_min(torch.finfo(p.dtype).tiny)  # to which gamma - 1, maybe negative, is an exponent
    grad = scale * (gamma * q ** (gamma - 1) * p * p.log() - q**gamma)
    is_class = target[:, None] == torch.arange(softmax.shape[1], device=softmax.device)
    grad_input.copy_(grad[:, None] * (is_class.to(p.dtype) - softmax))


def _probability(softmax: Tensor, target: Tensor, weight: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    """Probability of each sample's class, above 0, and the weight of its loss; each (N,)."""
    (softmax,) = as_computed(softmax)
    p = softmax.gather(1, target.clamp_min(0)[:, None])[:, 0].clamp_min(torch.finfo(torch.float32).tiny)
    scale = alpha * (target >= 0).to(p.dtype)
    return p, scale * _of_class(weight.to(p.dtype), target) if weight.numel() else scale


def _of_class(weight: Tensor, target: Tensor) -> Tensor:
    """Weights of the samples' classes, 1 where a sample has none."""
    known = (target >= 0) & (target < len(weight))
    return torch.where(known, weight[target.clamp(0, len(weight) - 1)], 1)
