"""Small age networks: four valid convolutions with average pooling on 200×200 gray pixels.

Source: M. Bassani, age detection part of the same course project as `mien.published.networks.plain_cnn`:
422,695 parameters (57.65 % of seven ranges on UTKFace) and 64,983 (54.09 %).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import nn

from mien.networks.multi_head import GlobalAveragePool, MultiHeadNetwork, initialise_as_keras


def age_cnn(heads: Mapping[str, int], *, filters: Sequence[int], dense: int) -> nn.Module:
    """3×3 convolutions of ``filters`` with ReLU and 2×2 average pooling, global average, one dense layer."""
    layers: list[nn.Module] = []
    width = 1
    for outputs in filters:
        layers += [nn.Conv2d(width, outputs, 3), nn.ReLU(), nn.AvgPool2d(2)]
        width = outputs
    layers += [GlobalAveragePool(), nn.Linear(width, dense), nn.ReLU()]
    module = MultiHeadNetwork(nn.Sequential(*layers), dense, heads)
    initialise_as_keras(module)
    return module
