"""Entropy of distributions over labels: predictions of a network, and votes of raters."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

MIN_PROBABILITY = 1e-12
"""Lower bound of a probability in a logarithm."""


def entropy(probabilities: NDArray[Any]) -> NDArray[np.float64]:
    """``(n,)`` Shannon entropies of ``(n, k)`` distributions, bits; 0 for a row of zeros.

    Examples:
        >>> entropy(np.array([[1.0, 0.0], [0.5, 0.5]])).tolist()
        [-0.0, 1.0]
    """
    p = np.asarray(probabilities, np.float64)
    return np.asarray(-(p * np.log2(np.where(p > 0, p, 1.0))).sum(axis=1))


def normalised_entropy(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """``(n,)`` Shannon entropies of ``(n, k)`` distributions divided by log k: 0 is certain, 1 all equally likely."""
    if probabilities.shape[1] < 2:  # a single label is certain
        return np.where(np.isnan(probabilities).any(axis=1), np.nan, 0.0).astype(np.float32)
    p = np.clip(probabilities, MIN_PROBABILITY, 1.0)
    values = -(p * np.log(p)).sum(axis=1) / np.log(p.shape[1])
    return np.asarray(np.clip(values, 0.0, 1.0), np.float32)


def vote_shares(votes: NDArray[Any]) -> NDArray[np.float64]:
    """``(n, k)`` counts of votes → their shares, 0–1; a row without a vote stays 0."""
    return np.asarray(votes / np.maximum(votes.sum(axis=1, keepdims=True), 1), np.float64)
