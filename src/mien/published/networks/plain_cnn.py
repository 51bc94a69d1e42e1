"""Plain convolutional networks of three and four blocks with fully connected layers.

Source: M. Bassani, "Facial Emotion Recognition model" (course report,
github.com/Matteo299/FacialEmotionRecognitionModel): the first network (2,863,495 trained parameters) and the larger one
with dropout (4,474,759), on 48×48 gray pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import nn

from mien.networks.multi_head import MultiHeadNetwork, initialise_as_keras, keras_batch_norm


def plain_cnn(
    heads: Mapping[str, int], *, convolutions: Sequence[tuple[int, int]], dense: Sequence[int], dropout: float = 0.0
) -> nn.Module:
    """Same-padded convolutions, each with batch norm, ReLU, 2×2 max-pooling; then dense layers with batch norm, ReLU.

    Args:
        heads: head name → number of classes.
        convolutions: (filters, kernel side) of each block.
        dense: widths of the fully connected layers before the heads.
        dropout: probability after every block and dense layer.
    """
    layers: list[nn.Module] = []
    width, side = 1, 48
    for filters, kernel in convolutions:
        layers += [nn.Conv2d(width, filters, kernel, padding=kernel // 2), keras_batch_norm(filters), nn.ReLU()]
        layers += [nn.MaxPool2d(2), *_drop(dropout)]
        width, side = filters, side // 2
    layers.append(nn.Flatten())
    width *= side * side
    for units in dense:
        layers += [nn.Linear(width, units), keras_batch_norm(units, flat=True), nn.ReLU(), *_drop(dropout)]
        width = units
    module = MultiHeadNetwork(nn.Sequential(*layers), width, heads)
    initialise_as_keras(module)
    return module


def _drop(probability: float) -> list[nn.Module]:
    return [nn.Dropout(probability)] if probability else []
