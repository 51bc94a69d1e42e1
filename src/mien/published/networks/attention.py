"""Attentional network: a small convolutional network with a spatial transformer.

Papers: Minaee & Abdolrashidi 2019, "Deep-Emotion: Facial Expression Recognition Using Attentional Convolutional
Network" (arXiv 1902.01019); Jaderberg et al. 2015, "Spatial Transformer Networks". Source of the three variants: Chen,
Yang & Ning, "Facial Emotion Recognition by Attentional Convolutional Network" (github.com/yuhangning815/Deep-emotion):

- sequential: the transformer warps the pixels, the features come from the result; 66,877 parameters for 7 classes;
- parallel: the localisation takes the pixels, its affine grid samples the feature map; 47,524 parameters for 4 classes;
- parallel and deep: one more same-padded convolution in front. 48,434 parameters for 4 classes, as counted here.

One difference from the source: its dropout is also active in prediction, which makes predictions random. Here
dropout is active in training alone.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

FILTERS = 10
FLAT = FILTERS * 9 * 9
IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


class AttentionalNetwork(nn.Module):
    """Feature extractor, localisation, two dense layers.

    Args:
        heads: head name → number of classes.
        parallel: the grid samples the feature map; else it samples the pixels.
        deep: one more convolution in front.
        dropout: probability after the features (and, where the network is parallel, between them).
    """

    def __init__(self, heads: Mapping[str, int], *, parallel: bool, deep: bool = False, dropout: float = 0.5) -> None:
        super().__init__()
        self.parallel = parallel
        first: list[nn.Module] = [nn.Conv2d(1, FILTERS, 3, padding=1), nn.ReLU()] if deep else []
        self.extract = nn.Sequential(
            *first,
            nn.Conv2d(FILTERS if deep else 1, FILTERS, 3), nn.ReLU(),
            nn.Conv2d(FILTERS, FILTERS, 3), nn.MaxPool2d(2), nn.ReLU(),
            *([nn.Dropout(dropout)] if parallel else []),
            nn.Conv2d(FILTERS, FILTERS, 3), nn.ReLU(),
            nn.Conv2d(FILTERS, FILTERS, 3), nn.BatchNorm2d(FILTERS), nn.MaxPool2d(2), nn.ReLU(), nn.Dropout(dropout),
        )  # fmt: skip
        if parallel:
            layers = [
                nn.Conv2d(1, 8, 3, padding=1), nn.MaxPool2d(4), nn.ReLU(),
                nn.Conv2d(8, 10, 3, padding=1), nn.MaxPool2d(4), nn.ReLU(),
            ]  # fmt: skip
            width = 10 * 3 * 3
        else:
            layers = [nn.Conv2d(1, 8, 7), nn.MaxPool2d(2), nn.ReLU(), nn.Conv2d(8, 10, 5), nn.MaxPool2d(2), nn.ReLU()]
            width = 10 * 8 * 8
        last = nn.Linear(32, 6)
        nn.init.zeros_(last.weight)
        last.bias.data = torch.tensor(IDENTITY)
        self.localise = nn.Sequential(*layers, nn.Flatten(), nn.Linear(width, 32), nn.ReLU(), last)
        self.dense = nn.Linear(FLAT, 50)
        self.relu = nn.ReLU()
        self.heads = nn.ModuleDict({name: nn.Linear(50, classes) for name, classes in heads.items()})

    def regions(self, x: Tensor) -> Tensor:
        """``(n, 1, 48, 48)`` → ``(n, 2, 3)`` affine maps from output to input coordinates (−1–1): its regions."""
        theta: Tensor = self.localise(x)
        return theta.float().view(-1, 2, 3)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """``(n, 1, 48, 48)`` normalised → head name → ``(n, classes)`` logits."""
        regions = self.regions(x)
        y = self.extract(x) if self.parallel else x
        grid = F.affine_grid(regions, list(y.shape), align_corners=False)
        y = F.grid_sample(y.float(), grid, align_corners=False)
        y = y if self.parallel else self.extract(y)
        y = self.relu(self.dense(y.flatten(1)))
        return {name: head(y) for name, head in self.heads.items()}
