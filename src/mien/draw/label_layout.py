"""Layout of the labels of faces: inside the picture, beside the face, not on other faces and labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.draw.panel import PanelDetail

Rect = tuple[int, int, int, int]
_OWN, _FACE, _LABEL = 2.0, 1.5, 3.0
"""Cost of a covered pixel: of the label's own face, of another face, of another label."""
_TOLERABLE = 0.2
"""Share of its own face that a label may cover where there is no free position."""
_MAX_AREA = 0.4
"""Greatest share of the picture for one label."""
_MIN_EM = 7
_WORSE = 1.3
"""Factor on the cost of the best position above which a label moves there."""
_SLACK = 0.015
"""Share of a face's side by which its box may jitter before the label moves with it."""
_PATIENCE = 25
"""Frames for which a label must have had room for more detail before it shows more."""


@dataclass(frozen=True, slots=True)
class PanelPlacement:
    """Position of a label; it lies inside the picture.

    Attributes:
        detail: how much it shows.
        em: text size, pixels.
        rect: xyxy pixels.
        side: index of the position around the face.
        waited: frames for which there has been room for more detail.
    """

    detail: PanelDetail
    em: int
    rect: Rect
    side: int = 0
    waited: int = 0


def text_size(box: NDArray[np.float32], size: tuple[int, int]) -> int:
    """Size of the small text, pixels: grows with the face, within the legible range in a picture of (width, height)."""
    short = min(size)
    face = float(min(box[2] - box[0], box[3] - box[1]))
    return max(11, round(min(max(0.1 * face, 0.016 * short), 0.032 * short)))


def place_panels(
    boxes: NDArray[np.float32],
    size: tuple[int, int],
    measure: Callable[[int, PanelDetail, int], tuple[int, int]],
    gap: int,
    before: Sequence[PanelPlacement | None] | None = None,
) -> list[PanelPlacement | None]:
    """A position for each face's label, None where the picture is too small for any.

    Large faces are placed first. Each gets the most detailed label that covers nothing in any of its positions; where
    there is none, the most detailed that covers only a little of its own face; then the one that covers least. A label
    of the previous frame keeps its position beside the face unless another is clearly better.

    Args:
        boxes: ``(n, 4)`` float32 xyxy pixels inside the picture.
        size: (width, height) of the picture, pixels.
        measure: (face, detail, text size) → (width, height) of the label, pixels.
        gap: pixels between a box and its label.
        before: the label of each face in the previous frame, None for a new face.
    """
    before = [None] * len(boxes) if before is None else before
    placements: list[PanelPlacement | None] = [None] * len(boxes)
    occupied: list[Rect] = []
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    # new faces are placed after those that had a label
    order = np.lexsort((-areas, np.array([previous is None for previous in before], np.bool_)))
    for i in order:
        placer = _PanelPlacer(int(i), boxes, size, measure, gap, np.array(occupied, np.float32).reshape(-1, 4))
        previous = before[int(i)]
        placement = placer.best() if previous is None else placer.keep_place(previous)
        if placement is not None:
            placements[int(i)] = placement
            x1, y1, x2, y2 = placement.rect
            occupied.append((x1 - 1, y1 - 1, x2 + 1, y2 + 1))  # labels that touch read as one
    return placements


@dataclass(frozen=True, slots=True, eq=False)
class _PanelPlacer:
    """Places the panel of face ``i``: arguments of `place_panels`, and the panels that are placed already."""

    i: int
    boxes: NDArray[np.float32]
    size: tuple[int, int]
    measure: Callable[[int, PanelDetail, int], tuple[int, int]]
    gap: int
    labels: NDArray[np.float32]

    def best(self) -> PanelPlacement | None:
        """The best position for a face without a previous one."""
        box = self.boxes[self.i]
        tolerable: PanelPlacement | None = None
        best: PanelPlacement | None = None
        least = np.inf
        for detail, em in _levels(text_size(box, self.size)):
            extent = self.measure(self.i, detail, em)
            if not _fits(extent, self.size, detail):
                continue
            for side, rect in enumerate(_positions(box, extent, self.size, self.gap)):
                own, foreign = self._coverage(rect)
                if own + foreign < 1:
                    return PanelPlacement(detail, em, rect, side)
                if tolerable is None and foreign < 1 and own <= _TOLERABLE * _area(box):
                    tolerable = PanelPlacement(detail, em, rect, side)
                if _OWN * own + foreign < least:
                    best, least = PanelPlacement(detail, em, rect, side), _OWN * own + foreign
            if best is not None and detail is PanelDetail.NAME:
                break  # smaller text would only be harder to read
        return tolerable or best

    def keep_place(self, previous: PanelPlacement) -> PanelPlacement | None:
        """The previous position beside the face, unless another is clearly better."""
        best = self.best()
        box = self.boxes[self.i]
        em = text_size(box, self.size)
        if abs(em - previous.em) <= max(1, 0.2 * previous.em) or previous.em < min(em, 11):
            em = previous.em
        extent = self.measure(self.i, previous.detail, em)
        if best is None or not _fits(extent, self.size, previous.detail):
            return best
        rect = list(_positions(box, extent, self.size, self.gap))[previous.side]
        rect = _lag(rect, previous.rect, self.size, slack=round(_SLACK * float(min(box[2] - box[0], box[3] - box[1]))))
        cost, least = self._cost(rect), self._cost(best.rect)
        small = 0.03 * (rect[2] - rect[0]) * (rect[3] - rect[1])
        if cost > max(_WORSE * least, small) and best.detail <= previous.detail + 1:
            return best
        more = best.detail < previous.detail and least <= cost
        if more and previous.waited >= _PATIENCE:
            return best
        return PanelPlacement(previous.detail, em, rect, previous.side, previous.waited + 1 if more else 0)

    def _coverage(self, rect: Rect) -> tuple[float, float]:
        """Pixels² of its own face under a label, and the cost of other faces and labels under it."""
        own = _covered(rect, self.boxes[self.i : self.i + 1])
        return own, _FACE * (_covered(rect, self.boxes) - own) + _LABEL * _covered(rect, self.labels)

    def _cost(self, rect: Rect) -> float:
        own, foreign = self._coverage(rect)
        return _OWN * own + foreign


def _lag(rect: Rect, before: Rect, size: tuple[int, int], *, slack: int) -> Rect:
    """The rectangle ``before`` moved just far enough to be within ``slack`` pixels of ``rect``."""
    width, height = rect[2] - rect[0], rect[3] - rect[1]
    x = min(max(before[0], rect[0] - slack, 0), rect[0] + slack, size[0] - width)
    y = min(max(before[1], rect[1] - slack, 0), rect[1] + slack, size[1] - height)
    return x, y, x + width, y + height


def _area(box: NDArray[np.float32]) -> float:
    return float((box[2] - box[0]) * (box[3] - box[1]))


def _levels(em: int) -> Iterator[tuple[PanelDetail, int]]:
    for detail in PanelDetail:
        yield detail, em
    for smaller in range(em - 1, _MIN_EM - 1, -1):
        yield PanelDetail.NAME, smaller


def _fits(extent: tuple[int, int], size: tuple[int, int], detail: PanelDetail) -> bool:
    if extent[0] > size[0] or extent[1] > size[1]:
        return False
    return detail is PanelDetail.NAME or extent[0] * extent[1] <= _MAX_AREA * size[0] * size[1]


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
