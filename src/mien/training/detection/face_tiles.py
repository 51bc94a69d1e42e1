"""Faces of a face dataset located by an existing detector: what compositing pastes onto photos without faces."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.datasets.arrow import import_parquet
from mien.errors import DataError
from mien.files import atomic_path

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class FaceTiles:
    """Small pictures of one face each.

    Attributes:
        pixels: RGB uint8 ``(n, side, side, 3)``.
        boxes: ``(n, 4)`` float32 xyxy pixels of the tile.
        landmarks: ``(n, 5, 2)`` float32 xy pixels of the tile.
    """

    pixels: NDArray[np.uint8]
    boxes: Floats
    landmarks: Floats

    def __len__(self) -> int:
        return len(self.boxes)


Locate = Callable[[NDArray[np.uint8]], tuple[Floats, Floats, Floats]]
"""From an RGB uint8 picture to boxes ``(n, 4)``, scores ``(n,)`` and landmarks ``(n, 5, 2)``."""


def locate_faces(pictures: Iterable[NDArray[np.uint8]], locate: Locate, *, min_score: float = 0.98) -> FaceTiles:
    """Pictures in which exactly one face is found with a high score; the others are left out."""
    kept, boxes, landmarks = [], [], []
    for picture in pictures:
        found, scores, points = locate(picture)
        height, width = picture.shape[:2]
        if len(found) != 1 or scores[0] < min_score:
            continue
        x1, y1, x2, y2 = found[0]
        centred = abs((x1 + x2) / 2 - width / 2) < 0.15 * width and abs((y1 + y2) / 2 - height / 2) < 0.15 * height
        if centred and y2 - y1 > 0.35 * height:
            kept.append(picture)
            boxes.append(found[0])
            landmarks.append(points[0])
    if not kept:
        raise DataError("no picture has exactly one face that the detector is sure of")
    return FaceTiles(np.stack(kept), np.array(boxes, np.float32), np.array(landmarks, np.float32))


def read_pictures(path: Path, limit: int, seed: int) -> Iterable[NDArray[np.uint8]]:
    """Up to ``limit`` RGB pictures of a Parquet file with a column ``image`` {bytes}, in a seeded order."""
    from PIL import Image

    _, pq = import_parquet("reading a Parquet file")
    column = pq.read_table(path, columns=["image"]).column("image")
    for row in np.random.default_rng(seed).permutation(len(column))[:limit].tolist():
        with Image.open(io.BytesIO(column[row].as_py()["bytes"])) as image:
            yield np.asarray(image.convert("RGB"), np.uint8)


def save_tiles(tiles: FaceTiles, path: Path) -> None:
    """Write tiles as one ``.npz`` file."""
    with atomic_path(path) as temporary:
        np.savez(temporary, pixels=tiles.pixels, boxes=tiles.boxes, landmarks=tiles.landmarks)


def load_tiles(path: Path) -> FaceTiles:
    """Read what `save_tiles` wrote.

    Raises:
        DataError: the file is missing or damaged.
    """
    try:
        with np.load(path) as file:
            return FaceTiles(file["pixels"], file["boxes"], file["landmarks"])
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{path}: not a readable file of face tiles ({error})") from None
