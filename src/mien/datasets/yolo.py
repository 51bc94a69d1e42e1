"""Faces as boxes in YOLO's layout: a text file per photo, a line per box, all numbers shares of the photo's sides.

Layout:
    ``images/…/<name>.<ending>`` beside ``labels/…/<name>.txt``; a line is the class, the centre's x and y, width and
    height, and, if there, five points as x y or x y visible.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mien.datasets.detection import DetectionPhotos, PhotoLabels, from_labels
from mien.errors import DataError, MissingFileError

ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".bmp")


def read_yolo(root: Path, face: int = 0, ignore: tuple[int, ...] = ()) -> DetectionPhotos:
    """Read all photos below ``root/images``. A photo without a label file is one without faces.

    Args:
        root: folder that holds ``images`` and ``labels``.
        face: class of the faces.
        ignore: classes whose boxes are neither face nor background.

    Raises:
        MissingFileError: no photo.
        DataError: a line does not follow the layout, or a photo is not readable.
    """
    images = root / "images"
    paths = sorted(p for p in images.rglob("*") if p.suffix.lower() in ENDINGS) if images.is_dir() else []
    if not paths:
        raise MissingFileError(f"{images}: no photo: expected images/ and labels/ in {root}")
    return from_labels(_photo(root, path.relative_to(images), face, ignore) for path in paths)


def _photo(root: Path, name: Path, face: int, ignore: tuple[int, ...]) -> PhotoLabels:
    from PIL import Image

    path = root / "images" / name
    try:
        with Image.open(path) as image:
            size = image.size
    except (OSError, Image.DecompressionBombError) as error:
        raise DataError(f"{path}: not a readable image ({error})") from None
    labels = (root / "labels" / name).with_suffix(".txt")
    boxes, points, ignored = [], [], []
    lines = labels.read_text(encoding="utf-8").splitlines() if labels.is_file() else []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            kind, *values = (float(value) for value in line.split())
            box = _box(values, size)
        except ValueError:
            raise DataError(f"{labels}, line {number}: expected a class and at least four numbers") from None
        if kind == face:
            boxes.append(box)
            points.append(_points(values[4:], size))
        elif kind in ignore:
            ignored.append(box)
    return PhotoLabels(
        path,
        np.array(boxes, np.float64).reshape(-1, 4),
        np.array(points, np.float64).reshape(-1, 5, 2),
        ignored=np.array(ignored, np.float64).reshape(-1, 4),
        size=size,
        subset="yolo",
        source=name.parent.as_posix(),
        file=name.as_posix(),
        licence="not stated",
    )


def _box(values: list[float], size: tuple[int, int]) -> list[float]:
    x, y, width, height = values[:4]
    return [
        (x - width / 2) * size[0],
        (y - height / 2) * size[1],
        (x + width / 2) * size[0],
        (y + height / 2) * size[1],
    ]


def _points(values: list[float], size: tuple[int, int]) -> list[list[float]]:
    """Five xy in pixels; NaN where there are not five or one is not labelled."""
    if len(values) == 10:
        rows = [(values[i], values[i + 1], 2.0) for i in range(0, 10, 2)]
    elif len(values) == 15:
        rows = [(values[i], values[i + 1], values[i + 2]) for i in range(0, 15, 3)]
    else:
        rows = []
    if not rows or any(visible == 0 for _, _, visible in rows):
        return [[np.nan, np.nan]] * 5
    return [[x * size[0], y * size[1]] for x, y, _ in rows]
