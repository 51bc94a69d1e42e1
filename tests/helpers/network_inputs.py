"""Random inputs of a network of the tables."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mien.networks.spec import NetworkSpec


def example(row: NetworkSpec, n: int, seed: int = 0) -> tuple[Tensor, dict[str, Tensor]]:
    """``n`` images and feature vectors."""
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randn(n, 1 if row.channels == "gray" else 3, row.size, row.size, generator=generator)
    return pixels, {name: torch.randn(n, length, generator=generator) for name, length in row.features.items()}


def run(module: nn.Module, x: Tensor, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The logits of a network, with or without features."""
    logits: dict[str, Tensor] = module(x, features) if features else module(x)
    return logits
