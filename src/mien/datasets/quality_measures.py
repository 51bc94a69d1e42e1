"""One number per image that measures how usable it is: contrast, sharpness, raters' votes, copies, detected faces.

Cleaning and audits compare these numbers with thresholds; docs/data.md shows how the thresholds were chosen.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mien.datasets.dataset import SPLITS, Dataset
from mien.datasets.exact_duplicates import image_ids
from mien.datasets.ferplus import NOT_A_FACE_COLUMN
from mien.datasets.image_codec import parallel_map
from mien.distributions import entropy, vote_shares
from mien.errors import InputError
from mien.opencv import cv2

FaceCheck = Callable[[NDArray[np.uint8]], bool]
"""RGB uint8 ``(h, w, 3)`` → whether a face is detected in it."""

_BLOCK = 256


def contrast(dataset: Dataset) -> NDArray[np.float64]:
    """``(n,)`` standard deviation of the gray levels of each image, 0–255."""
    return _measure_gray(dataset, lambda gray: float(gray.std()))


def sharpness(dataset: Dataset) -> NDArray[np.float64]:
    """``(n,)`` variance of the Laplacian (Pech-Pacheco et al. 2000): small where edges are blurred or faint."""
    return _measure_gray(dataset, lambda gray: float(cv2.Laplacian(gray, cv2.CV_64F).var()))


def not_a_face_votes(dataset: Dataset) -> NDArray[np.float64]:
    """``(n,)`` FER+ votes for "not a face"; `InputError` without votes."""
    return _votes(dataset)[:, NOT_A_FACE_COLUMN]


def vote_entropy(dataset: Dataset) -> NDArray[np.float64]:
    """``(n,)`` entropy of the FER+ votes, bits: 0 where all raters agree, 2 where four classes have equal shares."""
    return entropy(vote_shares(_votes(dataset)))


def contradicting_labels(dataset: Dataset) -> NDArray[np.float64]:
    """``(n,)`` number of other emotions on the exact copies of each image; `InputError` without emotions."""
    if dataset.emotion is None:
        raise InputError(f"{dataset.info.name} has no emotions that could contradict")
    ids = image_ids(dataset)
    pairs = np.unique(np.stack([ids, dataset.emotion.astype(np.int64)], axis=1), axis=0)
    return np.asarray(np.bincount(pairs[:, 0], minlength=1)[ids] - 1, np.float64)


def earlier_copies(dataset: Dataset) -> NDArray[np.float64]:
    """``(n,)`` number of exact copies before each image, where test comes first, then validation, then train.

    In this order held-out splits keep their images, and training loses them.
    """
    split_rank = np.array([SPLITS[::-1].index(str(split)) for split in dataset.split], np.int64)
    order = np.lexsort((np.arange(len(dataset)), split_rank))
    count: dict[int, int] = {}
    out = np.zeros(len(dataset), np.float64)
    ids = image_ids(dataset)
    for i in order.tolist():
        key = int(ids[i])
        out[i] = count.get(key, 0)
        count[key] = count.get(key, 0) + 1
    return out


def detected_faces(dataset: Dataset, has_face: FaceCheck) -> NDArray[np.bool_]:
    """``(n,)`` bool, whether a face is detected in each image; gray images are given as RGB."""
    gray = dataset.channels == 1
    return np.array([has_face(np.repeat(image, 3, axis=2) if gray else image) for image in dataset.images], np.bool_)


def _votes(dataset: Dataset) -> NDArray[np.float64]:
    if dataset.votes is None:
        raise InputError(f"{dataset.info.name} has no FER+ votes", advice="prepare it with fer2013new.csv")
    return dataset.votes.astype(np.float64)


def _measure_gray(dataset: Dataset, measure: Callable[[NDArray[np.uint8]], float]) -> NDArray[np.float64]:
    """One number per image, measured on its gray version, on threads."""
    images, gray = dataset.images, dataset.channels == 1

    def block(start: int) -> list[float]:
        part = images[start : start + _BLOCK]
        return [measure(one[..., 0] if gray else np.asarray(cv2.cvtColor(one, cv2.COLOR_RGB2GRAY))) for one in part]

    numbers = [number for part in parallel_map(block, range(0, len(images), _BLOCK)) for number in part]
    return np.array(numbers, np.float64)
