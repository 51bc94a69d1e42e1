"""Predictions of one head, made up for tests of evaluation."""

from __future__ import annotations

import numpy as np

from mien.evaluation.predictions import HeadPredictions

LABELS = ("a", "b", "c")


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def calibrated(n: int, seed: int = 0, sharp: float = 1.0) -> HeadPredictions:
    """Truths drawn from the predicted distributions, which are then sharpened."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1.5, (n, 3))
    drawn = softmax(logits)
    truth = (drawn.cumsum(axis=1) < rng.uniform(size=(n, 1))).sum(axis=1).clip(0, 2)
    reported = softmax(sharp * logits).astype(np.float32)
    return HeadPredictions(
        "p", LABELS, truth, reported.argmax(axis=1), reported, np.arange(n), raters=drawn.astype(np.float32)
    )


def hard(truth: list[int], predicted: list[int], rows: list[int] | None = None) -> HeadPredictions:
    reported = np.zeros((len(truth), 3), np.float32)
    reported[np.arange(len(truth)), predicted] = 1.0
    reported[np.array(predicted) < 0] = 0.0
    places = np.arange(len(truth)) if rows is None else np.array(rows)
    return HeadPredictions("p", LABELS, np.array(truth), np.array(predicted), reported, places)
