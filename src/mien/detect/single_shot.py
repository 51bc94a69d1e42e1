"""From the raw outputs of the single-shot detector to faces: grid, distances, points, suppression. NumPy only.

The network (`mien.networks.detector`) returns per stride 8, 16, 32 a tensor ``(n, 15, h / stride, w / stride)``: logit
of the score, logarithms of four distances in strides, five points from the box's centre in its width and height.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.errors import InputError

Floats = NDArray[np.float32]

STRIDES = (8, 16, 32)
MULTIPLE = 32
"""Both sides of what the network takes are multiples of this."""
PADDING = 128
"""Pixel value right of and below a picture whose sides are no such multiples: zero to the network."""
MAX_CANDIDATES = 2000
"""Cells of one picture that suppression compares, the best first: more means a threshold near zero."""
_MAX_LOG_DISTANCE = 4.0
COARSE_SIDE = 224
_COARSE_FACE = 32
"""Height in pixels from which a face of the small copy counts: the smaller ones are seen better in the picture."""

Forward = Callable[[NDArray[np.uint8]], Sequence[Floats]]
"""From RGB uint8 ``(n, h, w, 3)`` to the outputs per stride, ``(n, 15, h / stride, w / stride)`` float32."""


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Boxes of one picture.

    Attributes:
        boxes: ``(n, 4)`` float32 xyxy pixels.
        scores: ``(n,)`` float32, 0–1.
        landmarks: ``(n, 5, 2)`` float32 xy pixels.
    """

    boxes: Floats
    scores: Floats
    landmarks: Floats

    def __len__(self) -> int:
        return len(self.scores)

    def select(self, rows: NDArray[np.integer] | NDArray[np.bool_]) -> Candidates:
        """These rows."""
        return Candidates(self.boxes[rows], self.scores[rows], self.landmarks[rows])

    def scaled(self, factor: float) -> Candidates:
        """Coordinates times a factor."""
        return Candidates(self.boxes * np.float32(factor), self.scores, self.landmarks * np.float32(factor))


def concatenate(parts: Sequence[Candidates]) -> Candidates:
    """Several sets of boxes of one picture as one."""
    return Candidates(
        np.concatenate([p.boxes for p in parts]),
        np.concatenate([p.scores for p in parts]),
        np.concatenate([p.landmarks for p in parts]),
    )


