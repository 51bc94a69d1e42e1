"""A single-shot face detector: dense 3×3 convolutions, three strides, one score, box and five points per cell.

Source:
    The shape follows FCOS (Tian et al. 2019: one prediction per cell, distances to the four sides), feature pyramids
    (Lin et al. 2017) and SCRFD (Guo et al. 2021: where the computation goes). Dense rather than depthwise
    convolutions because both run at about the same rate of operations on a processor and dense ones train three
    times faster there. Widths are multiples of 16, the block in which ONNX Runtime computes.

The network's input is RGB ``(n, 3, h, w)`` float, ``(pixel - 128) / 128``; h and w are multiples of 32. It returns one
tensor per stride (8, 16, 32), ``(n, 15, h / stride, w / stride)``:
    0       logit of the score
    1–4     logarithms of the distances from the cell's centre to the left, top, right and bottom, in strides
    5–14    five points xy, from the centre of the predicted box, in its width and height
`mien.detect.single_shot` holds the inverse.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mien.detect.single_shot import STRIDES

CHANNELS = 15
"""Channels per cell: score, four distances, five points."""
PIXEL_MEAN, PIXEL_SCALE = 128.0, 128.0
MEAN_POINTS = ((-0.17, -0.11), (0.18, -0.11), (0.01, 0.09), (-0.14, 0.255), (0.16, 0.26))
"""Where the five points lie on average, from the centre of the box, in its width and height: the first guess."""
_PRIOR = 0.01
"""Score that every cell starts with."""


@dataclass(frozen=True, slots=True)
class DetectorShape:
    """Widths and depths.

    Attributes:
        widths: channels at strides 2, 4, 8, 16, 32.
        blocks: residual blocks at strides 8, 16, 32.
        pyramid: channels of the feature pyramid.
        towers: 3×3 convolutions before the prediction at strides 8, 16, 32.
    """

    widths: tuple[int, int, int, int, int] = (16, 16, 32, 64, 64)
    blocks: tuple[int, int, int] = (2, 1, 1)
    pyramid: int = 32
    towers: tuple[int, int, int] = (1, 2, 2)


class _Residual(nn.Module):
    """Two convolutions around which the input is added."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = _convolution(channels, channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.norm(self.second(self.first(x))))


class FaceDetector(nn.Module):
    """The network that the head of this module describes."""

    def __init__(self, shape: DetectorShape | None = None) -> None:
        super().__init__()
        shape = shape or DetectorShape()
        half, quarter, *deep = shape.widths
        self.stem = nn.Sequential(
            _convolution(3, half, 2), _convolution(half, quarter, 2), _convolution(quarter, quarter)
        )
        stages, width = [], quarter
        for channels, blocks in zip(deep, shape.blocks, strict=True):
            stages.append(
                nn.Sequential(_convolution(width, channels, 2), *(_Residual(channels) for _ in range(blocks)))
            )
            width = channels
        self.stages = nn.ModuleList(stages)
        self.laterals = nn.ModuleList(nn.Conv2d(channels, shape.pyramid, 1) for channels in deep)
        self.towers = nn.ModuleList(
            nn.Sequential(*(_convolution(shape.pyramid, shape.pyramid) for _ in range(depth))) for depth in shape.towers
        )
        self.outputs = nn.ModuleList(nn.Conv2d(shape.pyramid, CHANNELS, 1) for _ in STRIDES)
        self._initialise()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """``(n, 3, h, w)`` → ``(n, 15, h / stride, w / stride)`` per stride, the finest first."""
        x = self.stem(x)
        features = []
        for stage, lateral in zip(self.stages, self.laterals, strict=True):
            x = stage(x)
            features.append(lateral(x))
        fine, middle, coarse = features
        middle = middle + F.interpolate(coarse, scale_factor=2.0, mode="nearest")
        fine = fine + F.interpolate(middle, scale_factor=2.0, mode="nearest")
        first, second, third = (
            output(tower(feature))
            for output, tower, feature in zip(self.outputs, self.towers, (fine, middle, coarse), strict=True)
        )
        return first, second, third

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for module in self.modules():
            if isinstance(module, _Residual):
                # each block starts as the identity
                nn.init.zeros_(module.norm.weight)
        for output in self.outputs:
            if isinstance(output, nn.Conv2d) and output.bias is not None:
                nn.init.normal_(output.weight, std=0.01)
                with torch.no_grad():
                    output.bias[0] = -math.log((1 - _PRIOR) / _PRIOR)
                    output.bias[1:5] = math.log(1.5)
                    output.bias[5:] = torch.tensor(MEAN_POINTS).flatten()


def _convolution(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """3×3 convolution, batch statistics, ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )
