"""WIDER FACE in its own layout, and with the five points that RetinaFace's authors added.

Source:
    Yang, Luo, Loy, Tang: WIDER FACE: A Face Detection Benchmark, CVPR 2016. Points: Deng et al., RetinaFace, CVPR
    2020. The photos carry no licence; the labels are for research.

Layout:
    ``WIDER_train/images/<event>/<file>.jpg`` beside ``wider_face_split/wider_face_train_bbx_gt.txt``, in which a photo
    is its path, the number of its faces and a line per face: x, y, width, height, blur, expression, illumination,
    invalid, occlusion, pose. With points (``label.txt``) a photo is ``# path`` and a line per face: x, y, width,
    height, five times (x, y, visible), blur; points that are not labelled are -1.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mien.dataset_terms import DATASET_TERMS
from mien.datasets.detection import DetectionPhotos, PhotoLabels, from_labels
from mien.errors import DataError, MissingFileError

_INVALID = 7
"""Column of the flag that marks a face which is not to be counted."""


def read_widerface(labels: Path, images: Path) -> DetectionPhotos:
    """Read one split. Faces flagged invalid become ignored regions; the event of a photo is its source.

    Args:
        labels: ``wider_face_train_bbx_gt.txt`` or a ``label.txt`` with points.
        images: the folder ``images`` that holds the events.

    Raises:
        MissingFileError: the labels, the folder, or a photo of the list is missing.
        DataError: a line does not follow the layout.
    """
    if not labels.is_file():
        raise MissingFileError(f"{labels}: no such file: give wider_face_train_bbx_gt.txt or label.txt")
    if not images.is_dir():
        raise MissingFileError(f"{images}: no such folder: give the folder 'images' that holds the events")
    lines = [line.strip() for line in labels.read_text(encoding="utf-8").splitlines()]
    with_points = next((line.startswith("#") for line in lines if line), False)
    return from_labels(_with_points(labels, lines, images) if with_points else _plain(labels, lines, images))


def _plain(labels: Path, lines: list[str], images: Path) -> Iterator[PhotoLabels]:
    position = 0
    while position < len(lines):
        name = lines[position]
        if not name:
            position += 1
            continue
        try:
            count = int(lines[position + 1])
        except (IndexError, ValueError):
            raise DataError(f"{labels}, line {position + 2}: expected the number of faces of {name}") from None
        # a photo without a face still has one line, of zeros
        rows = _numbers(labels, position + 2, lines[position + 2 : position + 2 + max(count, 1)], 10)
        if len(rows) < count:
            raise DataError(f"{labels}: {name} should have {count} faces, the file ends after {len(rows)}")
        position += 2 + max(count, 1)
        boxes = np.concatenate([rows[:, :2], rows[:, :2] + rows[:, 2:4]], axis=1)
        real = (rows[:, 2] > 0) & (rows[:, 3] > 0)
        valid = rows[:, _INVALID] == 0
        yield _photo(images, name, boxes[real & valid], None, boxes[real & ~valid])


def _with_points(labels: Path, lines: list[str], images: Path) -> Iterator[PhotoLabels]:
    starts = [i for i, line in enumerate(lines) if line.startswith("#")]
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        rows = _numbers(labels, start + 1, [line for line in lines[start + 1 : end] if line], 19)
        boxes = np.concatenate([rows[:, :2], rows[:, :2] + rows[:, 2:4]], axis=1)
        points = rows[:, 4:19].reshape(-1, 5, 3)[..., :2].copy()
        points[(points < 0).any(axis=(1, 2))] = np.nan
        real = (rows[:, 2] > 0) & (rows[:, 3] > 0)
        yield _photo(images, lines[start][1:].strip(), boxes[real], points[real], None)


def _numbers(
    labels: Path, first: int, lines: list[str], least: int
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    rows = []
    for i, line in enumerate(lines):
        try:
            row = [float(value) for value in line.split()]
        except ValueError:
            row = []
        if len(row) < least:
            raise DataError(f"{labels}, line {first + i + 1}: expected at least {least} numbers, got {line[:60]!r}")
        rows.append(row[:least])
    return np.array(rows, np.float64).reshape(-1, least)


def _photo(
    images: Path,
    name: str,
    boxes: np.ndarray[tuple[int, int], np.dtype[np.float64]],
    points: np.ndarray[tuple[int, int, int], np.dtype[np.float64]] | None,
    ignored: np.ndarray[tuple[int, int], np.dtype[np.float64]] | None,
) -> PhotoLabels:
    path = images / name
    if not path.is_file():
        raise MissingFileError(f"{path}: the photo is missing: unpack the images of this split")
    event = Path(name).parent.as_posix()
    return PhotoLabels(
        path,
        boxes,
        points,
        ignored=ignored,
        subset="widerface",
        source=f"widerface/{event}",
        file=name,
        licence=DATASET_TERMS["widerface"].licence,
    )
