"""Where the label of each face goes: inside the picture, beside the face, off other faces and labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.render.panel import Detail

Rect = tuple[int, int, int, int]
_OWN, _FACE, _LABEL = 2.0, 1.5, 3.0
"""Price of a covered pixel: of the label's own face, of another face, of another label."""
_TOLERABLE = 0.2
"""Share of its own face that a label may cover where there is no free place at all."""
_LARGEST = 0.4
"""Share of the picture that one label may take."""
_SMALLEST_EM = 7


@dataclass(frozen=True, slots=True)
class Placement:
    """A label's level of detail, text size in pixels and xyxy pixels; it lies inside the picture."""

    detail: Detail
    em: int
    rect: Rect


def text_size(box: NDArray[np.float32], size: tuple[int, int]) -> int:
    """Pixels of the small text: grows with the face, within what is legible in a picture of (width, height)."""
    short = min(size)
    face = float(min(box[2] - box[0], box[3] - box[1]))
    return max(11, round(min(max(0.1 * face, 0.016 * short), 0.032 * short)))


def place(
    boxes: NDArray[np.float32],
    size: tuple[int, int],
    measure: Callable[[int, Detail, int], tuple[int, int]],
    gap: int,
) -> list[Placement | None]:
    """A place for each face's label, None where the picture is too small for any.

    Large faces choose first. Each takes the most detailed label that covers nothing in any of its positions; where
    there is none, the most detailed that covers a little of its own face alone; then the one that covers least.

    Args:
        boxes: ``(n, 4)`` float32 xyxy pixels inside the picture.
        size: (width, height) of the picture, pixels.
        measure: (face, detail, text size) → (width, height) of the label, pixels.
        gap: pixels between a box and its label.
    """
    places: list[Placement | None] = [None] * len(boxes)
    taken: list[Rect] = []
    order = np.argsort(-((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])), kind="stable")
    for i in order:
        found = _best(int(i), boxes, size, measure, gap, taken)
        if found is not None:
            places[int(i)] = found
            x1, y1, x2, y2 = found.rect
            taken.append((x1 - 1, y1 - 1, x2 + 1, y2 + 1))  # labels that touch read as one
    return places


def _best(
    i: int,
    boxes: NDArray[np.float32],
    size: tuple[int, int],
    measure: Callable[[int, Detail, int], tuple[int, int]],
    gap: int,
    taken: Sequence[Rect],
) -> Placement | None:
    others = np.delete(boxes, i, axis=0)
    labels = np.array(taken, np.float32).reshape(-1, 4)
    tolerable: Placement | None = None
    best: Placement | None = None
    least = np.inf
    own_area = float((boxes[i, 2] - boxes[i, 0]) * (boxes[i, 3] - boxes[i, 1]))
    for detail, em in _levels(text_size(boxes[i], size)):
        extent = measure(i, detail, em)
        if not _fits(extent, size, detail):
            continue
        for rect in _positions(boxes[i], extent, size, gap):
            own = _covered(rect, boxes[i : i + 1])
            foreign = _FACE * _covered(rect, others) + _LABEL * _covered(rect, labels)
            if own + foreign < 1:
                return Placement(detail, em, rect)
            if tolerable is None and foreign < 1 and own <= _TOLERABLE * own_area:
                tolerable = Placement(detail, em, rect)
            if _OWN * own + foreign < least:
                best, least = Placement(detail, em, rect), _OWN * own + foreign
        if best is not None and detail is Detail.NAME:
            break  # smaller text would only be harder to read
    return tolerable or best


def _levels(em: int) -> Iterator[tuple[Detail, int]]:
    for detail in Detail:
        yield detail, em
    for smaller in range(em - 1, _SMALLEST_EM - 1, -1):
        yield Detail.NAME, smaller


def _fits(extent: tuple[int, int], size: tuple[int, int], detail: Detail) -> bool:
    if extent[0] > size[0] or extent[1] > size[1]:
        return False
    return detail is Detail.NAME or extent[0] * extent[1] <= _LARGEST * size[0] * size[1]


def _positions(box: NDArray[np.float32], extent: tuple[int, int], size: tuple[int, int], gap: int) -> Iterator[Rect]:
    """Above, below, right and left of the box, then inside it from the chin upwards; moved into the picture."""
    w, h = extent
    x1, y1 = int(np.floor(box[0])), int(np.floor(box[1]))
    x2, y2 = int(np.ceil(box[2])), int(np.ceil(box[3]))
    for x, y in (
        (x1, y1 - gap - h), (x2 - w, y1 - gap - h),
        (x1, y2 + gap), (x2 - w, y2 + gap),
        (x2 + gap, y1), (x2 + gap, y2 - h),
        (x1 - gap - w, y1), (x1 - gap - w, y2 - h),
        (x1 + gap, y2 - gap - h), (x2 - gap - w, y2 - gap - h), (x1 + gap, y1 + gap), (x2 - gap - w, y1 + gap),
    ):  # fmt: skip
        x, y = min(max(x, 0), size[0] - w), min(max(y, 0), size[1] - h)
        yield x, y, x + w, y + h


def _covered(rect: Rect, boxes: NDArray[np.float32]) -> float:
    """Pixels² of ``(n, 4)`` boxes that lie under a rectangle."""
    if not len(boxes):
        return 0.0
    width = np.minimum(boxes[:, 2], rect[2]) - np.maximum(boxes[:, 0], rect[0])
    height = np.minimum(boxes[:, 3], rect[3]) - np.maximum(boxes[:, 1], rect[1])
    return float((np.clip(width, 0, None) * np.clip(height, 0, None)).sum())