def pad_picture(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The picture with a gray margin right and below, both sides multiples of 32."""
    height, width = rgb.shape[:2]
    tall, wide = -height % MULTIPLE, -width % MULTIPLE
    if not tall and not wide:
        return rgb
    return np.pad(rgb, ((0, tall), (0, wide), (0, 0)), constant_values=PADDING)


def decode(outputs: Sequence[Floats], threshold: float) -> Candidates:
    """Every cell of one picture whose score reaches the threshold.

    Args:
        outputs: per stride ``(15, h / stride, w / stride)``.
        threshold: score, between 0 and 1.

    Returns:
        Up to `MAX_CANDIDATES` boxes, best score first.

    Raises:
        InputError: a threshold outside its range.
    """
    if not 0 < threshold < 1:
        raise InputError(f"threshold must lie between 0 and 1, got {threshold}")
    least = float(np.log(threshold) - np.log1p(-threshold))
    values, centres, strides = [], [], []
    for output, stride in zip(outputs, STRIDES, strict=True):
        rows, columns = np.nonzero(output[0] >= least)
        values.append(output[:, rows, columns].T)
        centres.append((np.stack([columns, rows], axis=1).astype(np.float32) + 0.5) * stride)
        strides.append(np.full((len(rows), 1), stride, np.float32))
    value, centre, stride_of = np.concatenate(values), np.concatenate(centres), np.concatenate(strides)
    order = np.argsort(-value[:, 0], kind="stable")[:MAX_CANDIDATES]
    value, centre, stride_of = value[order], centre[order], stride_of[order]
    distances = np.exp(np.minimum(value[:, 1:5], _MAX_LOG_DISTANCE)) * stride_of
    boxes = np.concatenate([centre - distances[:, :2], centre + distances[:, 2:]], axis=1)
    middle, size = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    points = middle[:, None] + value[:, 5:].reshape(-1, 5, 2) * size[:, None]
    scores = 1 / (1 + np.exp(-value[:, 0]))
    return Candidates(boxes.astype(np.float32), scores.astype(np.float32), points.astype(np.float32))


def suppress(candidates: Candidates, overlap: float = 0.45, *, vote: float = 0.6) -> Candidates:
    """Greedy non-maximum suppression; each box that is kept becomes the mean of those it stands for.

    Args:
        candidates: boxes, best score first.
        overlap: a box falls when its intersection over union with a better one that is kept is above this.
        vote: boxes and points of those that overlap a kept one by at least this are averaged, weighted by score
            times overlap; 1 averages none.

    Returns:
        The boxes kept, best score first, with the scores of the best.
    """
    n = len(candidates)
    if n == 0:
        return candidates
    shared = _overlaps(candidates.boxes)
    covers = np.triu(shared > overlap, 1)
    kept: NDArray[np.bool_] = np.ones(n, np.bool_)
    # a box stands when no standing one before it covers it: what is right for the first k boxes is right for one more
    # after each pass, and in practice for all of them after two or three
    for _ in range(n):
        now = np.asarray(~covers[kept].any(axis=0), np.bool_)
        if np.array_equal(now, kept):
            break
        kept = now
    rows = np.flatnonzero(kept)
    if vote >= 1:
        return candidates.select(rows)
    weights = np.where(shared[rows] >= vote, shared[rows], 0) * candidates.scores
    weights[np.arange(len(rows)), rows] = candidates.scores[rows]
    # a box votes for the best of those it overlaps only
    weights *= shared[rows] >= shared[rows].max(axis=0)
    weights /= weights.sum(axis=1, keepdims=True)
    boxes = weights @ candidates.boxes
    points = (weights @ candidates.landmarks.reshape(n, -1)).reshape(-1, 5, 2)
    return Candidates(boxes.astype(np.float32), candidates.scores[rows], points.astype(np.float32))


def detect(forward: Forward, rgb: NDArray[np.uint8], threshold: float, *, coarse: int = COARSE_SIDE) -> Candidates:
    """The faces of one picture, best score first: at its own scale, and large ones in a small copy as well.

    Args:
        forward: the network.
        rgb: RGB uint8 ``(h, w, 3)``.
        threshold: score, between 0 and 1.
        coarse: longer side in pixels of the small copy, in which faces that fill the picture have a usual size; 0 for
            none. It costs a few percent of the first look.
    """
    found = [decode([output[0] for output in forward(pad_picture(rgb)[None])], threshold)]
    height, width = rgb.shape[:2]
    scale = coarse / max(height, width)
    if 0 < scale <= 0.7:
        size = max(round(width * scale), 1), max(round(height * scale), 1)
        small = np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)
        seen = decode([output[0] for output in forward(pad_picture(small)[None])], threshold)
        tall = seen.boxes[:, 3] - seen.boxes[:, 1] >= _COARSE_FACE
        found.append(seen.select(tall).scaled(1 / scale))
    if len(found) == 1:
        return suppress(found[0])
    both = concatenate(found)
    return suppress(both.select(np.argsort(-both.scores, kind="stable")))


def _overlaps(boxes: Floats) -> Floats:
    """``(n, n)`` intersection over union."""
    x1, y1, x2, y2 = np.ascontiguousarray(boxes.T)
    shared = np.minimum(x2[:, None], x2) - np.maximum(x1[:, None], x1)
    np.maximum(shared, 0, out=shared)
    tall = np.minimum(y2[:, None], y2) - np.maximum(y1[:, None], y1)
    shared *= np.maximum(tall, 0, out=tall)
    areas = np.maximum((x2 - x1) * (y2 - y1), 1e-9)
    return np.asarray(shared / (areas[:, None] + areas - shared), np.float32)
