"""How much a simple classifier, trained on other images, doubts each label."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.datasets.leaks import identities
from mien.datasets.value import Prepared
from mien.errors import DataError, InputError, MissingExtraError
from mien.features import SIDE, hog

FOLDS = 5
CELL = 6
"""Side of the cells of the HOG that is learned from, pixels of a 48×48 picture: 512 numbers."""
COMPONENTS = 100
IMAGES_PER_COMPONENT = 20
"""Least, or a small dataset would be learned by heart."""
_STEPS = 60
_BLOCK = 256


def doubt(prepared: Prepared, seed: int = 0) -> NDArray[np.float64]:
    """``(n,)`` float64: how many times more probable the most probable emotion is than the image's own label.

    HOG of the gray picture, its 100 principal components, logistic regression with five folds; copies of an image fall
    in one fold. Probabilities are divided by the emotions' shares, or every rare emotion would seem doubtful. 1 is no
    doubt.

    Args:
        prepared: a dataset with emotions.
        seed: of the folds.

    Raises:
        InputError: the dataset has no emotions.
        DataError: an emotion stands on fewer images than there are folds.
        MissingExtraError: scikit-learn is not installed.
    """
    try:
        from sklearn.decomposition import PCA
        from sklearn.linear_model import LogisticRegression
        from sklearn.model_selection import StratifiedGroupKFold
        from threadpoolctl import threadpool_limits
    except ImportError:
        raise MissingExtraError("scikit-learn", "train", "the cleaning rule 'disagreement'") from None
    if prepared.emotion is None:
        raise InputError(f"{prepared.info.name} has no emotions to doubt")
    label = np.unique(prepared.emotion, return_inverse=True)[1].reshape(-1)
    share = np.bincount(label) / max(len(label), 1)
    if len(share) < 2 or np.bincount(label).min() < FOLDS:
        raise DataError(
            f"too few images to judge labels by: each of at least two emotions needs {FOLDS}; "
            "leave the rule 'disagreement' out"
        )
    vectors = _vectors(prepared.images)
    parts = max(1, min(COMPONENTS, len(vectors) // IMAGES_PER_COMPONENT))
    probabilities = np.zeros((len(label), len(share)))
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    # matrices this small are slower on many threads, far slower where another process wants the cores too
    with threadpool_limits(1):
        vectors = PCA(parts, whiten=True, svd_solver="covariance_eigh").fit_transform(vectors)
        for train, held_out in folds.split(vectors, label, identities(prepared)):
            model = LogisticRegression(max_iter=_STEPS, tol=1e-3)
            _fit_quietly(model, vectors[train], label[train])
            probabilities[held_out[:, None], model.classes_] = model.predict_proba(vectors[held_out])
    odds = probabilities / share
    own = odds[np.arange(len(label)), label]
    return np.asarray(odds.max(axis=1) / np.maximum(own, np.finfo(float).tiny), np.float64)


def _fit_quietly(model: object, vectors: NDArray[np.float32], label: NDArray[np.intp]) -> None:
    import warnings

    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        # the last digits of the probabilities do not matter here
        warnings.filterwarnings("ignore", category=ConvergenceWarning)
        model.fit(vectors, label)  # type: ignore[attr-defined]


def _vectors(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """``(n, 512)`` float32; roots, because a cell's few strong votes would drown the others."""
    parts = [hog.hog(_gray(images[start : start + _BLOCK]), CELL) for start in range(0, len(images), _BLOCK)]
    return np.sqrt(np.concatenate(parts).reshape(len(images), -1))


def _gray(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """``(n, h, w, 1 or 3)`` → ``(n, 48, 48)``."""
    out = np.empty((len(images), SIDE, SIDE), np.uint8)
    for i, image in enumerate(images):
        gray = image[..., 0] if image.shape[2] == 1 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        way = cv2.INTER_AREA if min(gray.shape) > SIDE else cv2.INTER_CUBIC
        out[i] = gray if gray.shape == (SIDE, SIDE) else cv2.resize(gray, (SIDE, SIDE), interpolation=way)
    return out
