"""From a detector's raw rows to `Faces` as the protocol specifies them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.geometry import clip_boxes
from mien.results.faces import Faces

MIN_VISIBLE = 0.5
"""Least share of a box that lies inside the picture: what is cut further is not a face that can be seen."""
TOLERANCE = 0.8
"""Measured height over true height of a face, at least: one of ``min_face`` pixels may come out that much smaller."""


def faces_from_rows(
    boxes: NDArray[np.floating],
    scores: NDArray[np.floating],
    landmarks: NDArray[np.floating] | None,
    size: tuple[int, int],
    *,
    min_face: float = 0.0,
    min_visible: float = MIN_VISIBLE,
) -> Faces:
    """Drop boxes that are empty, small or mostly outside, clamp the others, and sort.

    Args:
        boxes: ``(n, 4)`` xyxy pixels, anywhere.
        scores: ``(n,)``, 0–1.
        landmarks: ``(n, 5, 2)`` xy pixels, not clamped; None where the detector has none.
        size: (width, height) of the picture.
        min_face: height of the smallest face to keep, pixels; see `rows_of_faces`.
        min_visible: least share of a box that lies inside the picture.

    Returns:
        The faces, best score first.
    """
    keep = rows_of_faces(boxes, scores, size, min_face=min_face, min_visible=min_visible)
    clamped = clip_boxes(np.asarray(boxes, np.float32).reshape(-1, 4)[keep], size)
    points = None if landmarks is None else landmarks[keep]
    return Faces.detected(clamped, np.clip(np.asarray(scores)[keep], 0.0, 1.0), points, size)


def rows_of_faces(
    boxes: NDArray[np.floating],
    scores: NDArray[np.floating],
    size: tuple[int, int],
    *,
    min_face: float = 0.0,
    min_visible: float = MIN_VISIBLE,
) -> NDArray[np.intp]:
    """Indices of the boxes that `faces_from_rows` keeps, best score first.

    A box counts with its whole size, also where the border cuts it. Its longer side may be a fifth below ``min_face``,
    because it is measured with an error.
    """
    raw = np.asarray(boxes, np.float64).reshape(-1, 4)
    sides, inside = raw[:, 2:] - raw[:, :2], np.clip(raw[:, 2:], 0, size) - np.clip(raw[:, :2], 0, size)
    # a pixel at least: as float32 a box may become empty
    visible = (inside.prod(axis=1) >= min_visible * sides.prod(axis=1)) & (inside > 1e-3).all(axis=1)
    keep = np.flatnonzero(visible & (sides.max(axis=1, initial=0) >= TOLERANCE * min_face))
    return keep[np.argsort(-np.asarray(scores)[keep], kind="stable")]
