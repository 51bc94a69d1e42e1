"""A small network that puts the five points of a face right: from an upright crop of 48 pixels to five xy.

Source:
    The last stage of MTCNN (Zhang et al. 2016) does the same; this one has batch statistics and sees faces that the
    detector's own points have turned upright.

Its input is RGB ``(n, 3, 48, 48)`` float, ``(pixel - 128) / 128``; its output ``(n, 10)``: xy of eye, eye, nose, mouth
corner, mouth corner in sides of the crop, from its centre. `mien.detect.landmark_refinement` cuts the crops.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mien.detect.landmark_refinement import SIDE

MEAN_POINTS = ((-0.145, -0.09), (0.145, -0.09), (0.0, 0.08), (-0.115, 0.215), (0.115, 0.215))
"""The five points of an average face in its crop: the first guess."""


class LandmarkNetwork(nn.Module):
    """The network that the head of this module describes."""

    def __init__(self, hidden: int = 64) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *_convolution(3, 16, 2),
            *_convolution(16, 24),
            *_convolution(24, 32, 2),
            *_convolution(32, 32),
            *_convolution(32, 64, 2),
            *_convolution(64, 32),
        )
        self.hidden = nn.Sequential(nn.Flatten(), nn.Linear(32 * (SIDE // 8) ** 2, hidden), nn.ReLU())
        self.outputs = nn.Linear(hidden, 10)
        nn.init.normal_(self.outputs.weight, std=0.01)
        with torch.no_grad():
            self.outputs.bias.copy_(torch.tensor(MEAN_POINTS).flatten())

    def forward(self, x: Tensor) -> Tensor:
        """``(n, 3, 48, 48)`` → ``(n, 10)``."""
        points: Tensor = self.outputs(self.hidden(self.features(x)))
        return points


def _convolution(inputs: int, outputs: int, stride: int = 1) -> tuple[nn.Module, ...]:
    """3×3 convolution, batch statistics, ReLU."""
    return (
        nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )
