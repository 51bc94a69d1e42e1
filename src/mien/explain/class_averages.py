"""Mean maps of a class over many faces."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.explain.methods import maps
from mien.explain.model import Explainable
from mien.models.card import Head

LEAST = 10
"""A class with fewer faces is left out: the mean of a few is still a person's face."""


@dataclass(frozen=True, slots=True, eq=False)
class Averages:
    """Mean faces and maps of the classes that have enough images.

    Attributes:
        labels: the k classes that are here.
        counts: ``(k,)`` images behind each.
        faces: uint8 ``(k, size, size, channels)`` mean crops.
        methods: the m methods.
        maps: ``(k, m, size, size)`` float32, -1–1: mean of the maps, each divided by its greatest magnitude.
        too_few: (label, images) of the classes that were left out.
    """

    labels: tuple[str, ...]
    counts: NDArray[np.int64]
    faces: NDArray[np.uint8]
    methods: tuple[str, ...]
    maps: NDArray[np.float32]
    too_few: tuple[tuple[str, int], ...]


def averages(
    model: Explainable,
    head: Head,
    crops: NDArray[np.uint8],
    classes: NDArray[np.int64],
    methods: Sequence[str],
    layer: str | None = None,
    progress: Callable[[], None] = lambda: None,
) -> Averages:
    """Average maps of each class, for that class.

    Args:
        model: the network.
        head: which output's classes.
        crops: uint8 ``(n, size, size, channels)``.
        classes: ``(n,)`` index of each image's class.
        methods: names of methods.
        layer: for Grad-CAM.
        progress: called after each class and method.
    """
    counts = np.bincount(classes, minlength=len(head.labels))
    kept = np.flatnonzero(counts >= LEAST)
    size = model.size
    faces = np.zeros((len(kept), size, size, model.channels), np.uint8)
    means = np.zeros((len(kept), len(methods), size, size), np.float32)
    for row, label in enumerate(kept):
        mine = classes == label
        faces[row] = np.round(crops[mine].mean(axis=0)).astype(np.uint8)
        for column, method in enumerate(methods):
            found = maps(model, head, crops[mine], classes[mine], method, layer)
            top = np.abs(found).max(axis=(1, 2), keepdims=True)
            means[row, column] = np.divide(found, top, out=np.zeros_like(found), where=top > 0).mean(axis=0)
            progress()
    few = tuple((head.labels[k], int(counts[k])) for k in np.flatnonzero(counts < LEAST))
    labels = tuple(head.labels[k] for k in kept)
    return Averages(labels, counts[kept].astype(np.int64), faces, tuple(methods), means, few)
