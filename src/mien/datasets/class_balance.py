"""Fewer images of the classes that have many, and new splits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from mien.datasets.dataset import SPLITS, Dataset
from mien.errors import InputError
from mien.labels import canonical


def first_per_class(prepared: Dataset, count: int) -> Dataset:
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


def limit_per_emotion(prepared: Dataset, limits: Mapping[str, int], seed: int = 0) -> Dataset:
    """So many images of some emotions, over all splits together, drawn at random; the others as they are.

    Args:
        prepared: a dataset with emotions.
        limits: emotion in any known spelling → most images of it, at least 1.
        seed: of the drawing.

    Raises:
        InputError: the dataset has no emotions, or not this one; or a limit below 1.
    """
    if prepared.emotion is None or prepared.taxonomy is None:
        raise InputError(f"{prepared.info.name} has no emotions to count by")
    reasons = np.full(len(prepared), "", "<U40")
    notes = []
    for label, limit in limits.items():
        name = canonical(label)
        if name not in prepared.taxonomy.index or limit < 1:
            known = ", ".join(prepared.taxonomy.names)
            raise InputError(f"no limit {label}={limit}: the emotions are {known}, and at least 1 image must stay")
        code = prepared.taxonomy.index[name]
        rows = np.flatnonzero(prepared.emotion == code)
        drawn = np.random.default_rng((seed, code)).permutation(rows)
        reasons[drawn[limit:]] = f"beyond the limit of {name}"
        notes.append(f"at most {limit} of {name}, drawn with seed {seed}")
    kept = prepared.dropping(reasons)
    return replace(kept, info=replace(kept.info, notes=(*kept.info.notes, *notes)))


def resplit(prepared: Dataset, shares: tuple[float, float, float], seed: int = 0) -> Dataset:
    """The same images in new splits, every emotion (where there are any) in equal shares.

    The new test images are not the official ones: a score on them cannot be compared with scores on those.

    Args:
        prepared: the dataset; take copies out first, or they may end up in two splits.
        shares: of train, validation and test, in any unit such as images wanted; each above 0.
        seed: of the drawing.

    Raises:
        InputError: a share of 0 or less.
    """
    if min(shares) <= 0:
        raise InputError(f"every split needs a share above 0, got {', '.join(f'{share:g}' for share in shares)}")
    rng = np.random.default_rng(seed)
    n = len(prepared)
    codes = np.zeros(n, np.int8) if prepared.emotion is None else prepared.emotion
    # each emotion's images are spread evenly from 0 to 1, so that any cut of that line holds all emotions in proportion
    place = np.empty(n)
    for code in np.unique(codes):
        rows = rng.permutation(np.flatnonzero(codes == code))
        place[rows] = (np.arange(len(rows)) + 0.5) / len(rows)
    ends = np.rint(np.cumsum(shares) / sum(shares) * n).astype(np.int64)
    split = np.empty(n, "<U10")
    split[np.argsort(place, kind="stable")] = np.repeat(SPLITS, np.diff(ends, prepend=0))
    note = f"split anew {':'.join(f'{share:g}' for share in shares)} with seed {seed}; not the official splits"
    return replace(prepared, split=split, info=replace(prepared.info, notes=(*prepared.info.notes, note)))
