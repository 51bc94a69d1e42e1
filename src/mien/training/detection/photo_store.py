"""Decoded photos in one memory-mapped file, so that a crop costs no decoding.

Each photo is stored with its halvings (area averages), so that a crop that shrinks it never skips pixels.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.datasets.detection import DetectionPhotos
from mien.errors import DataError
from mien.files import output_errors, write_text

Picture = NDArray[np.uint8]

LEVELS = 4
"""The photo itself and up to three halvings."""
_SMALLEST = 24
"""Halving stops before a side falls below this many pixels."""


@dataclass(frozen=True, slots=True, eq=False)
class PhotoStore:
    """Photos of a memory-mapped file.

    Attributes:
        pixels: uint8, all photos and halvings one after the other.
        entries: per photo and level (offset in bytes, height, width).
    """

    pixels: Picture
    entries: tuple[tuple[tuple[int, int, int], ...], ...]

    def __len__(self) -> int:
        return len(self.entries)

    def size(self, photo: int) -> tuple[int, int]:
        """(width, height) in pixels."""
        _, height, width = self.entries[photo][0]
        return width, height

    def levels(self, photo: int) -> int:
        """Number of stored sizes."""
        return len(self.entries[photo])

    def select(self, photos: NDArray[np.integer]) -> PhotoStore:
        """The store of the photos at these positions, in that order; no pixel is copied."""
        return PhotoStore(self.pixels, tuple(self.entries[i] for i in photos.tolist()))

    def level(self, photo: int, level: int) -> Picture:
        """RGB uint8 ``(h, w, 3)``, both sides shrunk by ``2 ** level``. A view: do not write to it."""
        offset, height, width = self.entries[photo][level]
        return self.pixels[offset : offset + height * width * 3].reshape(height, width, 3)


def build_store(photos: DetectionPhotos, path: Path) -> PhotoStore:
    """Decode all photos into ``path`` (and ``path`` + ".json") unless they are there already; returns them mapped."""
    from mien.opencv import cv2

    index = path.with_name(path.name + ".json")
    if not index.is_file():
        entries: list[list[tuple[int, int, int]]] = []
        offset = 0
        # one name, not a new one per run: what a kill leaves is large, and is written over by the next run
        partial = path.with_name(path.name + ".partial")
        with output_errors(path), partial.open("wb") as file:
            for photo in range(len(photos)):
                picture = photos.pixels(photo)
                levels: list[tuple[int, int, int]] = []
                while True:
                    height, width = picture.shape[:2]
                    file.write(picture.tobytes())
                    levels.append((offset, height, width))
                    offset += picture.nbytes
                    if len(levels) == LEVELS or min(height, width) < 2 * _SMALLEST:
                        break
                    # an even number of pixels, so that a pixel of the halving is exactly two by two
                    even = picture[: height // 2 * 2, : width // 2 * 2]
                    half = cv2.resize(even, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
                    picture = np.asarray(half, np.uint8)
                entries.append(levels)
        with output_errors(path):
            partial.replace(path)
        write_text(index, json.dumps(entries))
    return open_store(path)


def open_store(path: Path) -> PhotoStore:
    """Map a store that `build_store` wrote.

    Raises:
        DataError: the store is missing or damaged.
    """
    index = path.with_name(path.name + ".json")
    try:
        entries = json.loads(index.read_text(encoding="utf-8"))
        pixels = np.memmap(path, np.uint8, mode="r")
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not a readable photo store ({error}): delete it to build it again") from None
    rows = tuple(tuple((int(o), int(h), int(w)) for o, h, w in levels) for levels in entries)
    return PhotoStore(pixels.view(np.ndarray), rows)
