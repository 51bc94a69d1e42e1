"""Batch norms of an exported network, which the export folds into the convolutions before them, taken apart again.

Training needs them: with them every layer sees inputs of one size, whatever the layers before it learn. Each norm gets
the mean and variance of its input on training images, and a scale and shift that undo them, so that the network still
computes what the export computes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn


@dataclass(slots=True, eq=False)
class FoldedNorm:
    """A convolution with the kernel of an export, and the batch norm after it.

    Attributes:
        convolution: has no bias of its own.
        norm: gets its statistics from `unfold`.
        offset: ``(channels,)`` bias of the exported convolution.
        factor: ``(channels,)`` or ``(1,)``: the exported convolution computes ``factor * y + offset``, where ``y`` is
            what ``convolution`` computes.
        count, total, squares: number, sums and sums of squares of ``y`` per channel.
    """

    convolution: nn.Conv2d
    norm: nn.BatchNorm2d
    offset: Tensor
    factor: Tensor = field(default_factory=lambda: torch.ones(1))
    count: int = 0
    total: Tensor = field(default_factory=lambda: torch.zeros(1, dtype=torch.float64))
    squares: Tensor = field(default_factory=lambda: torch.zeros(1, dtype=torch.float64))

    @torch.no_grad()
    def rescale(self, size: float) -> None:
        """Give the kernel this root mean square; the rest becomes the factor."""
        kernel = self.convolution.weight
        self.factor = kernel.square().mean(dim=(1, 2, 3)).sqrt().clamp(min=1e-6) / size
        kernel.div_(self.factor[:, None, None, None])

    def begin(self) -> None:
        """Statistics of no effect, until those of images are known."""
        self._set(torch.zeros_like(self.offset), torch.ones_like(self.offset))

    def observe(self, _: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        """Hook before the norm: measure its input."""
        y = inputs[0].double()
        self.count += y.numel() // y.shape[1]
        self.total = self.total + y.sum(dim=(0, 2, 3))
        self.squares = self.squares + y.square().sum(dim=(0, 2, 3))

    def finish(self) -> None:
        """Statistics of what was observed."""
        mean = self.total / self.count
        variance = (self.squares / self.count - mean.square()).clamp(min=0)
        self._set(mean.float(), variance.float())

    def _set(self, mean: Tensor, variance: Tensor) -> None:
        """Statistics with which the layer still computes ``factor * y + offset``."""
        state = self.norm.state_dict()
        state["running_mean"].copy_(mean)
        state["running_var"].copy_(variance)
        state["weight"].copy_(self.factor * (variance + self.norm.eps).sqrt())
        state["bias"].copy_(self.factor * mean + self.offset)


@torch.no_grad()
def unfold(network: nn.Module, layers: Iterable[FoldedNorm], batches: Iterable[Tensor]) -> int:
    """Give the norms of a network in evaluation mode the statistics of images.

    Args:
        network: with all its other weights.
        layers: its norms.
        batches: ``(n, c, h, w)`` inputs of the network.

    Returns:
        The number of images; with none the norms stay without effect.
    """
    layers = list(layers)
    for layer in layers:
        layer.begin()
    hooks = [layer.norm.register_forward_pre_hook(layer.observe) for layer in layers]
    measured = 0
    for batch in batches:
        network(batch)
        measured += len(batch)
    for hook in hooks:
        hook.remove()
    if measured:
        for layer in layers:
            layer.finish()
    return measured
