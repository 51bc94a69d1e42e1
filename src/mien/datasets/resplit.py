"""New splits for the images of a dataset. Copies of one image are always in one split."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mien import defaults
from mien.datasets.dataset import SPLITS, Dataset
from mien.datasets.exact_duplicates import first_copies, image_ids
from mien.errors import DataError, InputError

_NONE = ": the source has none"
_NEW, _MOVED = "new splits ", "validation holds "
"""How the notes about new splits begin."""


def resplit(dataset: Dataset, shares: tuple[float, float, float], seed: int = 0) -> Dataset:
    """The same images in new splits, every emotion (where there are any) in equal shares.

    The new test images are not the official ones: scores on them and on those cannot be compared.

    Args:
        dataset: the dataset.
        shares: of train, validation and test, in any unit such as numbers of images; each above 0. Copies of one image
            move with the first one.
        seed: of the random order.

    Raises:
        InputError: a share of 0 or less.

    Examples:
        >>> new = resplit(dataset, (80, 10, 10))
        >>> [int((new.split == name).sum()) for name in ("train", "validation", "test")]
        [56, 7, 7]
    """
    if min(shares) <= 0:
        raise InputError(f"every split needs a share above 0, got {', '.join(f'{share:g}' for share in shares)}")
    n = len(dataset)
    position = _spread(dataset, np.arange(n), seed)
    ends = np.rint(np.cumsum(shares) / sum(shares) * n).astype(np.int64)
    split = np.empty(n, "<U10")
    split[np.argsort(position, kind="stable")] = np.repeat(SPLITS, np.diff(ends, prepend=0))
    split = split[_first_of_each(dataset)]
    without = any(text.startswith(_NEW) and text.endswith(_NONE) for text in dataset.info.notes)
    note = f"{_NEW}{':'.join(f'{share:g}' for share in shares)} with seed {seed}"
    note += _NONE if without else "; not the official splits"
    return _with_splits(dataset, split, note)


def make_splits(dataset: Dataset) -> Dataset:
    """Splits for a source that has none, by the default shares and seed; a note on the dataset records it."""
    shares = defaults.SPLIT_SHARES
    made = resplit(dataset, shares, defaults.SPLIT_SEED)
    note = (
        f"{_NEW}train:validation:test {':'.join(f'{share:g}' for share in shares)} with seed {defaults.SPLIT_SEED}"
        f"{_NONE}"
    )
    return _with_splits(dataset, made.split, note)


def hold_out(dataset: Dataset, share: float, seed: int = 0) -> Dataset:
    """The same images with a share of those of training moved to validation, of every emotion alike.

    Test images stay what they are, so scores on them can be compared with those of others.

    Args:
        dataset: a dataset without validation images.
        share: of the training images, above 0 and below 1; copies of one image move with the first one.
        seed: of the random choice.

    Raises:
        InputError: another share, or there are validation images already.
        DataError: too few training images for that.

    Examples:
        >>> bare = dataset[dataset.split != "validation"]
        >>> len(hold_out(bare, 0.25).select("validation"))
        10
    """
    if not 0 < share < 1:
        raise InputError(f"the share of validation must be above 0 and below 1, got {share:g}")
    if (dataset.split == "validation").any():
        raise InputError("the dataset has validation images", advice="make new splits instead (--split)")
    train = np.flatnonzero(dataset.split == "train")
    count = round(share * len(train))
    if not 0 < count < len(train):
        raise DataError(f"{share:g} of {len(train)} training images are {count}", advice="give another share")
    order = train[np.argsort(_spread(dataset, train, seed), kind="stable")]
    split = dataset.split.astype("<U10")
    split[order[:count]] = "validation"
    first = _first_of_each(dataset, train)
    split[train] = split[first[train]]
    note = f"{_MOVED}{share:g} of the training images, drawn with seed {seed}"
    return _with_splits(dataset, split, note)


def _spread(dataset: Dataset, rows: NDArray[np.integer], seed: int) -> NDArray[np.float64]:
    """A position from 0 to 1 for each row: any part of that line holds all emotions in proportion."""
    rng = np.random.default_rng(seed)
    codes = np.zeros(len(rows), np.int8) if dataset.emotion is None else dataset.emotion[rows]
    position = np.empty(len(rows))
    for code in np.unique(codes):
        own = rng.permutation(np.flatnonzero(codes == code))
        position[own] = (np.arange(len(own)) + 0.5) / len(own)
    return position


def _first_of_each(dataset: Dataset, rows: NDArray[np.integer] | None = None) -> NDArray[np.intp]:
    """``(n,)`` position of the first copy of each image, among ``rows`` where they are given."""
    ids = image_ids(dataset)
    if rows is None:
        return first_copies(ids)[ids]
    first = np.arange(len(ids))
    _, start, back = np.unique(ids[rows], return_index=True, return_inverse=True)
    first[rows] = rows[start[back.reshape(-1)]]
    return first


def _with_splits(dataset: Dataset, split: NDArray[np.str_], note: str) -> Dataset:
    """The dataset with other splits; notes about earlier new splits are no longer true."""
    old = tuple(text for text in dataset.info.notes if not text.startswith((_NEW, _MOVED)))
    return replace(dataset, split=split, info=replace(dataset.info, notes=(*old, note)))
