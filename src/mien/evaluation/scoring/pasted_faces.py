"""Whole pictures made of a dataset of cropped faces: faces are enlarged and pasted into a plain picture of 640×480."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.geometry import resize
from mien.opencv import cv2

WIDTH, HEIGHT, GRID = 640, 480, ((160, 120), (480, 120), (160, 360), (480, 360))
"""Size of the picture, and the approximate centres of its four faces."""
MAX_SIDE = 160
"""Side in pixels at which four faces still fit."""
_REACH = 0.25


@dataclass(frozen=True, slots=True, eq=False)
class PastedPicture:
    """A whole picture and where its faces are.

    Attributes:
        rgb: uint8 ``(h, w, 3)``.
        rows: ``(m,)`` int64, which faces of the dataset are in it.
        centres: ``(m, 2)`` float64 xy pixels.
        reach: greatest distance of a detection's centre from that of its face, pixels.
    """

    rgb: NDArray[np.uint8]
    rows: NDArray[np.int64]
    centres: NDArray[np.float64]
    reach: float


def pasted_scenes(images: NDArray[np.uint8], side: int, angle: float) -> Iterator[PastedPicture]:
    """Four faces per picture, ``side`` pixels wide, rotated by ± ``angle`` degrees; the same every time.

    Args:
        images: uint8 ``(n, h, w, 1 or 3)``.
        side: at most `MAX_SIDE`.
        angle: degrees; every other face is rotated the other way.
    """
    rng = np.random.default_rng((side, int(angle)))
    for start in range(0, len(images), len(GRID)):
        rows = np.arange(start, min(start + len(GRID), len(images)))
        canvas = background(rng)
        centres = np.array(GRID[: len(rows)]) + rng.uniform(-20, 20, (len(rows), 2))
        for row, centre in zip(rows, centres, strict=True):
            paste_face(canvas, images[row], centre, side, angle * (-1) ** int(row))
        yield PastedPicture(canvas, rows, centres, _REACH * side)


def background(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Smooth random colours, RGB (480, 640, 3)."""
    coarse = rng.integers(40, 216, (4, 5, 3)).astype(np.uint8)
    return resize(coarse, (WIDTH, HEIGHT))


def paste_face(
    canvas: NDArray[np.uint8], face: NDArray[np.uint8], centre: NDArray[np.float64], side: int, angle: float
) -> None:
    """Draw a square face ``(s, s, 1 or 3)`` into the canvas, ``side`` pixels wide, rotated about its centre."""
    own = face.shape[0]
    middle = (own - 1) / 2
    matrix = cv2.getRotationMatrix2D((middle, middle), angle, side / own)
    matrix[:, 2] += centre - middle
    drawn = cv2.warpAffine(face, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC).reshape(HEIGHT, WIDTH, -1)
    mask = cv2.warpAffine(np.full((own, own), 255, np.uint8), matrix, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR)
    alpha = mask[..., None].astype(np.float32) / 255
    canvas[:] = (canvas * (1 - alpha) + drawn * alpha).astype(np.uint8)
