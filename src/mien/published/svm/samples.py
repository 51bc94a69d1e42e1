"""From a dataset to what a support-vector machine learns from: the images of its classes, their vectors and labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.datasets.dataset import Dataset
from mien.datasets.subsets import first_per_emotion
from mien.errors import DataError
from mien.published.features import concatenate_features
from mien.published.svm.recipe import SvmRecipe


def select_samples(recipe: SvmRecipe, data: Dataset, split: str) -> Dataset:
    """Images of the recipe's classes in one split.

    Raises:
        DataError: the dataset lacks emotions, one of the recipe's, or images of them in this split.
    """
    if data.emotion is None or data.taxonomy is None:
        raise DataError(f"{data.info.name} has no emotions to learn")
    absent = [name for name in recipe.classes if name not in data.taxonomy.index]
    if absent:
        raise DataError(f"{data.info.name} has no emotion {absent[0]!r}, which {recipe.name!r} learns")
    codes = [data.taxonomy.index[name] for name in recipe.classes]
    part = data[(data.split == split) & np.isin(data.emotion, codes)]
    if not len(part):
        raise DataError(f"the dataset has no {split!r} images of {', '.join(recipe.classes)}")
    return part if recipe.per_class is None else first_per_emotion(part, recipe.per_class)


def vectors_and_labels(recipe: SvmRecipe, part: Dataset) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """``(n, length)`` feature vectors and ``(n,)`` indices in the recipe's classes; `DataError` without a feature."""
    missing = [name for name in recipe.features if name not in part.features]
    if missing:
        names = ",".join(recipe.features).replace("_", "-")
        raise DataError(
            f"{recipe.name!r} takes {missing[0]} and this file has none",
            advice=f"add it with `mien data prepare FILE --features {names} --out NEW`",
            details={"features": missing},
        )
    labels = () if part.taxonomy is None else part.taxonomy.names
    index = np.array([recipe.classes.index(name) if name in recipe.classes else -1 for name in labels], np.int64)
    return concatenate_features(part.features, recipe.features).astype(np.float64), index[part.emotion]
