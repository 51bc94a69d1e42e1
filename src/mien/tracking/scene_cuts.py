"""Where a new scene starts: hard cuts, found from tiny gray pictures of neighbouring frames.

Each block of the new picture is looked for near its place in the one before. A camera that moves, zooms or shakes and
people who walk leave most blocks findable; light leaves them alike, because they are compared by correlation. After a
cut hardly a block is found.

Found: cuts between places, and between views of one place; a fade through black, as one cut when the new scene shows.
Not found: dissolves, cuts after which most of the picture is as before, and shots of a single frame. Taken for a cut: a
camera that swings by more than a fifth of the picture from one frame to the next, which at few frames a second is no
great speed, and something that suddenly covers most of the picture.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.errors import InputError
from mien.geometry import resize

Thumb = NDArray[np.uint8]

_WIDTH, _HEIGHT = 40, 30
_FINE = 4
"""Pixels that are averaged for one of the tiny picture's, along each side."""
_BLOCK, _REACH = 10, 8
"""Side of a block and how far it is looked for, in pixels of the tiny picture."""
_ALIKE = 0.7
"""Mean correlation, over blocks weighed by contrast, below which the scene is another."""
_DROP = 0.15
"""How much less alike two neighbouring frames have to be than the two before them: in a fast swing no frame is found in
the one before, and only the first of them can be a cut."""
_CONTRAST = 8.0
"""Standard deviation in levels at which a block counts half."""
_BLANK = 5.0
"""A whole picture with less is black, white or fog: nothing can be compared with it."""
_STILL = 0.15
"""Mean difference of two tiny pictures, over the contrast of one, below which nothing needs to be looked for."""
_MEMORY = 2
"""Pictures that a new one is compared with: the end of a flash or of one broken frame is no cut."""


class SceneCutDetector:
    """Finds hard cuts while the frames of a video go by, looking at nothing but the past. Not for several threads."""

    def __init__(self) -> None:
        self._past: list[Thumb] = []
        self._likeness = 1.0

    def update(self, rgb: NDArray[np.uint8]) -> bool:
        """Whether a new scene starts with this frame; the first frame starts none.

        Args:
            rgb: RGB uint8 ``(h, w, 3)``, of any size.

        Raises:
            InputError: another kind of picture.
        """
        if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3 or 0 in rgb.shape:
            raise InputError(f"scene cuts are found in RGB uint8 (height, width, 3), got {rgb.dtype} {rgb.shape}")
        now = _thumb(rgb)
        if now.std() < _BLANK:
            return False
        best = thumbnail_similarity(self._past[0], now) if self._past else 1.0
        limit = min(_ALIKE, self._likeness - _DROP)
        if best < limit:
            best = max([best, *(thumbnail_similarity(before, now) for before in self._past[1:])])
        self._past, self._likeness = [now, *self._past[: _MEMORY - 1]], best
        return best < limit

    def state(self) -> dict[str, Any]:
        """JSON-ready: all that `restore` needs to continue."""
        return {"past": [thumb.tolist() for thumb in self._past], "thumbnail_similarity": self._likeness}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from what `state` gave."""
        past = [np.array(thumb, np.uint8) for thumb in state["past"]]
        if len(past) > _MEMORY or any(thumb.shape != (_HEIGHT, _WIDTH) for thumb in past):
            raise InputError("the saved state is of other pictures: begin the video anew, without it")
        self._past = past
        self._likeness = float(state["thumbnail_similarity"])


def thumbnail_similarity(before: Thumb, now: Thumb) -> float:
    """How much of a tiny picture can be found near its place in another: about 0 to 1 (all of it).

    Args:
        before: uint8 ``(30, 40)``.
        now: likewise.
    """
    if cv2.norm(before, now, cv2.NORM_L1) < _STILL * now.size * now.std():
        return 1.0
    around = cv2.copyMakeBorder(before, _REACH, _REACH, _REACH, _REACH, cv2.BORDER_REFLECT)
    total = weights = 0.0
    for y in range(0, _HEIGHT, _BLOCK):
        for x in range(0, _WIDTH, _BLOCK):
            block = now[y : y + _BLOCK, x : x + _BLOCK]
            contrast = float(block.std())
            if contrast < 0.5:
                continue
            near = around[y : y + _BLOCK + 2 * _REACH, x : x + _BLOCK + 2 * _REACH]
            best = float(cv2.matchTemplate(near, block, cv2.TM_CCOEFF_NORMED).max())
            weight = contrast / (contrast + _CONTRAST)
            # OpenCV divides by nothing where the other picture is flat
            total += weight * min(best, 1.0)
            weights += weight
    return total / weights if weights else 1.0


def _thumb(rgb: NDArray[np.uint8]) -> Thumb:
    # taking a pixel here and there first makes the cost independent of the frame's size
    some = cv2.resize(rgb, (_WIDTH * _FINE, _HEIGHT * _FINE), interpolation=cv2.INTER_NEAREST)
    gray = cv2.cvtColor(some, cv2.COLOR_RGB2GRAY)
    return resize(np.asarray(gray, np.uint8), (_WIDTH, _HEIGHT))
