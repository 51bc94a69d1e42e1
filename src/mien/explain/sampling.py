"""Samples of a dataset, and their true classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.datasets.dataset import Dataset
from mien.datasets.prepared_file import read_prepared
from mien.errors import DataError
from mien.labels import age_bin_names
from mien.training.config import HeadSpec
from mien.training.targets import head_targets


def read_split(path: Path, split: str) -> Dataset:
    """One split of a prepared dataset; `DataError` when it is empty."""
    data = read_prepared(path)
    part = data.select(split)
    if not len(part):
        splits = ", ".join(sorted(set(data.split.tolist())))
        raise DataError(f"has no {split!r} images, only {splits}", path=path, code="split-missing")
    return part


def true_classes(data: Dataset, labels: tuple[str, ...]) -> NDArray[np.int64]:
    """``(n,)`` index of each image's label among ``labels``, -1 where it has none of them.

    The dataset's own emotions, FER+ majority votes for heads with contempt, or ages; all -1 where the dataset has none
    of these.
    """
    if data.votes is not None and "contempt" in labels:
        return head_targets(data, HeadSpec("ferplus", labels, "majority")).label
    if data.age is not None and set(labels) <= set(age_bin_names()):
        return head_targets(data, HeadSpec("age", labels, "age")).label
    if data.emotion is not None and data.taxonomy is not None:
        index = {name: i for i, name in enumerate(labels)}
        return np.array([index.get(name, -1) for name in data.taxonomy.names], np.int64)[data.emotion]
    return np.full(len(data), -1, np.int64)


def sample_rows(n: int, count: int, seed: int) -> NDArray[np.int64]:
    """At most ``count`` of n rows, seeded, in ascending order."""
    return np.sort(np.random.default_rng(seed).permutation(n)[:count]).astype(np.int64)


def sample_rows_per_class(classes: NDArray[np.int64], n_classes: int, count: int, seed: int) -> NDArray[np.int64]:
    """At most ``count`` rows of each class, seeded, in ascending order; rows of class -1 never."""
    order = np.random.default_rng(seed).permutation(len(classes))
    rows = [order[classes[order] == k][:count] for k in range(n_classes)]
    return np.sort(np.concatenate(rows)).astype(np.int64)
