"""Fewer images of the classes that have many."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mien.datasets.value import SPLITS, Prepared
from mien.errors import InputError


def first_per_class(prepared: Prepared, count: int) -> Prepared:
    """The first so many images of each emotion of each split, in the order of the file.

    Args:
        prepared: a dataset with emotions.
        count: most images of an emotion in a split, at least 1.

    Raises:
        InputError: the dataset has no emotions, or a count below 1.
    """
    if prepared.emotion is None:
        raise InputError(f"{prepared.info.name} has no emotions to count by")
    if count < 1:
        raise InputError(f"at least 1 image of each emotion must stay, got {count}")
    keep = np.zeros(len(prepared), np.bool_)
    for split in SPLITS:
        for code in np.unique(prepared.emotion):
            keep[np.flatnonzero((prepared.split == split) & (prepared.emotion == code))[:count]] = True
    kept = prepared.dropping(np.where(keep, "", "beyond the limit of its class"))
    note = f"at most {count} images of each emotion in each split"
    return replace(kept, info=replace(kept.info, notes=(*kept.info.notes, note)))


def sampled(rows: NDArray[np.intp], count: int, seed: int) -> NDArray[np.intp]:
    """``count`` of the rows, drawn without order and given back in the order they came; all where there are fewer."""
    if len(rows) <= count:
        return rows
    drawn = np.random.default_rng(seed).permutation(len(rows))[:count]
    return np.asarray(rows[np.sort(drawn)], np.intp)
