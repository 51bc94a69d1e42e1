"""The VGG13 that FER+ was introduced with: the yardstick of that label set.

Paper: Barsoum, Zhang, Canton Ferrer & Zhang 2016, "Training Deep Networks for Facial Expression Recognition with
Crowd-Sourced Label Distribution" (arXiv 1608.01041): 64×64 gray, ten 3×3 convolutions (64, 64 | 128, 128 | 256 ×3 |
256 ×3), max-pooling and dropout 0.25 after each group, two dense layers of 1024 with dropout 0.5. Counted here:
8,757,704 parameters for 8 classes.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from mien.networks.multi_head import MultiHeadNetwork, initialise_as_keras

GROUPS = ((64, 2), (128, 2), (256, 3), (256, 3))
"""(filters, convolutions) of each group."""


def ferplus_vgg13(heads: Mapping[str, int]) -> nn.Module:
    """The network over gray pixels of 64×64."""
    layers: list[nn.Module] = []
    width = 1
    for filters, count in GROUPS:
        for _ in range(count):
            layers += [nn.Conv2d(width, filters, 3, padding=1), nn.ReLU()]
            width = filters
        layers += [nn.MaxPool2d(2), nn.Dropout(0.25)]
    layers.append(nn.Flatten())
    width *= 4 * 4
    for _ in range(2):
        layers += [nn.Linear(width, 1024), nn.ReLU(), nn.Dropout(0.5)]
        width = 1024
    module = MultiHeadNetwork(nn.Sequential(*layers), width, heads)
    # Glorot-uniform kernels, zero biases: the paper's toolkit starts the same way
    initialise_as_keras(module)
    return module
