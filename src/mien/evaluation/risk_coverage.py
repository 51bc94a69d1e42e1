"""What abstaining when unsure gains: risk over coverage (Geifman & El-Yaniv 2017, arXiv:1705.08500)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import InputError

COVERAGES = (1.0, 0.95, 0.9, 0.8, 0.7, 0.5)
"""Shares of the images answered, in the table."""
_POINTS = 101


def risk_coverage(
    confidence: NDArray[np.floating], correct: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Share of wrong answers among the most confident 1, 2, …, n images.

    Images of equal confidence share their errors evenly, so that their order makes no difference.

    Args:
        confidence: ``(n,)``.
        correct: ``(n,)``.

    Returns:
        Coverage ``(n,)``, i / n, and risk ``(n,)``.
    """
    n = len(confidence)
    if n == 0:
        raise InputError("there is no image to compute coverage from")
    _, index, counts = np.unique(-np.asarray(confidence), return_inverse=True, return_counts=True)
    wrong = np.bincount(index.ravel(), weights=~correct)
    ends = np.concatenate([[0], np.cumsum(counts)])
    answered = np.arange(1, n + 1)
    errors = np.interp(answered, ends, np.concatenate([[0.0], np.cumsum(wrong)]))
    return answered / n, errors / answered


def selective_risk(confidence: NDArray[np.floating], correct: NDArray[np.bool_]) -> dict[str, Any]:
    """The curve in short, JSON-ready.

    Returns:
        "aurc": area under the risk–coverage curve (mean risk over all coverages; lower is better);
        "best_aurc": the same for an oracle that leaves the wrong answers for last;
        "coverage" and "risk": about a hundred points of the curve;
        "table": at some coverages, the threshold of the top probability and the accuracy of what is answered.
    """
    coverage, risk = risk_coverage(confidence, correct)
    n = len(coverage)
    points = np.unique(np.linspace(0, n - 1, min(n, _POINTS)).round().astype(int))
    falling = np.sort(confidence)[::-1]
    table = []
    for share in COVERAGES:
        last = max(1, round(share * n)) - 1
        table.append(
            {"coverage": float(coverage[last]), "threshold": float(falling[last]), "accuracy": float(1 - risk[last])}
        )
    return {
        "aurc": float(risk.mean()),
        "best_aurc": float(risk_coverage(correct.astype(float), correct)[1].mean()),
        "coverage": [round(float(v), 5) for v in coverage[points]],
        "risk": [round(float(v), 5) for v in risk[points]],
        "table": table,
    }
