"""A seeded part of a dataset, for experiments that must be cheap."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from mien.datasets.dataset import SPLITS, Dataset
from mien.errors import InputError


def subsample(prepared: Dataset, images: int, seed: int, *, splits: Collection[str] = SPLITS) -> Dataset:
    """At most ``images`` random rows of each of ``splits``, in their order; the other splits are left out.

    The same seed and dataset give the same rows; ``info.notes`` says so.
    """
    if images < 1:
        raise InputError(f"a sample of {images} images is none: give at least 1")
    kept = []
    for i, split in enumerate(SPLITS):
        rows = np.flatnonzero(prepared.split == split)
        if split in splits:
            chosen = np.random.default_rng((seed, i)).permutation(rows)[:images]
            kept.append(np.sort(chosen))
    index = np.sort(np.concatenate(kept)) if kept else np.zeros(0, np.int64)
    note = f"{images} random images at most of each of {', '.join(splits)}, seed {seed}"
    return replace(prepared[index], info=replace(prepared.info, notes=(*prepared.info.notes, note)))
