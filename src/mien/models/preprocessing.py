"""Crops → a network's input, by the mean and std of its card or recipe.

`mien.training.preprocessing` computes the same on torch tensors.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def normalize(images: NDArray[np.uint8], mean: Sequence[float], std: Sequence[float]) -> NDArray[np.float32]:
    """``(images / 255 - mean) / std`` per channel, with the channels first.

    Args:
        images: uint8 ``(n, h, w, c)``, RGB or gray.
        mean: per channel of the network, of pixels 0-1. Three values with gray images repeat gray.
        std: likewise, above 0.

    Returns:
        Contiguous float32 ``(n, len(mean), h, w)``.

    Examples:
        >>> normalize(np.full((1, 2, 2, 1), 255, np.uint8), (0.5,), (0.25,)).shape
        (1, 1, 2, 2)
    """
    shift, scale = (np.asarray(values, np.float32).reshape(1, -1, 1, 1) for values in (mean, std))
    pixels = images.transpose(0, 3, 1, 2).astype(np.float32) / 255
    return np.ascontiguousarray((pixels - shift) / scale)
