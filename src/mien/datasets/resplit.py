"""New splits for the images of a dataset."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mien.datasets.dataset import SPLITS, Dataset
from mien.errors import InputError


def resplit(dataset: Dataset, shares: tuple[float, float, float], seed: int = 0) -> Dataset:
    """The same images in new splits, every emotion (where there are any) in equal shares.

    The new test images are not the official ones: scores on them and on those cannot be compared.

    Args:
        dataset: the dataset; remove copies first, or they may end up in two splits.
        shares: of train, validation and test, in any unit such as numbers of images; each above 0.
        seed: of the random order.

    Raises:
        InputError: a share of 0 or less.
    """
    if min(shares) <= 0:
        raise InputError(f"every split needs a share above 0, got {', '.join(f'{share:g}' for share in shares)}")
    rng = np.random.default_rng(seed)
    n = len(dataset)
    codes = np.zeros(n, np.int8) if dataset.emotion is None else dataset.emotion
    # each emotion's images are spread evenly from 0 to 1: any part of that line holds all emotions in proportion
    position = np.empty(n)
    for code in np.unique(codes):
        rows = rng.permutation(np.flatnonzero(codes == code))
        position[rows] = (np.arange(len(rows)) + 0.5) / len(rows)
    ends = np.rint(np.cumsum(shares) / sum(shares) * n).astype(np.int64)
    split = np.empty(n, "<U10")
    split[np.argsort(position, kind="stable")] = np.repeat(SPLITS, np.diff(ends, prepend=0))
    note = f"new splits {':'.join(f'{share:g}' for share in shares)} with seed {seed}; not the official splits"
    return replace(dataset, split=split).with_note(note)
