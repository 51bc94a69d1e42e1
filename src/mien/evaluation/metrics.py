"""Scores of a classifier from its probabilities: arrays in, plain numbers out.

Definitions follow scikit-learn where it has them; ECE follows Guo et al. 2017, "On Calibration of Modern Neural
Networks" (equal-width bins of the top probability).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import InputError

ECE_BINS = 15
_TINY = 1e-12
"""Lower limit of a probability in a logarithm."""


@dataclass(frozen=True, slots=True)
class Scores:
    """Figures of one head on one test set; all between 0 and 1 but ``n``, ``log_loss`` and ``confusion``.

    A classifier that gives labels without probabilities has neither ``log_loss``, ``ece``, ``top2`` nor ``kl``.

    Attributes:
        n: images scored.
        accuracy: share of right top labels.
        macro_f1: mean over classes of F1; classes that neither occur nor are predicted do not count.
        balanced_accuracy: mean over occurring classes of recall.
        recall: label → recall, None where the class does not occur.
        precision: label → precision, None where the class is never predicted.
        log_loss: mean negative log probability of the true label, nats.
        ece: expected calibration error over 15 bins.
        confusion: rows true, columns predicted, counts.
        labels: order of rows and columns.
        one_off: share of predictions in the true or an adjacent class, for ordered labels; else None.
        top2: share of images whose true label is one of the two most probable.
        kl: mean Kullback–Leibler divergence of the prediction from the raters' distribution, nats; None where the
            dataset has no raters' votes.

    Examples:
        >>> scores = score_labels(np.array([0, 0, 1]), np.array([0, 1, 1]), ("happy", "sad"))
        >>> round(scores.accuracy, 3), scores.confusion, scores.recall["sad"]
        (0.667, [[1, 0], [1, 1]], 0.5)
        >>> scores.to_dict()["n"]
        3
    """

    n: int
    accuracy: float
    macro_f1: float
    balanced_accuracy: float
    recall: dict[str, float | None]
    precision: dict[str, float | None]
    log_loss: float | None
    ece: float | None
    confusion: list[list[int]]
    labels: tuple[str, ...]
    one_off: float | None = None
    top2: float | None = None
    kl: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


def confusion_matrix(truth: NDArray[np.integer], predicted: NDArray[np.integer], classes: int) -> NDArray[np.int64]:
    """``(classes, classes)`` counts, rows true, columns predicted.

    Args:
        truth: ``(n,)`` true class indices.
        predicted: ``(n,)`` predicted ones.
        classes: number of classes.

    Examples:
        >>> confusion_matrix(np.array([0, 1, 1]), np.array([0, 0, 1]), 2).tolist()
        [[1, 0], [1, 1]]
    """
    flat = np.bincount(np.asarray(truth, np.int64) * classes + predicted, minlength=classes * classes)
    return flat.reshape(classes, classes)


def expected_calibration_error(
    confidence: NDArray[np.floating], correct: NDArray[np.bool_], bins: int = ECE_BINS
) -> float:
    """Mean gap between confidence and accuracy over equal-width bins, weighted by their share of the images.

    Args:
        confidence: ``(n,)`` top probabilities, 0–1.
        correct: ``(n,)`` whether the top label is right.
        bins: number of bins.

    Examples:
        >>> round(expected_calibration_error(np.array([0.9, 0.9]), np.array([True, False])), 2)
        0.4
    """
    index = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    gaps = np.bincount(index, weights=confidence - correct, minlength=bins)
    return float(np.abs(gaps).sum() / max(len(confidence), 1))


def in_top_k(probabilities: NDArray[np.floating], truth: NDArray[np.integer], count: int) -> NDArray[np.bool_]:
    """Whether the true class of each row is among its ``count`` most probable; equal ones rank by their order."""
    rows = np.arange(len(truth))
    own = probabilities[rows, truth][:, None]
    before = np.arange(probabilities.shape[1]) < np.asarray(truth)[:, None]
    above = (probabilities > own) | ((probabilities == own) & before)
    return np.asarray(above.sum(axis=1) < count)


def kl_divergence(raters: NDArray[np.floating], probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
    """``(n,)`` Kullback–Leibler divergences of predictions from raters' distributions, nats.

    NaN where no rater chose any of the labels (a row of zeros).
    """
    q, p = raters.astype(np.float64), np.clip(probabilities, _TINY, 1.0).astype(np.float64)
    terms = np.where(q > 0, q * (np.log(np.where(q > 0, q, 1.0)) - np.log(p)), 0.0)
    return np.where(q.sum(axis=1) > 0, terms.sum(axis=1), np.nan)


def score_probabilities(
    probabilities: NDArray[np.floating],
    truth: NDArray[np.integer],
    labels: Sequence[str],
    *,
    ordered: bool = False,
    raters: NDArray[np.floating] | None = None,
) -> Scores:
    """Score ``(n, k)`` probabilities against ``(n,)`` true class indices.

    Args:
        probabilities: rows sum to 1.
        truth: 0 ≤ truth < k; images without a label are to be left out before.
        labels: k names.
        ordered: the labels are a scale, so one-off accuracy makes sense.
        raters: ``(n, k)`` distributions of the raters' votes, rows of zeros where they chose none of the labels.

    Raises:
        InputError: shapes that do not fit, or no image at all.

    Examples:
        >>> probabilities = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]], np.float32)
        >>> scores = score_probabilities(probabilities, np.array([0, 1, 1]), ("happy", "sad"))
        >>> round(scores.macro_f1, 3), round(scores.log_loss, 3)
        (0.667, 0.415)
    """
    n, classes = probabilities.shape
    if classes != len(labels) or truth.shape != (n,):
        raise InputError(
            f"{n} rows of {classes} probabilities do not fit {len(labels)} labels and {truth.shape} truths"
        )
    if n == 0:
        raise InputError("no image of this split has a label for this head, so there is nothing to score")
    predicted = probabilities.argmax(axis=1)
    true_probability = np.clip(probabilities[np.arange(n), truth], _TINY, 1.0)
    divergence = None if raters is None else kl_divergence(raters, probabilities)
    return replace(
        score_labels(predicted, truth, labels, ordered=ordered),
        log_loss=float(-np.log(true_probability).mean()),
        ece=expected_calibration_error(probabilities.max(axis=1), predicted == truth),
        top2=float(in_top_k(probabilities, truth, 2).mean()),
        kl=None if divergence is None or np.isnan(divergence).all() else float(np.nanmean(divergence)),
    )


def score_labels(
    predicted: NDArray[np.integer], truth: NDArray[np.integer], labels: Sequence[str], *, ordered: bool = False
) -> Scores:
    """Score ``(n,)`` predicted class indices against ``(n,)`` true ones; without log loss and ECE.

    Args:
        predicted: 0 ≤ predicted < k.
        truth: 0 ≤ truth < k.
        labels: k names.
        ordered: the labels are a scale, so one-off accuracy makes sense.

    Raises:
        InputError: shapes that do not fit, or no image at all.

    Examples:
        >>> score_labels(np.array([0, 0, 1]), np.array([0, 1, 1]), ("happy", "sad")).confusion
        [[1, 0], [1, 1]]
    """
    n, classes = len(truth), len(labels)
    if predicted.shape != (n,) or truth.shape != (n,):
        raise InputError(f"{predicted.shape} predictions do not fit {truth.shape} truths")
    if n == 0:
        raise InputError("no image of this split has a label for this head, so there is nothing to score")
    matrix = confusion_matrix(truth, predicted, classes)
    hits, true, given = np.diag(matrix).astype(float), matrix.sum(axis=1), matrix.sum(axis=0)
    recall = np.divide(hits, true, out=np.full(classes, np.nan), where=true > 0)
    precision = np.divide(hits, given, out=np.full(classes, np.nan), where=given > 0)
    f1 = np.divide(2 * hits, true + given, out=np.full(classes, np.nan), where=true + given > 0)
    return Scores(
        n=n,
        accuracy=float((predicted == truth).mean()),
        macro_f1=float(np.nanmean(f1)),
        balanced_accuracy=float(np.nanmean(recall)),
        recall=_by_label(labels, recall),
        precision=_by_label(labels, precision),
        log_loss=None,
        ece=None,
        confusion=matrix.tolist(),
        labels=tuple(labels),
        one_off=float((np.abs(predicted - truth) <= 1).mean()) if ordered else None,
    )


def _by_label(labels: Sequence[str], values: NDArray[np.floating]) -> dict[str, float | None]:
    return {label: None if np.isnan(v) else float(v) for label, v in zip(labels, values, strict=True)}
