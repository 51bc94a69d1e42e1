"""Pixels joined with feature vectors (landmarks, HOG) in a second branch.

Source: github.com/amineHorseman/facial-expression-recognition-using-cnn, "Facial expression recognition using CNN in
TensorFlow", models A and B: raw 48×48 gray pixels (0–255), each convolution followed by ReLU and then batch norm (which
is optional: the source's table shows its effect), dropout before the dense layers of the image branch. Without
features the image branch leads directly to the output. The source's library (TFLearn) pads "same" and starts
convolutions with variance 1 / fan-in and dense layers with a normal of 0.02 truncated at two standard deviations.

Feature vectors, one per name in `mien.published.features.FEATURES`, are in the units of their extractors (landmarks in
pixels of the crop); they are joined in the order of that table, whatever the order they come in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from mien.published.features import FEATURES

DROPOUT = 1 - 0.956
"""The source states the share of units that are kept."""


class FusionNetwork(nn.Module):
    """An image branch and, where there are features, a feature branch of two dense layers.

    Args:
        heads: head name → number of classes.
        convolutions: (filters, kernel side, whether 3×3 max-pooling of stride 2 follows) of each.
        dense: widths of the dense layers of the image branch.
        joint: width of both branches where they are concatenated.
        features: names of `mien.published.features.FEATURES`.
        batch_norm: after each convolution.
        dropout: probability before each dense layer of the image branch.
    """

    def __init__(
        self,
        heads: Mapping[str, int],
        *,
        convolutions: Sequence[tuple[int, int, bool]],
        dense: Sequence[int],
        joint: int,
        features: Sequence[str] = (),
        batch_norm: bool = True,
        dropout: float = DROPOUT,
    ) -> None:
        super().__init__()
        self.features = tuple(name for name in FEATURES if name in features)
        layers: list[nn.Module] = []
        width, side = 1, 48
        for filters, kernel, pooled in convolutions:
            before, after = (kernel - 1) // 2, kernel // 2
            layers += [nn.ZeroPad2d((before, after, before, after)), nn.Conv2d(width, filters, kernel), nn.ReLU()]
            if batch_norm:
                layers.append(nn.BatchNorm2d(filters))
            if pooled:
                layers.append(nn.MaxPool2d(3, 2, ceil_mode=True))
                side = -(-side // 2)
            width = filters
        layers.append(nn.Flatten())
        width *= side * side
        for units in dense:
            layers += [nn.Dropout(dropout), nn.Linear(width, units), nn.ReLU()]
            width = units
        self.image = nn.Sequential(*layers)
        self.project = nn.Sequential()
        self.extra = nn.Sequential()
        if self.features:
            self.project = nn.Sequential(nn.Linear(width, joint), nn.ReLU())
            length = sum(FEATURES[name].length for name in self.features)
            self.extra = nn.Sequential(nn.Linear(length, 1024), nn.ReLU(), nn.Linear(1024, joint), nn.ReLU())
            width = 2 * joint
        self.heads = nn.ModuleDict({name: nn.Linear(width, classes) for name, classes in heads.items()})
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_uniform_(layer.weight, nonlinearity="linear")
            elif isinstance(layer, nn.Linear):
                nn.init.trunc_normal_(layer.weight, std=0.02, a=-0.04, b=0.04)
            if isinstance(layer, (nn.Conv2d, nn.Linear)) and layer.bias is not None:
                nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor, features: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        """``(n, 1, 48, 48)`` and, for networks with features, feature name → ``(n, length)`` → logits."""
        y = self.image(x)
        if self.features:
            given = features or {}
            joined = torch.cat([given[name] for name in self.features], dim=1)
            y = torch.cat([self.project(y), self.extra(joined)], dim=1)
        return {name: head(y) for name, head in self.heads.items()}


def model_a(heads: Mapping[str, int], features: Sequence[str], batch_norm: bool, dropout: float = DROPOUT) -> nn.Module:
    """Model A: two 5×5 convolutions, a 4×4 one, one dense layer."""
    convolutions = ((64, 5, True), (64, 5, True), (128, 4, False))
    return FusionNetwork(
        heads, convolutions=convolutions, dense=(1024,), joint=40, features=features, batch_norm=batch_norm,
        dropout=dropout,
    )  # fmt: skip


def model_b(heads: Mapping[str, int], features: Sequence[str], batch_norm: bool, dropout: float = DROPOUT) -> nn.Module:
    """Model B: three 3×3 convolutions, two dense layers."""
    convolutions = ((64, 3, True), (128, 3, True), (256, 3, True))
    return FusionNetwork(
        heads, convolutions=convolutions, dense=(4096, 1024), joint=128, features=features, batch_norm=batch_norm,
        dropout=dropout,
    )  # fmt: skip
