"""Boxes that the surer faces of a picture make implausible."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BODY_WIDTH, BODY_DEPTH = 2.0, 3.0
"""The body below a face: its width in widths, its depth in heights of the face."""
HAT_HEIGHT = 0.5
"""Height of hair or hat above a face, in heights of the face; it is as wide as the face."""
BODY_RATIO = 0.3
"""Height over that of the face below which a box on its body or hat is implausible: a face farther away would be hidden
by the person, one before the person would not be so small."""
INSIDE_SHARE, INSIDE_RATIO = 0.6, 0.8
"""Share of a box inside a surer one, and height over that of the surer one, from and below which it is a part of that
face."""


def implausible(
    boxes: NDArray[np.floating], scores: NDArray[np.floating], sure: float, quarters: NDArray[np.integer] | None = None
) -> NDArray[np.bool_]:
    """Which boxes lie inside a much surer face, or on its body or hat and are far too small for that.

    Of the 16,656 labelled faces of the detector's photos 36 lie so (prints, screens and mirrors);
    ``benchmarks/detectors.py`` counts them.

    Args:
        boxes: ``(n, 4)`` xyxy pixels.
        scores: ``(n,)``, 0–1.
        sure: score from which a face makes others implausible, and from which none is implausible.
        quarters: ``(n,)`` clockwise quarters by which each face is turned: its body lies in that direction; None for
            upright ones.

    Returns:
        ``(n,)``.
    """
    every = np.asarray(boxes, np.float64).reshape(-1, 4)
    is_sure = np.asarray(scores) >= sure
    if not is_sure.any() or is_sure.all():
        return np.zeros(len(every), np.bool_)
    # all boxes as each sure face, were it upright, would see them
    turned = [every]
    for _ in range(3):
        x1, y1, x2, y2 = turned[-1].T
        turned.append(np.stack([y1, -x2, y2, -x1], axis=1))
    seen = np.stack(turned)
    quarter = np.zeros(is_sure.sum(), np.intp) if quarters is None else np.asarray(quarters)[is_sure] % 4
    doubtful = seen[quarter][:, ~is_sure].transpose(1, 0, 2)
    faces = seen[quarter, np.flatnonzero(is_sure)][None]
    tall, face_tall = doubtful[..., 3] - doubtful[..., 1], faces[..., 3] - faces[..., 1]
    shared = np.minimum(doubtful[..., 2:], faces[..., 2:]) - np.maximum(doubtful[..., :2], faces[..., :2])
    area = np.maximum((doubtful[..., 2:] - doubtful[..., :2]).prod(axis=-1), 1e-9)
    inside = np.clip(shared, 0, None).prod(axis=-1) > INSIDE_SHARE * area
    part = inside & (tall < INSIDE_RATIO * face_tall)
    middle = (doubtful[..., :2] + doubtful[..., 2:]) / 2
    beside = np.abs(middle[..., 0] - (faces[..., 0] + faces[..., 2]) / 2)
    below = middle[..., 1] - faces[..., 3]
    wide = faces[..., 2] - faces[..., 0]
    on_body = (beside < BODY_WIDTH / 2 * wide) & (below >= 0) & (below < BODY_DEPTH * face_tall)
    above = faces[..., 1] - middle[..., 1]
    on_body |= (beside < wide / 2) & (above >= 0) & (above < HAT_HEIGHT * face_tall)
    found = np.zeros(len(every), np.bool_)
    found[~is_sure] = (part | (on_body & (tall < BODY_RATIO * face_tall))).any(axis=1)
    return found
