"""Images of a prepared dataset in the size and channels of a network's input."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.geometry import resize
from mien.resampling import gray as gray_levels


def resize_images(images: NDArray[np.uint8], size: int, channels: int) -> NDArray[np.uint8]:
    """``(n, h, w, c)`` images → ``(n, size, size, channels)``, gray repeated for RGB.

    Shrinking averages, enlarging is cubic.
    """
    n, height, width, depth = images.shape
    if (height, width) != (size, size):
        resized = np.empty((n, size, size, depth), np.uint8)
        for i, image in enumerate(images):
            resized[i] = resize(image, (size, size))
        images = resized
    if depth == 3 and channels == 1:
        gray = [gray_levels(image)[..., None] for image in images]
        images = np.stack(gray).astype(np.uint8)
    elif depth == 1 and channels == 3:
        images = np.repeat(images, 3, axis=3)
    return np.ascontiguousarray(images)
