"""How ``--slices`` divides a prepared dataset."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mien.datasets.dataset import Dataset
from mien.errors import DataError, InputError
from mien.evaluation.slices import Grouping, cross, group_by
from mien.labels import age_bin_names

GROUP_COLUMNS = ("race", "gender", "age", "emotion")
"""Columns by which images can be divided."""
DEFAULT_GROUPINGS = ("race", "gender", "race+gender")
"""Reported by default, where the dataset has these columns."""


def make_groupings(data: Dataset, rows: NDArray[np.bool_], names: Sequence[str]) -> tuple[Grouping, ...]:
    """Ways to divide the images ``rows`` of a dataset.

    Groups are those of the whole dataset, so that one without an image in these rows is present and empty.

    Args:
        data: the whole dataset.
        rows: ``(n,)`` bool, the split that is scored.
        names: columns of `GROUP_COLUMNS`; two joined by "+" are crossed.

    Raises:
        InputError: an unknown column.
        DataError: the dataset lacks it.
    """
    return tuple(_crossed(data, rows, name) for name in dict.fromkeys(name.strip() for name in names) if name)


def default_groupings(data: Dataset, rows: NDArray[np.bool_]) -> tuple[Grouping, ...]:
    """Race, gender and both crossed; nothing where the dataset lacks one of them."""
    return make_groupings(data, rows, DEFAULT_GROUPINGS) if data.race is not None and data.gender is not None else ()


def _crossed(data: Dataset, rows: NDArray[np.bool_], name: str) -> Grouping:
    return functools.reduce(cross, (_one(data, rows, part.strip()) for part in name.split("+")))


def _one(data: Dataset, rows: NDArray[np.bool_], name: str) -> Grouping:
    if name not in GROUP_COLUMNS:
        raise InputError(
            f"--slices: no column {name!r}", advice=f"give some of {', '.join(GROUP_COLUMNS)}; + crosses two of them"
        )
    column = getattr(data, name)
    if column is None:
        have = [each for each in GROUP_COLUMNS if getattr(data, each) is not None]
        raise DataError(
            f"--slices: {data.info.name} has no column {name!r}, only {', '.join(have) or 'none of them'}",
            code="column-missing",
        )
    if column.dtype.kind == "U":
        return group_by(name, column[rows], sorted(set(column.tolist())))
    names = age_bin_names() if name == "age" or data.taxonomy is None else data.taxonomy.names
    return Grouping(name, tuple(names), column[rows].astype(np.int64))
