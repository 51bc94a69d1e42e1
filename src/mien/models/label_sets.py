"""Sets of labels that hold the right one with a stated probability: split conformal prediction.

A label's score is small where the network finds it likely: for labels without an order 1 minus its probability, for
ordered ones the probability that is gathered, from the most probable label outwards to the more probable neighbour,
until the label is reached. A set holds the labels whose score is at most a quantile of the scores that right labels had
on validation images, so that it holds the right one for that share of images like those, whatever the network is
worth. With one quantile per label ("by class") it does so for each right label, with larger sets.

Sources:
    Vovk et al. 2005, "Algorithmic learning in a random world".
    Sadinle et al. 2019, "Least ambiguous set-valued classifiers with bounded error levels" (arXiv:1609.00451).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.arguments import plain_number
from mien.errors import InputError, ModelError

COVERAGES = tuple(round(i / 100, 2) for i in range(50, 100))
"""Probabilities for which quantiles are stored."""
_EVERYTHING = 1.0
"""Quantile that no score exceeds."""
FUZZ = 1e-6
"""What a score may exceed a limit by, so that rounding never leaves a label out."""


@dataclass(frozen=True, slots=True)
class ScoreQuantiles:
    """What validation images gave for one prior; part of a model's card.

    Attributes:
        prior: key of `mien.models.priors.PRIORS`.
        data: the images.
        n: their number.
        quantiles: score that the right label does not exceed, for each of `COVERAGES`.
        by_label: the same for the images of each label.

    Raises:
        ModelError: another number of quantiles, or one out of range.
    """

    prior: str
    data: str
    n: int
    quantiles: tuple[float, ...]
    by_label: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        for row in (self.quantiles, *self.by_label):
            if len(row) != len(COVERAGES) or not all(0 <= value <= 1 for value in row):
                raise ModelError(f"card: sets have {len(COVERAGES)} quantiles from 0 to 1")

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> ScoreQuantiles:
        """The quantiles in a card's JSON."""
        return cls(
            raw["prior"],
            raw["data"],
            int(raw["n"]),
            tuple(float(value) for value in raw["quantiles"]),
            tuple(tuple(float(value) for value in row) for row in raw["by_label"]),
        )

    def rule(self, coverage: float, *, by_class: bool = False) -> SetRule:
        """The rule for sets that hold the right label with probability ``coverage``; one of `COVERAGES`."""
        at = COVERAGES.index(coverage)
        one = self.quantiles[at]
        return SetRule(coverage, by_class, tuple(row[at] if by_class else one for row in self.by_label))


@dataclass(frozen=True, slots=True)
class SetRule:
    """Which labels a set holds.

    Attributes:
        coverage: probability with which it holds the right one.
        by_class: whether it does so for the images of each label.
        limits: greatest score of each label in the set.
    """

    coverage: float
    by_class: bool
    limits: tuple[float, ...]

    def members(self, probabilities: NDArray[np.floating], *, ordered: bool) -> NDArray[np.bool_]:
        """``(n, k)`` whether each label is in the set of each face; no set is empty, rows of NaN have one of nothing.

        The sets of ordered labels have no gap.

        Args:
            probabilities: ``(n, k)``, rows that sum to 1 or are NaN.
            ordered: whether the labels have an order.
        """
        known = ~np.isnan(probabilities).any(axis=1)
        filled = np.where(known[:, None], probabilities, 0.0)
        inside = label_scores(filled, ordered=ordered) <= np.asarray(self.limits) + FUZZ
        if len(filled):
            inside[np.arange(len(filled)), filled.argmax(axis=1)] = True
        if ordered:
            # from the first label inside to the last
            inside = np.maximum.accumulate(inside, axis=1) & np.maximum.accumulate(inside[:, ::-1], axis=1)[:, ::-1]
        return np.asarray(inside & known[:, None], np.bool_)


def check_coverage(coverage: float) -> float:
    """``coverage`` as one of `COVERAGES`; `InputError` for another."""
    coverage = plain_number("coverage", coverage)
    rounded = round(coverage, 2) if math.isfinite(coverage) else -1.0
    if rounded not in COVERAGES or abs(rounded - coverage) > 1e-9:
        raise InputError(
            f"coverage is a probability from {COVERAGES[0]} to {COVERAGES[-1]} in steps of 0.01, got {coverage}",
            code="coverage-invalid",
        )
    return rounded


def label_scores(probabilities: NDArray[np.floating], *, ordered: bool) -> NDArray[np.float64]:
    """``(n, k)`` score of each label, see above.

    Args:
        probabilities: ``(n, k)``.
        ordered: whether the labels have an order.
    """
    p = np.asarray(probabilities, np.float64)
    if not ordered:
        return np.asarray(1.0 - p)
    n, k = p.shape
    rows = np.arange(n)
    low = p.argmax(axis=1) if n else np.zeros(0, np.intp)
    high = low.copy()
    scores = np.zeros_like(p)
    # the most probable label itself has the score 0: no interval lies further in
    gathered = p[rows, low] if n else np.zeros(0)
    padded = np.concatenate([np.full((n, 1), -1.0), p, np.full((n, 1), -1.0)], axis=1)
    for _ in range(k - 1):
        left, right = padded[rows, low], padded[rows, high + 2]
        down = left >= right
        label = np.where(down, low - 1, high + 1)
        scores[rows, label] = gathered
        gathered = gathered + np.where(down, left, right)
        low, high = np.where(down, label, low), np.where(down, high, label)
    return scores


def fit_quantiles(
    probabilities: NDArray[np.floating], truth: NDArray[np.integer], *, ordered: bool, prior: str, data: str
) -> ScoreQuantiles:
    """Quantiles from validation images.

    Args:
        probabilities: ``(n, k)`` predictions.
        truth: ``(n,)`` right labels, 0 ≤ truth < k.
        ordered: whether the labels have an order.
        prior: that the predictions were made with.
        data: name of the images.
    """
    scores = label_scores(probabilities, ordered=ordered)[np.arange(len(truth)), truth]
    by_label = tuple(_quantiles(scores[truth == i]) for i in range(probabilities.shape[1]))
    return ScoreQuantiles(prior, data, len(truth), _quantiles(scores), by_label)


def _quantiles(scores: NDArray[np.float64]) -> tuple[float, ...]:
    """The ⌈(n + 1) c⌉-th smallest score for each coverage c; with too few images, one that no score exceeds."""
    ranked = np.sort(scores)
    n = len(ranked)
    ranks: Sequence[int] = [math.ceil((n + 1) * coverage - 1e-9) for coverage in COVERAGES]
    # rounded up, so that rounding never leaves a right label out
    return tuple(_EVERYTHING if r > n else min(1.0, math.ceil(ranked[r - 1] * 1e6) / 1e6) for r in ranks)
