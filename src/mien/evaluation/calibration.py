"""Is a probability of 0.8 right in eight of ten cases? Reliability diagrams, and the temperature that corrects it.

Guo et al. 2017, "On Calibration of Modern Neural Networks" (https://arxiv.org/abs/1706.04599).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import InputError
from mien.evaluation.metrics import ECE_BINS

MIN_TEMPERATURE, MAX_TEMPERATURE = 0.05, 20.0
"""Limits of the search for a temperature."""
_HALVINGS = 60


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """One bar of a reliability diagram: the images whose top probability lies in ``low``–``high``.

    ``confidence`` and ``accuracy`` are means over them, None where there is none.
    """

    low: float
    high: float
    n: int
    confidence: float | None
    accuracy: float | None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


def reliability_bins(
    confidence: NDArray[np.floating], correct: NDArray[np.bool_], bins: int = ECE_BINS
) -> tuple[ReliabilityBin, ...]:
    """The bars of a reliability diagram over equal-width bins of the top probability, ``(n,)`` arrays in."""
    index = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    counts = np.bincount(index, minlength=bins)
    sure = np.bincount(index, weights=confidence, minlength=bins)
    right = np.bincount(index, weights=correct, minlength=bins)
    return tuple(
        ReliabilityBin(
            low=i / bins,
            high=(i + 1) / bins,
            n=int(n),
            confidence=float(sure[i] / n) if n else None,
            accuracy=float(right[i] / n) if n else None,
        )
        for i, n in enumerate(counts)
    )


def apply_temperature(probabilities: NDArray[np.floating], temperature: float) -> NDArray[np.float32]:
    """Probabilities ``(n, k)`` as the softmax of the same logits divided by ``temperature`` would give them.

    Args:
        probabilities: ``(n, k)``, rows sum to 1.
        temperature: above 0; below 1 sharpens, above 1 softens.

    Examples:
        >>> apply_temperature(np.array([[0.9, 0.1]], np.float32), 2.0).round(2).tolist()
        [[0.75, 0.25]]
    """
    logits = _logits(probabilities) / temperature
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True), np.float32)


def fit_temperature(
    probabilities: NDArray[np.floating], truth: NDArray[np.number], weights: NDArray[np.floating] | None = None
) -> float:
    """The temperature that makes the true labels likeliest; below 1 sharpens, above 1 softens.

    The mean negative log-likelihood is convex in 1 / temperature, so the root of its slope is found by bisection.

    Args:
        probabilities: ``(n, k)`` from a softmax; their logarithms are the logits up to a constant, which is enough.
        truth: ``(n,)`` class indices, or ``(n, k)`` distributions whose rows sum to 1, such as those of raters.
        weights: ``(n,)`` of the images; None where all count the same.

    Raises:
        InputError: no image, shapes that do not fit, or a slope without a root: then the predictions are all right, or
            no better than chance, and do not determine a temperature.

    Examples:
        >>> sure = np.array([[0.99, 0.01]] * 4, np.float32)
        >>> fit_temperature(sure, np.array([0, 0, 0, 1])) > 1
        True
    """
    if len(truth) == 0 or truth.shape not in (probabilities.shape[:1], probabilities.shape):
        raise InputError(f"{probabilities.shape} probabilities do not fit {truth.shape} labels, or there are none")
    logits: NDArray[np.float64] = _logits(probabilities)
    rows = np.arange(len(truth))
    each = (truth * logits).sum(axis=1) if truth.ndim == 2 else logits[rows, truth.astype(np.int64)]
    own = float(np.average(each, weights=weights))

    def slope(sharpness: float) -> float:
        scaled = np.exp(sharpness * (logits - logits.max(axis=1, keepdims=True)))
        scaled /= scaled.sum(axis=1, keepdims=True)
        return float(np.average((scaled * logits).sum(axis=1), weights=weights)) - own

    low, high = 1 / MAX_TEMPERATURE, 1 / MIN_TEMPERATURE
    if not slope(low) < 0 < slope(high):
        raise InputError(
            f"no temperature between {MIN_TEMPERATURE:g} and {MAX_TEMPERATURE:g} fits these {len(truth)} images best",
            advice="use more of them, or a model that is neither always right nor guessing",
            code="no-temperature",
        )
    for _ in range(_HALVINGS):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if slope(middle) < 0 else (low, middle)
    return float(1 / (low * high) ** 0.5)


def _logits(probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
    values: NDArray[np.float64] = np.log(np.maximum(probabilities.astype(np.float64), 1e-38))
    return values
