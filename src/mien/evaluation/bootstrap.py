"""Intervals by resampling images: percentile bootstrap (Efron 1979), seeded, without a loop over images.

Every figure here is a function of sums over images. So each resample is one row of a matrix with the number of times
that each image was drawn, and one matrix product gives the sums of all resamples.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien import defaults
from mien.evaluation.metrics import ECE_BINS, in_top_k, kl_divergence
from mien.evaluation.predictions import HeadPredictions

SAMPLES, LEVEL, SEED = defaults.BOOTSTRAP_SAMPLES, defaults.INTERVAL_LEVEL, 0
_CELLS = 4_000_000
"""Numbers in a block of resamples at most: bounds memory on large test sets."""

_DIGITS = 6
"""Decimals of an interval: more than resampling can resolve."""

Interval = tuple[float, float]


def resampled_sums(columns: NDArray[np.floating], samples: int = SAMPLES, seed: int = SEED) -> NDArray[np.float64]:
    """Sums of ``(n, m)`` columns over ``samples`` draws of n rows with replacement: ``(samples, m)``."""
    n = len(columns)
    rng = np.random.default_rng(seed)
    out = np.zeros((samples, columns.shape[1]))
    block = max(1, _CELLS // max(n, 1))
    for start in range(0, samples if n else 0, block):
        size = min(block, samples - start)
        draws = rng.integers(0, n, (size, n)) + n * np.arange(size)[:, None]
        counts = np.bincount(draws.ravel(), minlength=size * n).reshape(size, n)
        out[start : start + size] = counts.astype(np.float64) @ columns
    return out


def percentile_interval(values: NDArray[np.floating], level: float = LEVEL) -> Interval | None:
    """The central ``level`` of ``(samples,)`` values; None where none is a number."""
    known = values[np.isfinite(values)]
    if not len(known):
        return None
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return round(float(low), _DIGITS), round(float(high), _DIGITS)


def mean_interval(values: NDArray[Any], samples: int = SAMPLES, seed: int = SEED) -> Interval | None:
    """Interval of the mean of ``(n,)`` values; None where there is none."""
    if not len(values):
        return None
    return percentile_interval(resampled_sums(values[:, None].astype(np.float64), samples, seed)[:, 0] / len(values))


def score_intervals(predictions: HeadPredictions, samples: int = SAMPLES, seed: int = SEED) -> dict[str, object]:
    """95 % intervals of the figures of `mien.evaluation.metrics.Scores`, over the faces that were found.

    Returns:
        Figure → (low, high); "recall" and "precision" hold such a mapping by label, None where the class never
        occurs. Figures that the classifier does not have are absent. The interval of ECE is shifted by the bootstrap's
        own bias, because resampling adds noise to every bin and with it to the mean gap.
    """
    part = predictions[predictions.found]
    n, k = len(part), len(part.labels)
    if n == 0:
        return {}
    cells = np.zeros((n, k * k))
    cells[np.arange(n), part.truth * k + part.predicted] = 1.0
    names, extra = _means(part)
    sums = resampled_sums(np.concatenate([cells, *extra], axis=1), samples, seed)
    matrix = sums[:, : k * k].reshape(-1, k, k)
    hits, true, predicted = np.einsum("sii->si", matrix), matrix.sum(axis=2), matrix.sum(axis=1)
    recall, precision, f1 = _ratio(hits, true), _ratio(hits, predicted), _ratio(2 * hits, true + predicted)
    values: dict[str, NDArray[np.float64]] = {
        "accuracy": hits.sum(axis=1) / n,
        "macro_f1": _mean_of_known(f1),
        "balanced_accuracy": _mean_of_known(recall),
    }
    column = k * k
    for name in names:
        values[name] = sums[:, column] / sums[:, column + 1]
        column += 2
    intervals: dict[str, object] = {name: percentile_interval(value) for name, value in values.items()}
    if part.probabilities is not None:
        gaps = np.abs(sums[:, column:]).sum(axis=1) / n
        estimate = float(np.abs(extra[-1].sum(axis=0)).sum() / n)
        low, high = percentile_interval(gaps - (gaps.mean() - estimate)) or (0.0, 0.0)
        intervals["ece"] = (max(low, 0.0), high)
    intervals["recall"] = _by_label(part.labels, recall)
    intervals["precision"] = _by_label(part.labels, precision)
    return intervals


def _means(part: HeadPredictions) -> tuple[list[str], list[NDArray[np.float64]]]:
    """Names of figures that are means over images; for each its values and whether there is one; last, gaps by bin."""
    values: dict[str, NDArray[np.float64]] = {}
    if part.ordered:
        values["one_off"] = (np.abs(part.predicted - part.truth) <= 1).astype(np.float64)
    parts: list[NDArray[np.float64]] = []
    if part.probabilities is not None:
        own = np.clip(part.probabilities[np.arange(len(part)), part.truth], 1e-12, 1.0).astype(np.float64)
        values["log_loss"] = -np.log(own)
        values["top2"] = in_top_k(part.probabilities, part.truth, 2).astype(np.float64)
        if part.raters is not None:
            values["kl"] = kl_divergence(part.raters, part.probabilities)
    for value in values.values():
        known = np.isfinite(value)
        parts.append(np.stack([np.where(known, value, 0.0), known.astype(np.float64)], axis=1))
    if part.probabilities is not None:
        confidence = part.confidence
        bins = np.minimum((confidence * ECE_BINS).astype(np.int64), ECE_BINS - 1)
        gaps = np.zeros((len(part), ECE_BINS))
        gaps[np.arange(len(part)), bins] = confidence - part.correct
        parts.append(gaps)
    return list(values), parts


def _ratio(numerator: NDArray[np.float64], denominator: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(numerator, denominator, out=np.full_like(numerator, np.nan), where=denominator > 0)


def _mean_of_known(values: NDArray[np.float64]) -> NDArray[np.float64]:
    with warnings.catch_warnings():
        # a resample may miss every class that matters; its mean is then no number and is left out
        warnings.filterwarnings("ignore", message="Mean of empty slice")
        return np.asarray(np.nanmean(values, axis=1))


def _by_label(labels: Sequence[str], values: NDArray[np.float64]) -> dict[str, Interval | None]:
    return {label: percentile_interval(values[:, i]) for i, label in enumerate(labels)}


def paired_interval(a: NDArray[Any], b: NDArray[Any], samples: int = SAMPLES, seed: int = SEED) -> Interval | None:
    """Interval of the mean of ``b - a`` over the same images, ``(n,)`` each."""
    return mean_interval(np.asarray(b, np.float64) - np.asarray(a, np.float64), samples, seed)
