"""Labels against the predictions of a simple classifier that was trained on other images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.datasets.dataset import Dataset
from mien.datasets.exact_duplicates import image_ids
from mien.datasets.image_features import gray48, hog_vectors
from mien.errors import DataError, InputError, MissingExtraError

FOLDS = 5
COMPONENTS = 100
IMAGES_PER_COMPONENT = 20
"""Minimum; with fewer the classifier would memorise a small dataset."""
_STEPS = 60


def label_doubt(dataset: Dataset, seed: int = 0) -> NDArray[np.float64]:
    """``(n,)`` float64: how many times more probable the most probable emotion is than the image's own label.

    HOG of the gray image, its 100 principal components, logistic regression with five folds; copies of an image are in
    one fold. Probabilities are divided by the emotions' shares, or every rare emotion would seem doubtful. 1 means that
    the label is the most probable one.

    Args:
        dataset: a dataset with emotions.
        seed: of the folds.

    Raises:
        InputError: the dataset has no emotions.
        DataError: an emotion has fewer images than there are folds.
        MissingExtraError: scikit-learn is not installed.
    """
    if dataset.emotion is None:
        raise InputError(f"{dataset.info.name} has no emotions to doubt")
    label = np.unique(dataset.emotion, return_inverse=True)[1].reshape(-1)
    what = "the rule 'disagreement'"
    probabilities = out_of_fold_probabilities(gray48(dataset.images), label, image_ids(dataset), what, seed)
    odds = probabilities * (len(label) / np.bincount(label))
    own = odds[np.arange(len(label)), label]
    return np.asarray(odds.max(axis=1) / np.maximum(own, np.finfo(float).tiny), np.float64)


def out_of_fold_probabilities(
    gray: NDArray[np.uint8], label: NDArray[np.integer], identity: NDArray[np.int64], what: str, seed: int = 0
) -> NDArray[np.float64]:
    """``(n, k)`` float64: label probabilities of each image by a classifier that was not trained on it.

    HOG, its 100 principal components, logistic regression with five folds; copies of an image are in one fold.

    Args:
        gray: uint8 ``(n, 48, 48)``.
        label: ``(n,)`` from 0 to k - 1, each of which occurs.
        identity: ``(n,)`` equal for copies, see `mien.datasets.exact_duplicates.image_ids`.
        what: the caller, for errors.
        seed: of the folds.

    Raises:
        DataError: a label has fewer distinct images than there are folds, or there is one label alone.
        MissingExtraError: scikit-learn is not installed.
    """
    try:
        from sklearn.decomposition import PCA
        from sklearn.linear_model import LogisticRegression
        from sklearn.model_selection import StratifiedGroupKFold
        from threadpoolctl import threadpool_limits
    except ImportError:
        raise MissingExtraError("scikit-learn", "train", what) from None
    # copies share a fold, so they count once
    counts = np.bincount(np.unique(np.stack([identity, label]), axis=1)[1])
    if len(counts) < 2 or counts.min() < FOLDS:
        raise DataError(
            f"too few images to check labels: each of at least two labels needs {FOLDS}", advice=f"leave {what} out"
        )
    vectors = hog_vectors(gray)
    parts = max(1, min(COMPONENTS, len(vectors) // IMAGES_PER_COMPONENT))
    probabilities = np.zeros((len(label), len(counts)))
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    # matrices this small are slower on many threads, far slower where another process wants the cores too
    with threadpool_limits(1):
        vectors = PCA(parts, whiten=True, svd_solver="covariance_eigh").fit_transform(vectors)
        for train, held_out in folds.split(vectors, label, identity):
            model = LogisticRegression(max_iter=_STEPS, tol=1e-3)
            _fit_quietly(model, vectors[train], label[train])
            probabilities[held_out[:, None], model.classes_] = model.predict_proba(vectors[held_out])
    return probabilities


def _fit_quietly(model: object, vectors: NDArray[np.float32], label: NDArray[np.integer]) -> None:
    import warnings

    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        # the last digits of the probabilities do not matter here
        warnings.filterwarnings("ignore", category=ConvergenceWarning)
        model.fit(vectors, label)  # type: ignore[attr-defined]
