"""Intervals by resampling images: percentile bootstrap (Efron 1979), seeded, without a loop over images.

Every figure here is a function of sums over images. So each resample is one row of a matrix that says how often each
image was drawn, and one matrix product gives the sums of all resamples.
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

SAMPLES, LEVEL, SEED = defaults.BOOTSTRAP_SAMPLES, 0.95, 0
_CELLS = 4_000_000
"""Numbers that a block of resamples may take: bounds memory on large test sets."""

_DIGITS = 6
"""Decimals of an interval: more than resampling can tell."""

Interval = tuple[float, float]


def resampled_sums(columns: NDArray[np.floating], samples: int = SAMPLES, seed: int = SEED) -> NDArray[np.float64]:
    """Sums of ``(n, m)`` columns over ``samples`` draws of n rows with replacement: ``(samples, m)``."""
    n = len(columns)
    rng = np.random.default_rng(seed)
    out = np.zeros((samples, columns.shape[1]))
    block = max(1, _CELLS // max(n, 1))
    for start in range(0, samples if n else 0, block):
        size = min(block, samples - start)
        picks = rng.integers(0, n, (size, n)) + n * np.arange(size)[:, None]
        times = np.bincount(picks.ravel(), minlength=size * n).reshape(size, n)
        out[start : start + size] = times.astype(np.float64) @ columns
    return out


def percentile_interval(values: NDArray[np.floating], level: float = LEVEL) -> Interval | None:
    """The middle ``level`` of ``(samples,)`` values; None where none is a number."""
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


def score_intervals(scored: HeadPredictions, samples: int = SAMPLES, seed: int = SEED) -> dict[str, object]:
    """95 % intervals of the figures of `mien.evaluation.metrics.Scores`, over the faces that were found.

    Returns:
        Figure → (low, high); "recall" and "precision" hold such a mapping by label, None where the class never
        occurs. Figures that the classifier does not have are absent. The interval of ECE is shifted by the bootstrap's
        own bias, because resampling adds noise to every bin and with it to the mean gap.
    """
    seen = scored[scored.found]
    n, k = len(seen), len(seen.labels)
    if n == 0:
        return {}
    cells = np.zeros((n, k * k))
    cells[np.arange(n), seen.truth * k + seen.predicted] = 1.0
    names, extra = _means(seen)
    sums = resampled_sums(np.concatenate([cells, *extra], axis=1), samples, seed)
    matrix = sums[:, : k * k].reshape(-1, k, k)
    hits, occurs, said = np.einsum("sii->si", matrix), matrix.sum(axis=2), matrix.sum(axis=1)
    recall, precision, f1 = _ratio(hits, occurs), _ratio(hits, said), _ratio(2 * hits, occurs + said)
    values: dict[str, NDArray[np.float64]] = {
        "accuracy": hits.sum(axis=1) / n,
        "macro_f1": _mean_of_known(f1),
        "balanced_accuracy": _mean_of_known(recall),
    }
    place = k * k
    for name in names:
        values[name] = sums[:, place] / sums[:, place + 1]
        place += 2
    found: dict[str, object] = {name: percentile_interval(each) for name, each in values.items()}
    if seen.probabilities is not None:
        gaps = np.abs(sums[:, place:]).sum(axis=1) / n
        estimate = float(np.abs(extra[-1].sum(axis=0)).sum() / n)
        low, high = percentile_interval(gaps - (gaps.mean() - estimate)) or (0.0, 0.0)
        found["ece"] = (max(low, 0.0), high)
    found["recall"] = _by_label(seen.labels, recall)
    found["precision"] = _by_label(seen.labels, precision)
    return found


def _means(seen: HeadPredictions) -> tuple[list[str], list[NDArray[np.float64]]]:
    """Names of figures that are means over images; for each its values and whether there is one; last, gaps by bin."""
    values: dict[str, NDArray[np.float64]] = {}
    if seen.ordered:
        values["one_off"] = (np.abs(seen.predicted - seen.truth) <= 1).astype(np.float64)
    parts: list[NDArray[np.float64]] = []
    if seen.probabilities is not None:
        own = np.clip(seen.probabilities[np.arange(len(seen)), seen.truth], 1e-12, 1.0).astype(np.float64)
        values["log_loss"] = -np.log(own)
        values["top2"] = in_top_k(seen.probabilities, seen.truth, 2).astype(np.float64)
        if seen.raters is not None:
            values["kl"] = kl_divergence(seen.raters, seen.probabilities)
    for each in values.values():
        known = np.isfinite(each)
        parts.append(np.stack([np.where(known, each, 0.0), known.astype(np.float64)], axis=1))
    if seen.probabilities is not None:
        confidence = seen.confidence
        bins = np.minimum((confidence * ECE_BINS).astype(np.int64), ECE_BINS - 1)
        gaps = np.zeros((len(seen), ECE_BINS))
        gaps[np.arange(len(seen)), bins] = confidence - seen.correct
        parts.append(gaps)
    return list(values), parts


def _ratio(above: NDArray[np.float64], below: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)


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
