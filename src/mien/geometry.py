"""Boxes, overlaps and similarity transforms. NumPy only; boxes are xyxy pixels, points are xy pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.errors import InputError

Array = NDArray[np.float32]


def clip_boxes(boxes: NDArray[np.floating], size: tuple[int, int]) -> Array:
    """``(n, 4)`` boxes clamped to a picture of (width, height)."""
    width, height = size
    limit = np.array([width, height, width, height], np.float32)
    return np.clip(np.asarray(boxes, np.float32), 0, limit)


def areas(boxes: NDArray[np.floating]) -> Array:
    """``(n,)`` pixels²; 0 for a box that is turned inside out."""
    sides = np.clip(boxes[:, 2:] - boxes[:, :2], 0, None)
    return np.asarray(sides[:, 0] * sides[:, 1], np.float32)


def iou(a: NDArray[np.floating], b: NDArray[np.floating], *, over_smaller: bool = False) -> Array:
    """``(len(a), len(b))`` intersection over union, or over the smaller box's area."""
    top_left = np.maximum(a[:, None, :2], b[None, :, :2])
    bottom_right = np.minimum(a[:, None, 2:], b[None, :, 2:])
    sides = np.clip(bottom_right - top_left, 0, None)
    shared = sides[..., 0] * sides[..., 1]
    area_a, area_b = areas(a)[:, None], areas(b)[None, :]
    whole = np.minimum(area_a, area_b) if over_smaller else area_a + area_b - shared
    return np.divide(shared, whole, out=np.zeros_like(shared, np.float32), where=whole > 0).astype(np.float32)


def nms(
    boxes: NDArray[np.floating], scores: NDArray[np.floating], threshold: float, *, over_smaller: bool = False
) -> NDArray[np.intp]:
    """Indices that greedy non-maximum suppression keeps, best score first.

    A box falls when its overlap with a kept one is above ``threshold``.
    """
    order = np.argsort(-np.asarray(scores), kind="stable")
    kept: list[int] = []
    while len(order):
        best, rest = order[0], order[1:]
        kept.append(int(best))
        overlap = iou(boxes[best : best + 1], boxes[rest], over_smaller=over_smaller)[0]
        order = rest[overlap <= threshold]
    return np.array(kept, np.intp)


def similarity(source: NDArray[np.floating], target: NDArray[np.floating]) -> NDArray[np.float64]:
    """Least-squares similarity transform from points to points.

    Args:
        source: ``(n, k, 2)`` xy, or ``(k, 2)``.
        target: ``(k, 2)`` xy, k ≥ 2.

    Returns:
        ``(n, 2, 3)`` (or ``(2, 3)``) matrices M with ``target ≈ M[:, :2] @ source + M[:, 2]``: rotation, one scale and
        a shift, never a reflection.

    Source:
        Closed form of Umeyama (1991) for two dimensions, with the rotation and scale as one complex number.
    """
    points = np.asarray(source, np.float64)
    single = points.ndim == 2
    points = points[None] if single else points
    goal = np.asarray(target, np.float64)
    if points.shape[1:] != goal.shape or goal.ndim != 2 or goal.shape[1] != 2 or len(goal) < 2:
        raise InputError(f"need matching (k, 2) point sets with k >= 2, got {points.shape[1:]} and {goal.shape}")
    z = points[..., 0] + 1j * points[..., 1]
    w = goal[:, 0] + 1j * goal[:, 1]
    z_mean, w_mean = z.mean(axis=1, keepdims=True), w.mean()
    zc, wc = z - z_mean, w - w_mean
    spread = (np.abs(zc) ** 2).sum(axis=1)
    if np.any(spread <= 1e-12):
        raise InputError("the points of a face coincide: no similarity transform can be found from them")
    a = (np.conj(zc) * wc).sum(axis=1) / spread
    shift = w_mean - a * z_mean[:, 0]
    matrices = np.empty((len(points), 2, 3))
    matrices[:, 0] = np.stack([a.real, -a.imag, shift.real], axis=1)
    matrices[:, 1] = np.stack([a.imag, a.real, shift.imag], axis=1)
    return matrices[0] if single else matrices
