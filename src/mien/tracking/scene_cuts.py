"""Detection of scene cuts: hard cuts, from tiny gray thumbnails of neighbouring frames.

Each block of a thumbnail is matched near its position in the previous one. While a camera moves, zooms or shakes and
people walk, most blocks still match; a change of light does not matter, because blocks are compared by correlation.
After a cut hardly a block matches.

Detected: cuts between places and between views of one place; a fade through black, as one cut when the new scene shows.
Not detected: dissolves, cuts after which most of the picture is as before, and shots of a single frame. False cuts: a
camera that swings by more than a fifth of the picture between two frames, which at few frames per second is no great
speed, and something that suddenly covers most of the picture.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.errors import InputError
from mien.geometry import resize

Thumbnail = NDArray[np.uint8]

_WIDTH, _HEIGHT = 40, 30
_SAMPLES = 4
"""Samples that are averaged for one pixel of a thumbnail, along each side."""
_BLOCK, _REACH = 10, 8
"""Side of a block and the distance up to which it is matched, pixels of the thumbnail."""
_SAME_SCENE = 0.7
"""Similarity below which the scene is another."""
_DROP = 0.15
"""Least drop of the similarity from one pair of frames to the next at a cut: in a fast swing no frame matches the
previous one, and only the first of them can be a cut."""
_CONTRAST = 8.0
"""Standard deviation in gray levels at which a block has half its full weight."""
_BLANK = 5.0
"""Standard deviation below which a picture is black, white or fog: nothing can be compared with it."""
_STILL = 0.15
"""Mean difference of two thumbnails, over the contrast of one, below which blocks need not be matched."""
_MEMORY = 2
"""Number of thumbnails that a new one is compared with: the end of a flash or of one broken frame is no cut."""


class SceneCutDetector:
    """Detects hard cuts frame by frame, from past frames alone. Not for several threads."""

    def __init__(self) -> None:
        self._past: list[Thumbnail] = []
        self._similarity = 1.0

    def update(self, rgb: NDArray[np.uint8]) -> bool:
        """Whether a new scene starts with this frame; the first frame starts none.

        Args:
            rgb: RGB uint8 ``(h, w, 3)``, of any size.

        Raises:
            InputError: another kind of picture.
        """
        if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3 or 0 in rgb.shape:
            raise InputError(f"scene cuts are detected in RGB uint8 (height, width, 3), got {rgb.dtype} {rgb.shape}")
        now = _thumbnail(rgb)
        if now.std() < _BLANK:
            return False
        best = thumbnail_similarity(self._past[0], now) if self._past else 1.0
        limit = min(_SAME_SCENE, self._similarity - _DROP)
        if best < limit:
            best = max([best, *(thumbnail_similarity(before, now) for before in self._past[1:])])
        self._past, self._similarity = [now, *self._past[: _MEMORY - 1]], best
        return best < limit

    def state(self) -> dict[str, Any]:
        """JSON-ready: all that `restore` needs to continue."""
        return {"past": [thumb.tolist() for thumb in self._past], "similarity": self._similarity}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a `state`; `InputError` where its thumbnails have another size."""
        past = [np.array(thumb, np.uint8) for thumb in state["past"]]
        if len(past) > _MEMORY or any(thumb.shape != (_HEIGHT, _WIDTH) for thumb in past):
            raise InputError("the saved state is of other pictures", advice="start the video again, without it")
        self._past = past
        self._similarity = float(state["similarity"])


def thumbnail_similarity(before: Thumbnail, now: Thumbnail) -> float:
    """How well the blocks of one thumbnail match another: mean correlation weighted by contrast, about 0 to 1.

    Args:
        before: uint8 ``(30, 40)`` gray.
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
            # OpenCV divides by zero where the other thumbnail is flat
            total += weight * min(best, 1.0)
            weights += weight
    return total / weights if weights else 1.0


def _thumbnail(rgb: NDArray[np.uint8]) -> Thumbnail:
    # subsampling first makes the cost independent of the frame's size
    samples = cv2.resize(rgb, (_WIDTH * _SAMPLES, _HEIGHT * _SAMPLES), interpolation=cv2.INTER_NEAREST)
    gray = cv2.cvtColor(samples, cv2.COLOR_RGB2GRAY)
    return resize(np.asarray(gray, np.uint8), (_WIDTH, _HEIGHT))
