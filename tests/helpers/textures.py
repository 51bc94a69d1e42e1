"""Pictures that look like nothing but differ as photos do: waves of a class's direction under noise of all scales."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def textures(classes: NDArray[np.integer], seed: int = 0) -> NDArray[np.uint8]:
    """``(n, 48, 48, 1)`` uint8; each class has a direction, which can be learned, and each picture its noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:48, :48]
    out = np.empty((len(classes), 48, 48, 1), np.uint8)
    for i, kind in enumerate(classes):
        angle = np.pi * (kind + rng.uniform(-0.15, 0.15)) / 7
        wave = np.sin((x * np.cos(angle) + y * np.sin(angle)) / rng.uniform(1.4, 2.2) + rng.uniform(0, 7))
        noise = sum(
            sigma * cv2.GaussianBlur(rng.normal(0, 1, (48, 48)), (0, 0), sigma) for sigma in (0.7, 1.5, 3.0, 6.0)
        )
        out[i, ..., 0] = np.clip(128 + 38 * wave + 36 * noise, 0, 255)
    return out
