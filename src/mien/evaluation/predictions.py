"""What one head of one model said on the images of one protocol: the arrays that every figure follows from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import InputError
from mien.evaluation.metrics import Scores, score_labels, score_probabilities


@dataclass(frozen=True, slots=True, eq=False)
class HeadPredictions:
    """Predictions beside truths, one row an image.

    Attributes:
        protocol: what the figures are called, such as "ferplus" or "ferplus leak-free".
        labels: k names.
        truth: ``(n,)`` int64, 0 ≤ truth < k.
        predicted: ``(n,)`` int64, likewise, or -1 where the detector missed the face.
        probabilities: ``(n, k)`` float32, rows of zeros where the face was missed; None for a classifier that names
            labels alone.
        rows: ``(n,)`` int64 positions of the images in the split, by which two models are paired.
        raters: ``(n, k)`` float32 distributions of the raters' votes; None where there are none.
        ordered: the labels are a scale.
    """

    protocol: str
    labels: tuple[str, ...]
    truth: NDArray[np.int64]
    predicted: NDArray[np.int64]
    probabilities: NDArray[np.float32] | None
    rows: NDArray[np.int64]
    raters: NDArray[np.float32] | None = None
    ordered: bool = False

    def __post_init__(self) -> None:
        n, k = len(self.truth), len(self.labels)
        for name, column, shape in (
            ("predicted", self.predicted, (n,)),
            ("rows", self.rows, (n,)),
            ("probabilities", self.probabilities, (n, k)),
            ("raters", self.raters, (n, k)),
        ):
            if column is not None and column.shape != shape:
                raise InputError(f"{self.protocol}: {name} must have the shape {shape}, got {column.shape}")

    def __len__(self) -> int:
        return len(self.truth)

    @property
    def found(self) -> NDArray[np.bool_]:
        """``(n,)``: the face was found."""
        return np.asarray(self.predicted >= 0)

    @property
    def correct(self) -> NDArray[np.bool_]:
        """``(n,)``: the right label; a missed face is wrong."""
        return np.asarray(self.predicted == self.truth)

    @property
    def confidence(self) -> NDArray[np.float64]:
        """``(n,)`` greatest probability of each row."""
        if self.probabilities is None:
            raise InputError(f"{self.protocol}: this classifier gives labels alone, no probabilities")
        return np.asarray(self.probabilities.max(axis=1), np.float64)

    def __getitem__(self, mask: NDArray[np.bool_]) -> HeadPredictions:
        """The rows where ``mask`` is true."""
        return replace(
            self,
            truth=self.truth[mask],
            predicted=self.predicted[mask],
            probabilities=None if self.probabilities is None else self.probabilities[mask],
            rows=self.rows[mask],
            raters=None if self.raters is None else self.raters[mask],
        )

    def named(self, protocol: str) -> HeadPredictions:
        """The same under another name."""
        return replace(self, protocol=protocol)

    def scores(self) -> Scores:
        """The figures over the faces that were found; `InputError` where there is none."""
        seen = self if self.found.all() else self[self.found]
        if seen.probabilities is None:
            return score_labels(seen.predicted, seen.truth, seen.labels, ordered=seen.ordered)
        return score_probabilities(
            seen.probabilities, seen.truth, seen.labels, ordered=seen.ordered, raters=seen.raters
        )


def miss_rates(scored: HeadPredictions) -> dict[str, Any]:
    """``{"faces", "missed", "miss_rate", "accuracy_with_misses"}``; missed faces count as wrong."""
    n, missed = len(scored), int((~scored.found).sum())
    return {
        "faces": n,
        "missed": missed,
        "miss_rate": missed / n if n else None,
        "accuracy_with_misses": float(scored.correct.mean()) if n else None,
    }
