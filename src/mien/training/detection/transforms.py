"""Affine transforms of pictures, boxes and points. Coordinates are continuous: a pixel's centre is at its half."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from mien.detect.landmark_refinement import MIRROR

Floats = NDArray[np.float32]
Matrix = NDArray[np.float64]


def warp_matrix(
    source: tuple[float, float],
    target: tuple[float, float],
    scale: float,
    degrees: float,
    *,
    flip: bool,
    stretch: float = 1.0,
) -> tuple[Matrix, bool]:
    """The ``(2, 3)`` matrix that brings a point onto another with a scale and a rotation; and ``flip`` again.

    Args:
        source: xy of the point that is brought.
        target: xy of where it comes to lie.
        scale: target pixels per source pixel.
        degrees: rotation.
        flip: whether it mirrors left and right.
        stretch: widths by its root, heights by one over it.
    """
    angle = math.radians(degrees)
    wide, tall = scale * math.sqrt(stretch), scale / math.sqrt(stretch)
    sign = -1.0 if flip else 1.0
    linear = np.array(
        [
            [math.cos(angle) * wide * sign, -math.sin(angle) * tall],
            [math.sin(angle) * wide * sign, math.cos(angle) * tall],
        ]
    )
    shift = np.array(target) - linear @ np.array(source)
    return np.concatenate([linear, shift[:, None]], axis=1), flip


def index_matrix(matrix: Matrix, level: int = 0) -> Matrix:
    """The same transform for OpenCV, which counts from the centre of the first pixel, from a halved picture."""
    index = matrix.copy()
    index[:, :2] *= 2.0**level
    index[:, 2] += index[:, :2].sum(axis=1) / 2 - 0.5
    return index


def move_points(points: Floats, matrix: Matrix, *, flip: bool) -> Floats:
    """``(n, 5, 2)`` points under a matrix, left in the picture first again when it mirrors."""
    moved = points @ matrix[:, :2].T.astype(np.float32) + matrix[:, 2].astype(np.float32)
    return np.asarray(moved[:, list(MIRROR)] if flip else moved, np.float32)


def move_boxes(boxes: Floats, matrix: Matrix) -> Floats:
    """``(n, 4)`` boxes around the turned ellipses that fill them: a turned box's corners hold no face."""
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2 @ matrix[:, :2].T + matrix[:, 2]
    half = (boxes[:, 2:] - boxes[:, :2]) / 2
    reach = np.sqrt(half.astype(np.float64) ** 2 @ (matrix[:, :2] ** 2).T)
    return np.concatenate([middle - reach, middle + reach], axis=1).astype(np.float32)


def cut_boxes(boxes: Floats, size: float) -> Floats:
    """``(n, 4)`` boxes clamped to a square crop."""
    return np.asarray(np.clip(boxes, 0, size), np.float32)
