"""Faces made unrecognisable: pixels are replaced, so that what remains are the means of a coarse mosaic, or nothing.

A cell of the mosaic shows the mean of its pixels, rounded to a few levels and shifted by noise. The grid lies on the
face and the noise of a cell stays the same through a video, so that neither moving the face nor averaging over frames
adds detail; its key is random and kept nowhere.

Source:
    McPherson, R., Shokri, R. and Shmatikov, V. (2016), Defeating image obfuscation with deep learning
    (https://arxiv.org/abs/1609.00408): networks recognise people in fine mosaics, so that the cells are large here.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mien.errors import InputError, choose_one
from mien.results.video import VideoReport

WHOSE = ("all", "others")
"""Whose faces are blurred: all, or all but those of `Blur.keep`."""
STYLES = ("mosaic", "solid")
CELLS = 6
"""Cells of the mosaic across the longer side of a face."""
MARGIN = 0.25
"""Margin around a box, as a share of its longer side: hair and chin are part of a person too."""
_LEVELS, _NOISE = 16, 12
"""Levels of a mean, and the greatest shift of a cell, of 255."""
_SOLID = 96
EXTENSION = 0.5
"""Seconds for which a box is kept before the first and after the last frame of a track."""
Box = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels."""


@dataclass(frozen=True, slots=True)
class Blur:
    """Which faces are made unrecognisable in annotated pictures and videos, and how.

    Attributes:
        whose: "all" or "others".
        keep: with "others", the faces that stay: their numbers in the tables (faces of a photo, tracks of a video).
        style: "mosaic", or "solid" for a grey area.
        key: of the noise; random by default.

    Raises:
        InputError: a value that does not exist, or a number below 1.

    Examples:
        >>> blur = Blur("others", keep=frozenset({1}), style="solid")
        >>> blur.hides(1), blur.hides(2), blur.describe()
        (False, True, {'whose': 'others', 'keep': [1], 'style': 'solid'})
        >>> blurred = blur.apply(np.zeros((64, 64, 3), np.uint8), [(2, (16.0, 16.0, 48.0, 48.0))])
        >>> int(blurred.max())
        96
        >>> result.save("blurred.png", blur=Blur()).name
        'blurred.png'
    """

    whose: str = "all"
    keep: frozenset[int] = frozenset({1})
    style: str = "mosaic"
    key: int = field(default_factory=lambda: secrets.randbits(63), repr=False, compare=False)

    def __post_init__(self) -> None:
        for name, value, known in (("blur", self.whose, WHOSE), ("blur style", self.style, STYLES)):
            if value not in known:
                raise InputError(f"no {name} {value!r}", advice=choose_one(value, known))
        if self.whose == "others" and (not self.keep or min(self.keep) < 1):
            raise InputError("the faces that stay are numbers from 1", advice="give the numbers of the tables")

    def hides(self, number: int) -> bool:
        """Whether the face of this number is blurred."""
        return self.whose == "all" or number not in self.keep

    def describe(self) -> dict[str, object]:
        """JSON-ready values, without the key."""
        return {"whose": self.whose, "keep": sorted(self.keep), "style": self.style}

    def apply(self, rgb: NDArray[np.uint8], boxes: Iterable[tuple[int, Box]]) -> NDArray[np.uint8]:
        """The picture with these faces replaced: RGB uint8 ``(h, w, 3)``, a copy.

        Args:
            rgb: RGB uint8 ``(h, w, 3)``.
            boxes: number of a face, and its box, xyxy pixels.
        """
        out = rgb.copy()
        for number, box in boxes:
            self._replace(out, number, box)
        return out

    def _replace(self, rgb: NDArray[np.uint8], number: int, box: Box) -> None:
        if not np.isfinite(box).all():
            return
        height, width = rgb.shape[:2]
        side = max(box[2] - box[0], box[3] - box[1], 1.0)
        grown = (
            box[0] - MARGIN * side, box[1] - MARGIN * side, box[2] + MARGIN * side, box[3] + MARGIN * side,
        )  # fmt: skip
        x1, y1 = max(int(np.floor(grown[0])), 0), max(int(np.floor(grown[1])), 0)
        x2, y2 = min(int(np.ceil(grown[2])), width), min(int(np.ceil(grown[3])), height)
        if x2 <= x1 or y2 <= y1:
            return
        if self.style == "solid":
            rgb[y1:y2, x1:x2] = _SOLID
            return
        # cells are counted from the corner of the grown box, which may lie outside the picture
        cell = side * (1 + 2 * MARGIN) / round(CELLS * (1 + 2 * MARGIN))
        columns = np.floor((np.arange(x1, x2) + 0.5 - grown[0]) / cell).astype(np.intp)
        rows = np.floor((np.arange(y1, y2) + 0.5 - grown[1]) / cell).astype(np.intp)
        columns, first_columns, at_column, widths = _runs(np.maximum(columns, 0))
        rows, first_rows, at_row, heights = _runs(np.maximum(rows, 0))
        area = rgb[y1:y2, x1:x2].astype(np.float64)
        sums = np.add.reduceat(np.add.reduceat(area, first_rows, axis=0), first_columns, axis=1)
        step = 255 / (_LEVELS - 1)
        means = np.round(sums / (heights[:, None] * widths)[..., None] / step) * step
        cells = np.clip(means + self._noise(number, rows, columns), 0, 255).round().astype(np.uint8)
        rgb[y1:y2, x1:x2] = cells[at_row][:, at_column]

    def _noise(self, number: int, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[np.float64]:
        """``(rows, columns, 3)`` shifts; those of a cell depend on the key, the face and the cell's place alone."""
        size = 4 * CELLS
        noise = np.random.default_rng([self.key, abs(number)]).uniform(-_NOISE, _NOISE, (size, size, 3))
        return noise[rows % size][:, columns % size]


def _runs(cells: NDArray[np.intp]) -> tuple[NDArray[np.intp], ...]:
    """Ascending numbers → each once, where it stands first, its index for each of them, and how often it stands."""
    return np.unique(cells, return_index=True, return_inverse=True, return_counts=True)


def boxes_to_hide(report: VideoReport, blur: Blur) -> dict[int, list[tuple[int, Box]]]:
    """Number of a frame → the faces to hide on it: number of the track, and box xyxy pixels."""
    records = report.rows.records
    frames, first = np.unique(records["frame"], return_index=True)
    times = records["time"][first]
    scene = np.cumsum(records["cut"][first])
    found: dict[int, list[tuple[int, Box]]] = {}
    for track in np.unique(records["track"][records["track"] > 0]).tolist():
        if not blur.hides(track):
            continue
        mine = records[records["track"] == track]
        at = np.searchsorted(frames, mine["frame"])
        for place, box in _boxes_of_frames(at, mine["box"].astype(np.float64), times, scene):
            found.setdefault(int(frames[place]), []).append((track, box))
    return found


def _boxes_of_frames(
    at: NDArray[np.intp], boxes: NDArray[np.float64], times: NDArray[np.float64], scene: NDArray[np.intp]
) -> list[tuple[int, Box]]:
    """The box on every frame from a moment before the first to a moment after the last of a track."""
    first, last = int(at[0]), int(at[-1])
    while first > 0 and scene[first - 1] == scene[at[0]] and times[at[0]] - times[first - 1] <= EXTENSION:
        first -= 1
    while last + 1 < len(times) and scene[last + 1] == scene[at[-1]] and times[last + 1] - times[at[-1]] <= EXTENSION:
        last += 1
    places = np.arange(first, last + 1)
    corners = np.stack([np.interp(times[places], times[at], boxes[:, i]) for i in range(4)], axis=1)
    # where the face was not seen, it may have moved: the box covers where it was before and after as well
    after = np.clip(np.searchsorted(at, places), 0, len(at) - 1)
    before = np.clip(np.searchsorted(at, places, side="right") - 1, 0, len(at) - 1)
    corners[:, :2] = np.minimum(corners[:, :2], np.minimum(boxes[before, :2], boxes[after, :2]))
    corners[:, 2:] = np.maximum(corners[:, 2:], np.maximum(boxes[before, 2:], boxes[after, 2:]))
    return [(int(place), (x1, y1, x2, y2)) for place, (x1, y1, x2, y2) in zip(places, corners.tolist(), strict=True)]
