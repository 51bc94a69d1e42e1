"""The networks of an architecture search on FER2013, from a single convolution to seven.

Source: Amin, Chase & Sinha, "Touchy Feely: An Emotion Recognition Challenge" (Stanford course report), on raw 48×48
gray pixels. The report lists the layers of its five networks and states kernel (4), padding (3 and 1 in turn), dropout
(0.2) and the dense width (1024) of the last. Chosen here, because the report does not state them:

- baseline: one 3×3 convolution of 32 filters, ReLU, and the output layer;
- pooled, ``[conv relu]×3 [maxpool] [fc relu]×2``: 3×3 convolutions of 32, 32 and 64 filters, one 2×2 pooling after the
  third, dense layers of 1024 and 256;
- normed, ``[conv relu bn maxpool]×4 [fc relu dropout]×3``: 3×3 convolutions of 32, 64, 128 and 256 filters, dense
  layers of 1024, 512 and 256, dropout 0.5;
- lean, ``[conv relu conv mp bn] [conv relu convx2 mp]×2 [fc]``: 3×3 convolutions of 32 and 32, then 64 three times,
  then 128 three times; ReLU only where the report has it; one dense layer, the output;
- final, ``[conv bn relu drop] [conv bn relu ×2 mp drop]×3 [fc bn relu drop]×2``: 64 filters in every convolution (the
  report's best configuration has "constant filter numbers", without the number).
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from mien.networks.multi_head import MultiHeadNetwork

WIDTH = 64
"""Filters of every convolution of the final network."""
DROPOUT = 0.2


def baseline_network(heads: Mapping[str, int]) -> nn.Module:
    """One convolution and the output layer."""
    return MultiHeadNetwork(nn.Sequential(nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.Flatten()), 32 * 48 * 48, heads)


def pooled_network(heads: Mapping[str, int]) -> nn.Module:
    """Three convolutions, one pooling, two dense layers."""
    layers: list[nn.Module] = []
    width = 1
    for filters in (32, 32, 64):
        layers += [nn.Conv2d(width, filters, 3, padding=1), nn.ReLU()]
        width = filters
    layers += [nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64 * 24 * 24, 1024), nn.ReLU(), nn.Linear(1024, 256), nn.ReLU()]
    return MultiHeadNetwork(nn.Sequential(*layers), 256, heads)


def normed_network(heads: Mapping[str, int], dropout: float = 0.5) -> nn.Module:
    """Four convolutions with batch norm and pooling, three dense layers with dropout."""
    layers: list[nn.Module] = []
    width = 1
    for filters in (32, 64, 128, 256):
        layers += [nn.Conv2d(width, filters, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(filters), nn.MaxPool2d(2)]
        width = filters
    layers.append(nn.Flatten())
    width = 256 * 3 * 3
    for units in (1024, 512, 256):
        layers += [nn.Linear(width, units), nn.ReLU(), nn.Dropout(dropout)]
        width = units
    return MultiHeadNetwork(nn.Sequential(*layers), width, heads)


def lean_network(heads: Mapping[str, int]) -> nn.Module:
    """Eight convolutions, three poolings, hardly any normalisation, no dense layer but the output."""
    layers: list[nn.Module] = [
        nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 32, 3, padding=1), nn.MaxPool2d(2), nn.BatchNorm2d(32),
    ]  # fmt: skip
    width = 32
    for filters in (64, 128):
        layers += [nn.Conv2d(width, filters, 3, padding=1), nn.ReLU(), nn.Conv2d(filters, filters, 3, padding=1)]
        layers += [nn.Conv2d(filters, filters, 3, padding=1), nn.MaxPool2d(2)]
        width = filters
    return MultiHeadNetwork(nn.Sequential(*layers, nn.Flatten()), width * 6 * 6, heads)


def final_network(heads: Mapping[str, int], dropout: float = DROPOUT) -> nn.Module:
    """Seven 4×4 convolutions with batch norm and dropout, two dense layers of 1024."""
    layers: list[nn.Module] = []
    width, side = 1, 48
    for i in range(7):
        padding = 1 if i % 2 else 3
        layers += [nn.Conv2d(width, WIDTH, 4, padding=padding), nn.BatchNorm2d(WIDTH), nn.ReLU()]
        width, side = WIDTH, side + 2 * padding - 3
        if i and i % 2 == 0:
            layers.append(nn.MaxPool2d(2))
            side //= 2
        if i % 2 == 0:
            layers.append(nn.Dropout(dropout))
    layers.append(nn.Flatten())
    width *= side * side
    for _ in range(2):
        layers += [nn.Linear(width, 1024), nn.BatchNorm1d(1024), nn.ReLU(), nn.Dropout(dropout)]
        width = 1024
    return MultiHeadNetwork(nn.Sequential(*layers), width, heads)
