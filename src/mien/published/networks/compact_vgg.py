"""Compact VGG on label distributions: two or three 3×3 convolutions per block, global average pooling.

Source: "Facial Emotion Recognition with CNNs in TensorFlow" (blog post of a university project), its final model:
100×100 RGB (gray repeated), 670,183 parameters of which 668,583 are trained.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from mien.networks.multi_head import GlobalAveragePool, MultiHeadNetwork, initialise_as_keras, keras_batch_norm

BLOCKS = ((64, 64), (96, 96, 96), (128, 128, 128))
"""Filters of the convolutions of each block."""


def compact_vgg(heads: Mapping[str, int]) -> nn.Module:
    """The network for RGB images of 100×100 pixels."""
    layers: list[nn.Module] = []
    width = 3
    for i, block in enumerate(BLOCKS):
        if i:
            layers.append(nn.MaxPool2d(3, 3))
        for filters in block:
            layers += [nn.Conv2d(width, filters, 3, padding=1), keras_batch_norm(filters), nn.ReLU()]
            width = filters
    module = MultiHeadNetwork(nn.Sequential(*layers, GlobalAveragePool()), width, heads)
    initialise_as_keras(module, he=True)
    return module
