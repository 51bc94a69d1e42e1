"""A dataset as image files in class folders, with its labels and features beside them.

    folder/train/angry/0000012.png …     one folder per emotion, files named by their row in the source
    folder/train/labels.csv              file, row, emotion, and 1 or 0 for each class
    folder/train/labels.npy              (n, classes) uint8, the same ones and zeros
    folder/train/landmarks.npy           (n, length) float32, one file per feature of the dataset

Rows of all these files have one order. `mien.datasets.image_folders` reads the images back.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.datasets.dataset import SPLITS, Dataset
from mien.datasets.image_codec import parallel_map
from mien.errors import InputError
from mien.files import atomic_path, make_folder, output_folder
from mien.opencv import cv2
from mien.published.features import hog

SUFFIXES = ("png", "jpg")
JPEG_QUALITY = 95


def _as_is(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return images


def _hog(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if images.shape[3] != 1:
        raise InputError("HOG is drawn from gray images, and these are in colour", advice="leave the kind 'hog' out")
    return hog.draw_hog(images[..., 0])[..., None]


IMAGE_KINDS: Mapping[str, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {"face": _as_is, "hog": _hog}
"""Content of the written images → ``(n, h, w, c)`` faces to ``(n, h, w, c)`` images."""


def write_image_folders(
    dataset: Dataset,
    folder: str | os.PathLike[str],
    *,
    kind: str = "face",
    suffix: str = "png",
    classes: Sequence[str] | None = None,
) -> int:
    """Write every image of the dataset to a file, and labels and features beside them.

    Args:
        dataset: a dataset with emotions.
        folder: the folder, which must be new or empty.
        kind: a key of `IMAGE_KINDS`: the face itself, or its HOG drawn as an image.
        suffix: "png" (lossless) or "jpg" (quality 95).
        classes: emotions in the order of the label columns; None is the taxonomy's order. Each emotion that occurs must
            be among them.

    Returns:
        How many images were written.

    Raises:
        InputError: a dataset without emotions, an emotion that is not among the classes, an unknown kind or suffix, or
            a folder that is not empty.

    Examples:
        >>> write_image_folders(dataset, "faces")
        70
        >>> sorted(path.name for path in Path("faces/test").iterdir())[:4]
        ['angry', 'disgust', 'fear', 'happy']
    """
    target = Path(folder)
    if kind not in IMAGE_KINDS or suffix not in SUFFIXES:
        raise InputError(f"no images {kind!r} as {suffix!r}: kinds are {', '.join(IMAGE_KINDS)}, suffixes png and jpg")
    names = _emotions(dataset)
    taxonomy = dataset.taxonomy
    everything = taxonomy.names if taxonomy is not None else ()
    order = everything if classes is None else tuple(dict.fromkeys(map(dataset.canonical_label, classes)))
    absent = sorted(set(names) - set(order))
    if absent:
        raise InputError(f"the dataset holds {absent[0]!r}, which is not among the classes {', '.join(order)}")
    target = output_folder(target)
    if target.exists() and any(target.iterdir()):
        raise InputError("is not an empty folder", path=target, advice="give another one for the images")
    drawn = IMAGE_KINDS[kind](dataset.images)
    options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY] if suffix == "jpg" else [cv2.IMWRITE_PNG_COMPRESSION, 9]
    for split in SPLITS:
        rows = np.flatnonzero(dataset.split == split)
        if not len(rows):
            continue
        files = [f"{names[i]}/{int(dataset.row[i]):07}.{suffix}" for i in rows]
        for name in sorted({names[i] for i in rows}):
            make_folder(target / split / name)
        jobs = [(target / split / file, drawn[i]) for file, i in zip(files, rows, strict=True)]
        parallel_map(lambda job: _write(*job, options), jobs)
        hot = np.array([[names[i] == name for name in order] for i in rows], np.uint8)
        _table(target / split / "labels.csv", files, dataset.row[rows], [names[i] for i in rows], order, hot)
        _save(target / split / "labels.npy", hot)
        for feature, vectors in dataset.features.items():
            _save(target / split / f"{feature}.npy", vectors[rows])
    return len(dataset)


def _emotions(dataset: Dataset) -> list[str]:
    if dataset.emotion is None or dataset.taxonomy is None:
        raise InputError(f"{dataset.info.name} has no emotions to name folders by")
    return [dataset.taxonomy.names[i] for i in dataset.emotion]


def _write(path: Path, image: NDArray[np.uint8], options: list[int]) -> None:
    bgr = image[..., ::-1] if image.shape[2] == 3 else image
    with atomic_path(path) as temporary:
        temporary.write_bytes(cv2.imencode(path.suffix, np.ascontiguousarray(bgr), options)[1].tobytes())


def _save(path: Path, array: NDArray[np.generic]) -> None:
    with atomic_path(path) as temporary:
        np.save(temporary, array, allow_pickle=False)


def _table(
    path: Path,
    files: Sequence[str],
    rows: NDArray[np.int32],
    names: Sequence[str],
    order: Sequence[str],
    hot: NDArray[np.uint8],
) -> None:
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["file", "row", "emotion", *order])
        for file, row, name, ones in zip(files, rows.tolist(), names, hot.tolist(), strict=True):
            writer.writerow([file, row, name, *ones])
