"""Which cells of the detector answer for which face. NumPy only: it runs where the crops are made.

Source:
    Centre sampling as in FCOS (Tian et al. 2019), with a level by face height that overlaps with the next.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.detect.single_shot import STRIDES

Floats = NDArray[np.float32]

HEIGHTS = ((0.0, 44.0), (36.0, 104.0), (88.0, np.inf))
"""Face heights in pixels per stride, overlapping."""
SMALLEST = 8.0
"""Faces lower than this many pixels are ignored."""
_RADIUS = 1.3
"""Cells within this many strides of the face's centre answer for it, as far as they lie well inside it."""


@dataclass(frozen=True, slots=True, eq=False)
class CellTargets:
    """Targets of one crop. Cells are numbered level by level, row by row.

    Attributes:
        cells: ``(p,)`` int64, cells that answer for a face.
        faces: ``(p,)`` int64, which face.
        ignored: ``(cells,)`` bool, cells that are neither face nor background.
    """

    cells: NDArray[np.int64]
    faces: NDArray[np.int64]
    ignored: NDArray[np.bool_]


def cell_centres(size: int) -> tuple[Floats, Floats]:
    """Centres ``(cells, 2)`` xy in pixels and strides ``(cells,)`` of a square crop, finest level first."""
    centres, strides = [], []
    for stride in STRIDES:
        line = (np.arange(size // stride, dtype=np.float32) + 0.5) * stride
        grid = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
        centres.append(grid)
        strides.append(np.full(len(grid), stride, np.float32))
    return np.concatenate(centres), np.concatenate(strides)


def assign(size: int, boxes: Floats, ignored: Floats) -> CellTargets:
    """Targets of a square crop.

    Args:
        size: side of the crop in pixels, a multiple of 32.
        boxes: ``(n, 4)`` xyxy pixels of the faces.
        ignored: ``(k, 4)`` xyxy pixels of the regions that are neither face nor background.

    Returns:
        The targets. Of several faces that want a cell the smallest gets it.
    """
    centres, strides = cell_centres(size)
    levels = {stride: strides == stride for stride in STRIDES}
    owner = np.full(len(centres), -1, np.int64)
    skip = np.zeros(len(centres), np.bool_)
    for x1, y1, x2, y2 in ignored:
        skip |= (centres[:, 0] > x1) & (centres[:, 0] < x2) & (centres[:, 1] > y1) & (centres[:, 1] < y2)
    heights = boxes[:, 3] - boxes[:, 1]
    for face in np.argsort(-heights, kind="stable").tolist():
        x1, y1, x2, y2 = boxes[face].tolist()
        height, width = y2 - y1, x2 - x1
        cx, cy = (x1 + x2) / 2, (y1 + y2) / 2
        away = np.maximum(np.abs(centres[:, 0] - cx), np.abs(centres[:, 1] - cy))
        if height < SMALLEST:
            # its own cells and their neighbours
            skip |= away < np.maximum(strides, height)
            continue
        inside = np.maximum(np.abs(centres[:, 0] - cx) / width, np.abs(centres[:, 1] - cy) / height) < 0.45
        for stride, (low, high) in zip(STRIDES, HEIGHTS, strict=True):
            near = levels[stride] & (away < 1.5 * stride) & (inside | (away <= stride / 2))
            if low <= height < high:
                answering = levels[stride] & (away < _RADIUS * stride) & inside
                if not answering.any():
                    # the cell that holds the centre
                    answering = levels[stride] & (away <= away[levels[stride]].min())
                owner[answering] = face
                # between the cells that answer and the background lie cells that may do either
                skip |= near
            elif 0.7 * low <= height < 1.4 * high:
                skip |= near
    cells = np.flatnonzero(owner >= 0).astype(np.int64)
    skip[cells] = False
    return CellTargets(cells, owner[cells], skip)
