"""Smaller datasets: some emotions alone, fewer images per emotion, or a random sample."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from mien.datasets.dataset import SPLITS, Dataset
from mien.errors import InputError


def select_emotions(dataset: Dataset, names: Sequence[str]) -> Dataset:
    """The images of these emotions alone; the indices of ``emotion`` stay those of the whole taxonomy.

    Args:
        dataset: a dataset with emotions.
        names: emotions in any known spelling.

    Raises:
        InputError: the dataset has no emotions, or not this one.

    Examples:
        >>> len(select_emotions(dataset, ["happy", "sadness"]))
        20
    """
    taxonomy = dataset.taxonomy
    if dataset.emotion is None or taxonomy is None:
        raise InputError(f"{dataset.info.name} has no emotions to choose from")
    wanted = {dataset.canonical_label(name) for name in names}
    unknown = sorted(wanted - set(taxonomy.names))
    if unknown or not wanted:
        raise InputError(
            f"{dataset.info.name} has no emotion {unknown[0] if unknown else '(none given)'!r}: "
            f"expected some of {', '.join(taxonomy.names)}"
        )
    reasons = np.array(["" if name in wanted else f"not selected: {name}" for name in taxonomy.names])
    kept = dataset.drop(reasons[dataset.emotion])
    return kept.with_note(f"expressions {', '.join(name for name in taxonomy.names if name in wanted)}")


def first_per_emotion(dataset: Dataset, count: int) -> Dataset:
    """The first images of each emotion in each split, in the order of the file.

    Args:
        dataset: a dataset with emotions.
        count: maximum images of an emotion in a split, at least 1.

    Raises:
        InputError: the dataset has no emotions, or a count below 1.

    Examples:
        >>> len(first_per_emotion(dataset, 1).select("train"))
        7
    """
    if dataset.emotion is None:
        raise InputError(f"{dataset.info.name} has no emotions to count by")
    if count < 1:
        raise InputError(f"at least 1 image of each emotion must stay, got {count}")
    keep = np.zeros(len(dataset), np.bool_)
    for split in SPLITS:
        for code in np.unique(dataset.emotion):
            keep[np.flatnonzero((dataset.split == split) & (dataset.emotion == code))[:count]] = True
    kept = dataset.drop(np.where(keep, "", "beyond the limit of its class"))
    return kept.with_note(f"at most {count} images of each emotion in each split")


def limit_per_emotion(dataset: Dataset, limits: Mapping[str, int], seed: int = 0) -> Dataset:
    """At most so many random images of some emotions, over all splits together; the other emotions stay complete.

    Args:
        dataset: a dataset with emotions.
        limits: emotion in any known spelling → maximum images, at least 1.
        seed: of the random choice.

    Raises:
        InputError: the dataset has no emotions, or not this one; or a limit below 1.

    Examples:
        >>> len(limit_per_emotion(dataset, {"happy": 5}))
        65
    """
    if dataset.emotion is None or dataset.taxonomy is None:
        raise InputError(f"{dataset.info.name} has no emotions to count by")
    reasons = np.full(len(dataset), "", "<U40")
    notes = []
    for label, limit in limits.items():
        name = dataset.canonical_label(label)
        if name not in dataset.taxonomy.index or limit < 1:
            known = ", ".join(dataset.taxonomy.names)
            raise InputError(f"no limit {label}={limit}: the emotions are {known}, and at least 1 image must stay")
        code = dataset.taxonomy.index[name]
        rows = np.flatnonzero(dataset.emotion == code)
        drawn = np.random.default_rng((seed, code)).permutation(rows)
        reasons[drawn[limit:]] = f"beyond the limit of {name}"
        notes.append(f"at most {limit} of {name}, drawn with seed {seed}")
    return dataset.drop(reasons).with_note(*notes)


def subsample(dataset: Dataset, images: int, seed: int, *, splits: Collection[str] = SPLITS) -> Dataset:
    """At most ``images`` random rows of each of ``splits``, in their order; the other splits are left out.

    The same seed and dataset give the same rows; ``info.notes`` records both.

    Args:
        dataset: the dataset.
        images: of each split at most, at least 1.
        seed: of the random choice.
        splits: that are sampled.

    Raises:
        InputError: less than one image.

    Examples:
        >>> len(subsample(dataset, 10, seed=0, splits=("train",)))
        10
    """
    if images < 1:
        raise InputError(f"a sample needs at least 1 image, got {images}")
    kept = []
    for i, split in enumerate(SPLITS):
        rows = np.flatnonzero(dataset.split == split)
        if split in splits:
            kept.append(np.sort(np.random.default_rng((seed, i)).permutation(rows)[:images]))
    index = np.sort(np.concatenate(kept)) if kept else np.zeros(0, np.int64)
    note = f"{images} random images at most of each of {', '.join(splits)}, seed {seed}"
    return dataset[index].with_note(note)
