"""Is one model better than another on the same images, or is it chance? McNemar's test (McNemar 1947)."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from mien.errors import InputError
from mien.evaluation.bootstrap import SAMPLES, SEED, Interval, paired_interval
from mien.evaluation.predictions import HeadPredictions


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two models on the same images under one protocol.

    Attributes:
        protocol: which.
        n: images that both were scored on.
        accuracy_a: of the first model on them.
        accuracy_b: of the second.
        difference: second minus first, with its paired bootstrap ``interval`` (95 %).
        only_a: images that only the first has right.
        only_b: images that only the second has right.
        p: two-sided p-value of the exact test: how likely so uneven a split of the images on which they differ would
            be if neither were better.
        p_corrected: of the chi-squared form with continuity correction, for comparison with older work.

    Examples:
        >>> labels = ("happy", "sad")
        >>> truth, rows = np.array([0, 1, 0, 1]), np.arange(4)
        >>> a = HeadPredictions("mood", labels, truth, np.array([0, 0, 0, 0]), None, rows)
        >>> b = HeadPredictions("mood", labels, truth, np.array([0, 1, 0, 0]), None, rows)
        >>> comparison = compare(a, b, samples=100)
        >>> comparison.difference, comparison.only_b, comparison.p
        (0.25, 1, 1.0)
        >>> sorted(comparison.to_dict())[:3]
        ['accuracy_a', 'accuracy_b', 'difference']
    """

    protocol: str
    n: int
    accuracy_a: float
    accuracy_b: float
    difference: float
    interval: Interval | None
    only_a: int
    only_b: int
    p: float
    p_corrected: float

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


def mcnemar(only_a: int, only_b: int) -> tuple[float, float]:
    """Two-sided p-values, exact (binomial) and by chi-squared with continuity correction; 1 where they never differ."""
    differ, least = only_a + only_b, min(only_a, only_b)
    if differ == 0:
        return 1.0, 1.0
    # integers throughout: their quotient neither overflows nor loses digits
    tail, term = 0, 1
    for i in range(least + 1):
        tail += term
        term = term * (differ - i) // (i + 1)
    exact = min(1.0, 2 * tail / 2**differ)
    statistic = max(abs(only_a - only_b) - 1, 0) ** 2 / differ
    return exact, math.erfc(math.sqrt(statistic / 2))


def compare(a: HeadPredictions, b: HeadPredictions, *, samples: int = SAMPLES, seed: int = SEED) -> Comparison:
    """Compare two models on the images that both were scored on.

    Args:
        a: of the first model.
        b: of the second, on the same split of the same dataset.
        samples: bootstrap resamples.
        seed: of the resampling.

    Raises:
        InputError: no image in common, or the two were scored on different truths.

    Examples:
        >>> truth, rows = np.array([0, 1, 0, 1]), np.arange(4)
        >>> a = HeadPredictions("mood", ("happy", "sad"), truth, np.array([0, 0, 0, 0]), None, rows)
        >>> compare(a, a, samples=100).difference
        0.0
    """
    rows, in_a, in_b = np.intersect1d(a.rows, b.rows, return_indices=True)
    if not len(rows):
        raise InputError(f"{a.protocol} and {b.protocol} have no image that both models were scored on")
    names_a, names_b = np.array(a.labels)[a.truth[in_a]], np.array(b.labels)[b.truth[in_b]]
    if not np.array_equal(names_a, names_b):
        raise InputError(
            f"{a.protocol} and {b.protocol} take different labels for the truth",
            advice="score both on the same labels with --labels",
        )
    right_a, right_b = a.correct[in_a], b.correct[in_b]
    only_a, only_b = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    exact, corrected = mcnemar(only_a, only_b)
    return Comparison(
        protocol=a.protocol if a.protocol == b.protocol else f"{a.protocol} / {b.protocol}",
        n=len(rows),
        accuracy_a=float(right_a.mean()),
        accuracy_b=float(right_b.mean()),
        difference=float(right_b.mean() - right_a.mean()),
        interval=paired_interval(right_a, right_b, samples, seed),
        only_a=only_a,
        only_b=only_b,
        p=exact,
        p_corrected=corrected,
    )
