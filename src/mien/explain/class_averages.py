"""Mean maps of a class over many faces."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.explain.methods import attribution_maps
from mien.explain.model import ExplainedNetwork
from mien.models.card import Head

MIN_IMAGES = 10
"""A class with fewer faces is left out: the mean of a few faces still shows a person."""


@dataclass(frozen=True, slots=True, eq=False)
class ClassAverages:
    """Mean faces and maps of the classes with enough images.

    Attributes:
        labels: the k classes.
        counts: ``(k,)`` images of each.
        faces: uint8 ``(k, size, size, channels)`` mean crops.
        methods: the m methods.
        maps: ``(k, m, size, size)`` float32, -1–1: mean of the maps, each divided by its greatest magnitude.
        too_few: (label, images) of the classes that were left out.

    Examples:
        >>> from mien.explain.model import open_network
        >>> network = open_network("emotion", threads=1)
        >>> averages = average_maps(network, network.head(), dataset.images, np.ones(70, int), ["saliency"])
        >>> averages.labels, averages.maps.shape
        (('happy',), (1, 1, 48, 48))
    """

    labels: tuple[str, ...]
    counts: NDArray[np.int64]
    faces: NDArray[np.uint8]
    methods: tuple[str, ...]
    maps: NDArray[np.float32]
    too_few: tuple[tuple[str, int], ...]


def average_maps(
    model: ExplainedNetwork,
    head: Head,
    crops: NDArray[np.uint8],
    classes: NDArray[np.int64],
    methods: Sequence[str],
    layer: str | None = None,
    progress: Callable[[], None] = lambda: None,
) -> ClassAverages:
    """Average over the faces of each class their maps for that class.

    Args:
        model: the network.
        head: output of the network.
        crops: uint8 ``(n, size, size, channels)``.
        classes: ``(n,)`` index of each image's class.
        methods: names of methods.
        layer: for Grad-CAM.
        progress: called after each class and method.

    Examples:
        >>> from mien.explain.model import open_network
        >>> network = open_network("emotion", threads=1)
        >>> average_maps(network, network.head(), dataset.images, np.ones(70, int), ["saliency"]).counts.tolist()
        [70]
    """
    counts = np.bincount(classes, minlength=len(head.labels))
    large = np.flatnonzero(counts >= MIN_IMAGES)
    size = model.size
    faces = np.zeros((len(large), size, size, model.channels), np.uint8)
    means = np.zeros((len(large), len(methods), size, size), np.float32)
    for row, label in enumerate(large):
        mine = classes == label
        faces[row] = np.round(crops[mine].mean(axis=0)).astype(np.uint8)
        for column, method in enumerate(methods):
            values = attribution_maps(model, head, crops[mine], classes[mine], method, layer)
            top = np.abs(values).max(axis=(1, 2), keepdims=True)
            means[row, column] = np.divide(values, top, out=np.zeros_like(values), where=top > 0).mean(axis=0)
            progress()
    too_few = tuple((head.labels[k], int(counts[k])) for k in np.flatnonzero(counts < MIN_IMAGES))
    labels = tuple(head.labels[k] for k in large)
    return ClassAverages(labels, counts[large].astype(np.int64), faces, tuple(methods), means, too_few)
