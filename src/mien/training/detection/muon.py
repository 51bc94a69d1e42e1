"""Muon: momentum whose update is made orthogonal, for convolution kernels.

Source:
    Jordan et al., Muon: An optimizer for hidden layers in neural networks (2024); the factor that gives its update the
    size of AdamW's is Liu et al., Muon is Scalable for LLM Training (2025).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

_A, _B, _C = 3.4445, -4.7750, 2.0315
"""Coefficients of the Newton–Schulz iteration of the source."""


class Muon(torch.optim.Optimizer):
    """Muon for parameters of two or more dimensions; all but the first count as one.

    Args:
        parameters: kernels.
        lr: learning rate, on AdamW's scale.
        momentum: share of the momentum that a step keeps.
        weight_decay: decoupled, times the learning rate.
        steps: Newton–Schulz iterations.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        lr: float = 0.0,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
        steps: int = 5,
    ) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "steps": steps})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One step from the gradients as they are."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state["momentum"] = torch.zeros_like(parameter)
                average = state["momentum"]
                average.lerp_(parameter.grad, 1 - group["momentum"])
                ahead = parameter.grad.lerp(average, group["momentum"])
                update = orthogonal(ahead.flatten(1), group["steps"])
                size = 0.2 * max(update.shape) ** 0.5
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                parameter.add_(update.view_as(parameter), alpha=-group["lr"] * size)


def orthogonal(matrix: Tensor, steps: int = 5) -> Tensor:
    """The matrix ``(rows, columns)`` with its singular values brought near 1."""
    wide = matrix.shape[0] > matrix.shape[1]
    x: Tensor = matrix.T if wide else matrix
    x = x / (x.norm() + 1e-7)
    for _ in range(steps):
        gram = x @ x.T
        x = _A * x + (_B * gram + _C * gram @ gram) @ x
    return x.T if wide else x
