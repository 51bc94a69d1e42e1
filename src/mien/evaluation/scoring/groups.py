"""How ``--slices`` divides a prepared dataset."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mien.datasets.dataset import Dataset
from mien.errors import DataError, InputError
from mien.evaluation.slices import Slicing, crossed, slicing
from mien.labels import age_bin_names

COLUMNS = ("race", "gender", "age", "emotion")
"""What images can be divided by."""
USUAL = ("race", "gender", "race+gender")
"""What is reported without being asked for, where the dataset has it."""


def slicings(data: Dataset, rows: NDArray[np.bool_], names: Sequence[str]) -> tuple[Slicing, ...]:
    """Divisions of the images ``rows`` of a dataset.

    Groups are those of the whole dataset, so that one without an image in these rows is there and empty.

    Args:
        data: the whole dataset.
        rows: ``(n,)`` bool, the split that is scored.
        names: columns of `COLUMNS`; two joined by "+" are crossed.

    Raises:
        InputError: an unknown column.
        DataError: the dataset lacks it.
    """
    return tuple(_crossed(data, rows, name) for name in dict.fromkeys(name.strip() for name in names) if name)


def usual(data: Dataset, rows: NDArray[np.bool_]) -> tuple[Slicing, ...]:
    """What is reported without being asked for: nothing where the dataset knows no race and gender."""
    return slicings(data, rows, USUAL) if data.race is not None and data.gender is not None else ()


def _crossed(data: Dataset, rows: NDArray[np.bool_], name: str) -> Slicing:
    parts = [_one(data, rows, part.strip()) for part in name.split("+")]
    whole = parts[0]
    for part in parts[1:]:
        whole = crossed(whole, part)
    return whole


def _one(data: Dataset, rows: NDArray[np.bool_], name: str) -> Slicing:
    if name not in COLUMNS:
        raise InputError(f"--slices {name!r}: expected some of {', '.join(COLUMNS)}, or two joined by + to cross them")
    column = getattr(data, name)
    if column is None:
        have = [each for each in COLUMNS if getattr(data, each) is not None]
        raise DataError(f"--slices {name}: {data.info.name} does not say it; it has {', '.join(have) or 'no groups'}")
    if column.dtype.kind == "U":
        return slicing(name, column[rows], sorted(set(column.tolist())))
    names = age_bin_names() if name == "age" or data.taxonomy is None else data.taxonomy.names
    return Slicing(name, tuple(names), column[rows].astype(np.int64))
