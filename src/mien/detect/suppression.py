"""Greedy non-maximum suppression for the thousands of candidates a dense detector proposes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.geometry import iou

_BLOCK = 256
"""Boxes compared at once: few calls for a handful of boxes, and memory that grows with a crowd, not with its square."""


def suppress(
    boxes: NDArray[np.float32], scores: NDArray[np.float32], threshold: float, *, over_smaller: bool = False
) -> NDArray[np.intp]:
    """What `mien.geometry.nms` keeps, in the same order, with one overlap matrix a block instead of one row a box.

    Args:
        boxes: ``(n, 4)`` xyxy pixels.
        scores: ``(n,)``, any scale.
        threshold: a box falls when its overlap (0–1) with a better one that is kept is above it.
        over_smaller: overlap over the smaller box's area instead of over the union.

    Returns:
        Indices of the boxes kept, best score first.
    """
    order = np.argsort(-scores, kind="stable")
    kept = np.empty(0, np.intp)
    for start in range(0, len(order), _BLOCK):
        block = order[start : start + _BLOCK]
        if len(kept):
            covered = (iou(boxes[kept], boxes[block], over_smaller=over_smaller) > threshold).any(axis=0)
            block = block[~covered]
        over = iou(boxes[block], boxes[block], over_smaller=over_smaller) > threshold
        alive = np.ones(len(block), np.bool_)
        for i in range(len(block) - 1):
            if alive[i]:
                alive[i + 1 :] &= ~over[i, i + 1 :]
        kept = np.concatenate([kept, block[alive]])
    return kept
