"""Targets of a head on a prepared dataset: soft targets, weights, and the labels that it is scored on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.datasets import ferplus
from mien.datasets.dataset import Dataset
from mien.errors import DataError
from mien.labels import age_bin_names
from mien.training.config import HeadSpec


@dataclass(frozen=True, slots=True)
class HeadTargets:
    """Targets of one head for n images.

    Attributes:
        soft: ``(n, classes)`` float32, rows sum to 1; zeros where the image has no target.
        weight: ``(n,)`` float32, 0 where the image has no target.
        label: ``(n,)`` int64 class the head is scored on, -1 where it is not scored.
    """

    soft: NDArray[np.float32]
    weight: NDArray[np.float32]
    label: NDArray[np.int64]


def head_targets(data: Dataset, head: HeadSpec) -> HeadTargets:
    """The targets of ``head`` on every image of ``data``; `DataError` when the file lacks the labels for it."""
    classes = len(head.labels)
    if head.target in ("majority", "crossentropy", "distribution"):
        if data.votes is None:
            raise DataError(
                f"head {head.name!r} learns from FER+ votes and this file has none",
                advice="prepare it with `mien data prepare … --ferplus fer2013new.csv`",
                code="labels-missing",
            )
        soft, keep, _ = ferplus.vote_targets(data.votes, head.target, classes)
        scored, scored_keep = soft, keep
        if head.scored_on == "majority":
            scored, scored_keep, _ = ferplus.vote_targets(data.votes, "majority", classes)
        label = np.where(scored_keep, scored.argmax(axis=1), -1)
    else:
        column = data.emotion if head.target == "emotion" else data.age
        if column is None:
            raise DataError(
                f"head {head.name!r} learns {head.target} and this file has no such column", code="labels-missing"
            )
        names = age_bin_names() if head.target == "age" else data.taxonomy.names if data.taxonomy else ()
        matches = set(head.labels) <= set(names) if head.subset else tuple(names) == head.labels
        if not matches:
            raise DataError(
                f"head {head.name!r} has the labels {', '.join(head.labels)}, and this file has {', '.join(names)}",
                advice="use a recipe whose labels are those of the dataset",
                code="labels-differ",
            )
        index = {name: i for i, name in enumerate(head.labels)}
        label = np.array([index.get(name, -1) for name in names], np.int64)[column]
        keep = label >= 0
        soft = np.zeros((len(label), classes), np.float32)
        soft[keep, label[keep]] = 1.0
    soft = _smooth(soft, head)
    soft[~keep] = 0.0
    return HeadTargets(soft.astype(np.float32), keep.astype(np.float32), label.astype(np.int64))


def _smooth(soft: NDArray[np.float32], head: HeadSpec) -> NDArray[np.float32]:
    if head.smoothing:
        soft = (1 - head.smoothing) * soft + head.smoothing / soft.shape[1]
    if head.neighbour_smoothing:
        # the share beyond either end of the scale stays in the end bin
        half = head.neighbour_smoothing / 2
        down, up = np.roll(soft, -1, axis=1), np.roll(soft, 1, axis=1)
        down[:, -1], up[:, 0] = soft[:, -1], soft[:, 0]
        soft = (1 - head.neighbour_smoothing) * soft + half * (down + up)
    return soft
