"""Random quality of a training batch: noise, blur and sharpness, resolution, uneven light.

FER2013's faces are small and soft; photographs are sharp, bright, dim, noisy or enlarged from few pixels. A network
that is to read both has to see both. Images are float ``(n, c, h, w)`` in 0–1; each image draws its own strength.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mien.errors import InputError

PROBABILITY = 0.3
"""Share of the images that each of these changes."""


def _chosen(images: Tensor, probability: float) -> Tensor:
    """``(n, 1, 1, 1)`` 1 for the images to change, else 0."""
    return (torch.rand(len(images), 1, 1, 1, device=images.device) < probability).to(images.dtype)


def _uniform(images: Tensor, low: float, high: float) -> Tensor:
    return low + (high - low) * torch.rand(len(images), 1, 1, 1, device=images.device)


class RandomNoise(nn.Module):
    """Gaussian noise whose standard deviation is drawn up to ``largest`` (of the range 0–1)."""

    def __init__(self, largest: float, probability: float = PROBABILITY) -> None:
        super().__init__()
        self.largest, self.probability = largest, probability

    def forward(self, images: Tensor) -> Tensor:
        """Same shape, 0–1."""
        deviation = _chosen(images, self.probability) * _uniform(images, 0.0, self.largest)
        return (images + deviation * torch.randn_like(images)).clamp(0, 1)


class RandomSharpness(nn.Module):
    """Blur or sharpen: ``image + amount · (image − blurred)``; the amount lies between ``low`` ≥ -1 and ``high``."""

    kernel: Tensor

    def __init__(self, low: float, high: float, probability: float = PROBABILITY) -> None:
        super().__init__()
        if not -1 <= low <= high:
            raise InputError(f"sharpness is a range from -1 (blurred) upwards, got {low} to {high}")
        self.low, self.high, self.probability = low, high, probability
        ramp = torch.exp(-(torch.arange(-2, 3).float() ** 2) / 2)
        self.register_buffer("kernel", (ramp[:, None] * ramp / ramp.sum() ** 2)[None, None], persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Same shape, 0–1."""
        n, c, h, w = images.shape
        padded = F.pad(images.reshape(n * c, 1, h, w), (2, 2, 2, 2), mode="replicate")
        blurred = F.conv2d(padded, self.kernel.to(images.dtype)).reshape(n, c, h, w)
        amount = _chosen(images, self.probability) * _uniform(images, self.low, self.high)
        return (images + amount * (images - blurred)).clamp(0, 1)


class RandomResolution(nn.Module):
    """Reduce to a fraction of the side, not below ``lowest``, and enlarge again; one fraction per batch."""

    def __init__(self, lowest: float, probability: float = PROBABILITY) -> None:
        super().__init__()
        self.lowest, self.probability = lowest, probability

    def forward(self, images: Tensor) -> Tensor:
        """Same shape, 0–1."""
        rows = torch.nonzero(torch.rand(len(images), device=images.device) < self.probability).flatten()
        if not len(rows):
            return images
        h, w = images.shape[2:]
        fraction = float(torch.empty(()).uniform_(self.lowest, 1.0))
        size = (max(1, round(h * fraction)), max(1, round(w * fraction)))
        small = F.interpolate(images[rows], size, mode="bilinear", antialias=True)
        changed = images.clone()
        changed[rows] = F.interpolate(small, (h, w), mode="bilinear", antialias=True)
        return changed


class RandomLight(nn.Module):
    """Light from one side: the image times a linear ramp of slope up to ``largest`` across half of it."""

    def __init__(self, largest: float, probability: float = PROBABILITY) -> None:
        super().__init__()
        self.largest, self.probability = largest, probability

    def forward(self, images: Tensor) -> Tensor:
        """Same shape, 0–1."""
        h, w = images.shape[2:]
        angle = _uniform(images, 0.0, 2 * math.pi)
        slope = _chosen(images, self.probability) * _uniform(images, 0.0, self.largest)
        y = torch.linspace(-1, 1, h, device=images.device)[:, None]
        x = torch.linspace(-1, 1, w, device=images.device)
        ramp = 1 + slope * (angle.cos() * x + angle.sin() * y)
        return (images * ramp).clamp(0, 1)
