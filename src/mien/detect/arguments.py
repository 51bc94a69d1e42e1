"""Checks of arguments that all detectors share."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.errors import InputError


def picture_size(rgb: NDArray[np.uint8]) -> tuple[int, int]:
    """(width, height) of a picture; `InputError` unless it is RGB uint8 ``(h, w, 3)`` with at least one pixel."""
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3 or 0 in rgb.shape:
        raise InputError(f"a detector takes RGB uint8 (height, width, 3), got {rgb.dtype} {rgb.shape}")
    return rgb.shape[1], rgb.shape[0]


def check_min_face(min_face: int) -> int:
    """``min_face`` in pixels; `InputError` below 1."""
    if min_face < 1:
        raise InputError(f"min_face is a size in pixels and must be at least 1, got {min_face}")
    return min_face


def check_probability(name: str, value: float) -> float:
    """``value``; `InputError` outside 0–1."""
    if not 0.0 <= value <= 1.0:
        raise InputError(f"{name} must lie between 0 and 1, got {value}")
    return float(value)
