"""A trunk with one linear layer per head, and the initial weights of other frameworks."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn


class MultiHeadNetwork(nn.Module):
    """A trunk that ends in a vector, and one linear layer per head on it.

    Args:
        trunk: ``(n, channels, size, size)`` → ``(n, width)``.
        width: length of the trunk's vector.
        heads: head name → number of classes.
    """

    def __init__(self, trunk: nn.Module, width: int, heads: Mapping[str, int]) -> None:
        super().__init__()
        self.trunk = trunk
        self.heads = nn.ModuleDict({name: nn.Linear(width, classes) for name, classes in heads.items()})

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """``(n, channels, size, size)`` normalised → head name → ``(n, classes)`` logits."""
        y = self.trunk(x)
        return {name: head(y) for name, head in self.heads.items()}


class GlobalAveragePool(nn.Module):
    """Mean over both spatial axes."""

    def forward(self, x: Tensor) -> Tensor:
        """``(n, c, h, w)`` → ``(n, c)``."""
        return x.mean((2, 3))


def keras_batch_norm(channels: int, *, flat: bool = False) -> nn.Module:
    """Batch normalisation with Keras' constants (momentum 0.99 there is 0.01 here); ``flat`` for vectors."""
    return (nn.BatchNorm1d if flat else nn.BatchNorm2d)(channels, eps=1e-3, momentum=0.01)


def initialise_as_keras(module: nn.Module, *, he: bool = False) -> None:
    """Keras' initial weights: Glorot-uniform kernels (He-normal convolutions if ``he``) and zero biases."""
    for layer in module.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            if he and isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            else:
                nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
