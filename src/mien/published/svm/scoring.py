"""Predictions and scores of a support-vector machine on one split of a dataset."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.datasets.dataset import Dataset
from mien.datasets.exact_duplicates import leaked_rows
from mien.errors import ModelError
from mien.evaluation.predictions import HeadPredictions
from mien.evaluation.scoring.evaluate import SplitPredictions, score_predictions, with_subsets
from mien.evaluation.scoring.groups import make_groupings
from mien.published.svm.recipe import SvmRecipe
from mien.published.svm.run_folder import load_svm
from mien.published.svm.samples import select_samples, vectors_and_labels

HEAD = "emotion"
"""Name of the protocol in the scores, as for a network of one emotion head."""


def evaluate_svm(folder: Path, data: Dataset, *, split: str = "test", samples: int = 0) -> dict[str, Any]:
    """Every figure of a run on one split, in the shape of `mien.evaluation.scoring.evaluate.evaluate`.

    Args:
        folder: the run.
        data: the whole dataset.
        split: which images.
        samples: bootstrap resamples for 95 % intervals; 0 for none.

    Raises:
        DataError: the dataset has no such split, or lacks a feature.
    """
    return score_predictions(predict_svm(folder, data, split=split), samples=samples)


def predict_svm(
    folder: Path, data: Dataset, *, split: str = "test", slices: Sequence[str] | None = None
) -> SplitPredictions:
    """Predictions of a run on one split: labels without probabilities; errors as for `evaluate_svm`."""
    recipe, pipeline = load_svm(folder)
    scored = tuple(predict_split(recipe, pipeline, data, split, HEAD))
    absent = [name for name in (data.taxonomy.names if data.taxonomy else ()) if name not in recipe.classes]
    left_out = int((data.split == split).sum()) - len(scored[0])
    note = f"{HEAD}: the model does not predict {', '.join(absent)}; {left_out:,} images are left out"
    groupings = () if slices is None else make_groupings(data, data.split == split, slices)
    return SplitPredictions(
        recipe.name, data.info.name, split, False, scored, groupings=groupings, notes=(note,) if left_out else ()
    )


def score_held_out(recipe: SvmRecipe, pipeline: Any, data: Dataset) -> tuple[dict[str, Any], int]:
    """Scores of validation and test, where the dataset has them, and how many images were scored."""
    table: dict[str, Any] = {}
    images = 0
    for split in ("validation", "test"):
        if (data.split == split).any():
            predictions = predict_split(recipe, pipeline, data, split, split)
            table |= {one.protocol: one.scores().to_dict() for one in predictions}
            images += len(predictions[0])
    return table, images


def predict_split(recipe: SvmRecipe, pipeline: Any, data: Dataset, split: str, name: str) -> list[HeadPredictions]:
    """Protocols ``name`` and ``name leak-free``, the second where training holds exact copies of some images."""
    part = select_samples(recipe, data, split)
    x, truth = vectors_and_labels(recipe, part)
    predicted = _predict(pipeline, x, recipe)
    # positions of the images within the split, which networks count by as well
    rows = np.flatnonzero(np.isin(data.row[data.split == split], part.row))
    whole = HeadPredictions(name, recipe.classes, truth, predicted, None, rows.astype(np.int64))
    return with_subsets(whole, leaked_rows(data)[data.split == split])


def _predict(pipeline: Any, x: NDArray[np.float64], recipe: SvmRecipe) -> NDArray[np.int64]:
    """Indices in the recipe's classes; `ModelError` where the loaded model fails, or predicts other classes."""
    try:
        labels = np.asarray(pipeline.predict(x))
    except (ArithmeticError, AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise ModelError(f"the model of {recipe.name!r} cannot predict ({error})", advice="train it again") from error
    if (
        labels.shape != (len(x),)
        or labels.dtype.kind not in "iu"
        or not np.isin(labels, range(len(recipe.classes))).all()
    ):
        raise ModelError(
            f"the model of {recipe.name!r} does not predict its {len(recipe.classes)} classes", advice="train it again"
        )
    return labels.astype(np.int64)
