"""Boxes, overlaps and similarity transforms. Boxes are xyxy pixels, points are xy pixels."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.errors import InputError

Array = NDArray[np.float32]

_BLOCK = 256
"""Boxes compared at once: few calls for a handful of boxes, and memory that grows with a crowd, not with its square."""


def clip_boxes(boxes: NDArray[np.floating], size: tuple[int, int]) -> Array:
    """``(n, 4)`` boxes clamped to a picture of (width, height)."""
    width, height = size
    limit = np.array([width, height, width, height], np.float32)
    return np.asarray(np.clip(np.asarray(boxes, np.float32), 0, limit), np.float32)


def areas(boxes: NDArray[np.floating]) -> Array:
    """``(n,)`` pixels²; 0 for a box that is turned inside out."""
    sides = np.clip(boxes[:, 2:] - boxes[:, :2], 0, None)
    return np.asarray(sides[:, 0] * sides[:, 1], np.float32)


def iou(a: NDArray[np.floating], b: NDArray[np.floating], *, over_smaller: bool = False) -> Array:
    """``(len(a), len(b))`` intersection over union, or over the smaller box's area."""
    x1, y1, x2, y2 = np.ascontiguousarray(np.asarray(b, np.float32).T)
    a = np.asarray(a, np.float32)
    # one coordinate at a time and in place: a row of numbers each, no (n, m, 2) in between
    shared = np.minimum(a[:, 2:3], x2)
    shared -= np.maximum(a[:, 0:1], x1)
    np.maximum(shared, 0, out=shared)
    heights = np.minimum(a[:, 3:4], y2)
    heights -= np.maximum(a[:, 1:2], y1)
    shared *= np.maximum(heights, 0, out=heights)
    area_a, area_b = areas(a)[:, None], areas(np.asarray(b, np.float32))
    whole = np.minimum(area_a, area_b) if over_smaller else area_a + area_b - shared
    return np.asarray(np.divide(shared, whole, out=np.zeros_like(shared), where=whole > 0), np.float32)


def nms(
    boxes: NDArray[np.floating], scores: NDArray[np.floating], threshold: float, *, over_smaller: bool = False
) -> NDArray[np.intp]:
    """Greedy non-maximum suppression: by OpenCV, or, over the smaller area, with one overlap matrix a block.

    Args:
        boxes: ``(n, 4)`` xyxy pixels.
        scores: ``(n,)``, any scale.
        threshold: a box falls when its overlap (0–1) with a better one that is kept is above it.
        over_smaller: overlap over the smaller box's area instead of over the union.

    Returns:
        Indices of the boxes kept, best score first; of equal scores the earlier box first.
    """
    order = np.argsort(-np.asarray(scores), kind="stable")
    if not over_smaller:
        return _nms_over_union(np.asarray(boxes, np.float64), order, threshold)
    kept = np.empty(0, np.intp)
    for start in range(0, len(order), _BLOCK):
        block = order[start : start + _BLOCK]
        if len(kept):
            covered = (iou(boxes[kept], boxes[block], over_smaller=True) > threshold).any(axis=0)
            block = block[~covered]
        over = iou(boxes[block], boxes[block], over_smaller=True) > threshold
        alive = np.ones(len(block), np.bool_)
        for i in range(len(block) - 1):
            if alive[i]:
                alive[i + 1 :] &= ~over[i, i + 1 :]
        kept = np.concatenate([kept, block[alive]])
    return kept


def _nms_over_union(boxes: NDArray[np.float64], order: NDArray[np.intp], threshold: float) -> NDArray[np.intp]:
    """`nms` by OpenCV, which takes x, y, width, height and drops what has a score of 0 or below."""
    if not len(order):
        return order
    rectangles = np.concatenate([boxes[:, :2], np.clip(boxes[:, 2:] - boxes[:, :2], 0, None)], axis=1)[order]
    ranks = np.arange(len(order), 0, -1, dtype=np.float32)
    kept = cv2.dnn.NMSBoxes(rectangles, ranks, 0.0, threshold)  # type: ignore[arg-type]  # arrays are taken as well
    return order[np.asarray(kept, np.intp)]


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
