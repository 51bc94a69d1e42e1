"""Losses over soft targets."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def soft_cross_entropy(logits: Tensor, target: Tensor, weight: Tensor, total: Tensor | None = None) -> Tensor:
    """Mean over images of the cross-entropy with a distribution.

    Args:
        logits: ``(n, k)``.
        target: ``(n, k)`` distributions.
        weight: ``(n,)``; images of weight 0 do not count.
        total: divisor of the sum where the images are a part of a batch; None for the sum of their own weights.
    """
    loss = -(target * F.log_softmax(logits.float(), dim=1)).sum(dim=1)
    return (loss * weight).sum() / (weight.sum() if total is None else total).clamp_min(1e-6)


def distillation_loss(logits: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """KL divergence from the teacher's softened distribution, times temperature².

    Source:
        Hinton et al. 2015, "Distilling the Knowledge in a Neural Network".
    """
    student = F.log_softmax(logits.float() / temperature, dim=1)
    target = F.log_softmax(teacher.float() / temperature, dim=1)
    return F.kl_div(student, target, reduction="batchmean", log_target=True) * temperature**2
