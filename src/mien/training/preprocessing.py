"""`mien.models.preprocessing` on torch tensors: in two steps, because augmentation comes between them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def unit_range(images: Tensor) -> Tensor:
    """uint8 0-255 → float32 0-1, any shape."""
    return images.float() / 255


class Normalize(nn.Module):
    """``(images - mean) / std`` per channel of images 0-1 ``(n, c, h, w)``; gray is repeated for three channels.

    Args:
        mean: of the channels of the network.
        std: the same, above 0.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        # not in checkpoints: the recipe beside them holds both
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Images 0-1 → inputs of the network."""
        return (images - self.mean) / self.std
