"""Images of any size and colour in the form in which they are compared: gray, 48×48, and as HOG vectors."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.geometry import resize
from mien.published.features import SIDE, hog
from mien.resampling import gray as gray_levels

CELL = 6
"""Side of the HOG cells, pixels of a 48×48 image: 512 numbers."""
_BLOCK = 256


def gray48(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """``(n, h, w, 1 or 3)`` uint8 gray or RGB → ``(n, 48, 48)`` uint8 gray; images of this form are not copied."""
    if images.shape[1:] == (SIDE, SIDE, 1):
        return images[..., 0]
    out = np.empty((len(images), SIDE, SIDE), np.uint8)
    for i, image in enumerate(images):
        gray = image[..., 0] if image.shape[2] == 1 else gray_levels(image)
        out[i] = resize(np.asarray(gray, np.uint8), (SIDE, SIDE))
    return out


def hog_vectors(gray: NDArray[np.uint8]) -> NDArray[np.float32]:
    """``(n, 48, 48)`` → ``(n, 512)`` float32; square roots, because few strong gradients would dominate a cell."""
    parts = [hog.cell_hog(gray[start : start + _BLOCK], CELL) for start in range(0, max(len(gray), 1), _BLOCK)]
    vectors = np.concatenate(parts).reshape(len(gray), (SIDE // CELL) ** 2 * hog.ORIENTATIONS)
    return np.sqrt(vectors, out=vectors)
