"""Optical flow of faces from one frame to the next: new positions of a box and its landmarks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.geometry import similarity, warp
from mien.opencv import cv2

Floats = NDArray[np.float32]
Picture = NDArray[np.uint8]

_FACE, _PATCH = 64.0, 192
"""Sides in pixels of a face and of the patch around it in which flow is computed, so that its cost is constant."""
_GRID, _INNER = 7, 0.7
"""Points along each side of a face, and the share of its box that they cover."""
_LEVELS, _WINDOW = 3, 13
_MAX_RETURN_ERROR = 1.0
"""Greatest forward-backward error of a point, pixels of a patch."""
_MIN_SHARE = 0.5
"""Least share of the points that have to agree."""
_TOLERANCE = 2.5
"""Greatest distance of a point from the movement of the face as a whole, pixels of a patch."""
_MAX_GROWTH = 1.35
"""Factor by which a face can grow or shrink at most from one frame to the next."""


def track_box(
    before: Picture, now: Picture, box: Floats, landmarks: Floats, expected: Floats
) -> tuple[Floats, Floats, float] | None:
    """Track one face by pyramidal Lucas-Kanade flow with a forward-backward check.

    Args:
        before: RGB uint8 ``(h, w, 3)``.
        now: the next frame, of the same size.
        box: ``(4,)`` xyxy pixels in ``before``.
        landmarks: ``(5, 2)`` xy pixels in ``before``, NaN where there are none.
        expected: ``(4,)`` where the box is expected in ``now``; only its middle counts.

    Returns:
        Box ``(4,)``, landmarks ``(5, 2)`` (NaN as before) and the share of points that agree with the movement, 0–1;
        None where the face is lost.

    Source:
        Bouguet's pyramidal Lucas-Kanade in OpenCV; the check is Kalal, Mikolajczyk, Matas: Forward-Backward Error,
        ICPR 2010. The movement is the least-squares similarity of the points that agree.
    """
    sides = np.maximum(box[2:] - box[:2], 1.0)
    scale = _FACE / float(np.sqrt(sides.prod()))
    start, goal = (box[:2] + box[2:]) / 2, (expected[:2] + expected[2:]) / 2
    first, second = _patch(before, start, scale), _patch(now, goal, scale)
    steps = np.linspace(-_INNER / 2, _INNER / 2, _GRID, dtype=np.float32)
    grid = np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2) * sides * scale
    points = (grid + _PATCH / 2).astype(np.float32).reshape(-1, 1, 2)
    there, tracked = _flow(first, second, points)
    back, returned = _flow(second, first, there)
    good = tracked & returned & (np.linalg.norm((back - points).reshape(-1, 2), axis=1) < _MAX_RETURN_ERROR)
    moved = (there.reshape(-1, 2) - _PATCH / 2) / scale + goal
    origin = grid / scale + start
    fit = _fit_similarity(origin, moved, good, _TOLERANCE / scale)
    if fit is None:
        return None
    matrix, share = fit
    growth = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    middle = matrix[:, :2] @ start + matrix[:, 2]
    if not 1 / _MAX_GROWTH < growth < _MAX_GROWTH or share < _MIN_SHARE:
        return None
    half = sides / 2 * growth
    new_box = np.concatenate([middle - half, middle + half]).astype(np.float32)
    return new_box, (landmarks @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32), share


def _flow(first: Picture, second: Picture, points: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Positions in the second picture of ``(k, 1, 2)`` points of the first, and ``(k,)`` whether each was tracked."""
    there, tracked, _ = cv2.calcOpticalFlowPyrLK(
        first, second, points, points.copy(), winSize=(_WINDOW, _WINDOW), maxLevel=_LEVELS
    )
    return np.asarray(there, np.float32), np.asarray(tracked).ravel() == 1


def _fit_similarity(
    origin: NDArray[np.floating], moved: NDArray[np.floating], good: NDArray[np.bool_], tolerance: float
) -> tuple[NDArray[np.float64], float] | None:
    """The similarity transform of most points, and their share of all; None where too few are good."""
    least = _MIN_SHARE * len(origin)
    if good.sum() < least:
        return None
    step = moved - origin
    near = np.linalg.norm(step - np.median(step[good], axis=0), axis=1) < 4 * tolerance
    for _ in range(2):
        use = good & near
        if use.sum() < least:
            return None
        matrix = similarity(origin[use], moved[use])
        near = np.linalg.norm(origin @ matrix[:, :2].T + matrix[:, 2] - moved, axis=1) < tolerance
    return matrix, float((good & near).mean())


def _patch(rgb: Picture, middle: NDArray[np.floating], scale: float) -> Picture:
    """Gray ``(192, 192)`` around a point (xy, (0, 0) the outer corner of the first pixel), ``scale`` times as large."""
    matrix = np.array([[scale, 0, 0], [0, scale, 0]])
    matrix[:, 2] = _PATCH / 2 - scale * middle
    return np.asarray(cv2.cvtColor(warp(rgb, matrix, _PATCH), cv2.COLOR_RGB2GRAY), np.uint8)
