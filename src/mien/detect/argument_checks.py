"""Checks of arguments that all detectors share."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.arguments import plain_number
from mien.defaults import SMALLEST_FACE, SMALLEST_FACE_SIDE
from mien.errors import InputError


def picture_size(rgb: NDArray[np.uint8]) -> tuple[int, int]:
    """(width, height) of a picture; `InputError` unless it is RGB uint8 ``(h, w, 3)`` with at least one pixel."""
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3 or 0 in rgb.shape:
        raise InputError(f"a detector takes RGB uint8 (height, width, 3), got {rgb.dtype} {rgb.shape}")
    return rgb.shape[1], rgb.shape[0]


def check_min_face(min_face: int | None) -> int | None:
    """``min_face`` in pixels, or None for `smallest_face`'s own; `InputError` below 1."""
    if min_face is not None and not plain_number("min_face", min_face) >= 1:
        raise InputError(f"min_face is a size in pixels and must be at least 1, got {min_face}")
    return min_face


def smallest_face(min_face: int | None, size: tuple[int, int], default: int = SMALLEST_FACE) -> int:
    """Height in pixels of the smallest face to detect in a picture of (width, height).

    Args:
        min_face: what the user asks for.
        size: (width, height) of the picture.
        default: without ``min_face``, the height in pictures whose longer side is at most 1,280 pixels; it grows in
            proportion above, so that a picture's size does not change the cost.

    Examples:
        >>> smallest_face(40, (640, 480)), smallest_face(None, (640, 480)), smallest_face(None, (4000, 3000))
        (40, 16, 50)
    """
    if min_face is not None:
        return min_face
    return max(default, round(max(size) * default / SMALLEST_FACE_SIDE))


def check_probability(name: str, value: float) -> float:
    """``value``; `InputError` outside 0–1."""
    if not 0.0 <= plain_number(name, value) <= 1.0:
        raise InputError(f"{name} must lie between 0 and 1, got {value}")
    return float(value)
