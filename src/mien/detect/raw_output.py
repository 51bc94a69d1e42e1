"""From a detector's raw rows to `Faces` as the protocol specifies them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.geometry import clip_boxes
from mien.results.faces import Faces


def faces_from_rows(
    boxes: NDArray[np.floating],
    scores: NDArray[np.floating],
    landmarks: NDArray[np.floating] | None,
    size: tuple[int, int],
    *,
    min_face: float = 0.0,
) -> Faces:
    """Clamp boxes, drop those that are empty or small, and sort.

    Args:
        boxes: ``(n, 4)`` xyxy pixels, anywhere.
        scores: ``(n,)``, 0–1.
        landmarks: ``(n, 5, 2)`` xy pixels, not clamped; None where the detector has none.
        size: (width, height) of the picture.
        min_face: least shorter side in pixels, of the box before it is clamped, so that a face cut by the border counts
            with its whole size.

    Returns:
        The faces with some area inside the picture, best score first.
    """
    raw = np.asarray(boxes, np.float32).reshape(-1, 4)
    clamped = clip_boxes(raw, size)
    inside = (clamped[:, 2:] > clamped[:, :2]).all(axis=1)
    large = (raw[:, 2:] - raw[:, :2]).min(axis=1) >= min_face
    keep = np.flatnonzero(inside & large)
    keep = keep[np.argsort(-np.asarray(scores)[keep], kind="stable")]
    points = None if landmarks is None else landmarks[keep]
    return Faces.detected(clamped[keep], np.clip(np.asarray(scores)[keep], 0.0, 1.0), points, size)
