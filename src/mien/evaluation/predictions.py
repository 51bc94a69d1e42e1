"""Predictions of one head of one model on the images of one protocol: the arrays that every figure follows from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import InputError
from mien.evaluation.metrics import Scores, score_labels, score_probabilities

LEAK_FREE, FOUND = "leak-free", "found"
"""Subsets of a protocol's images: those that are not in the training set too, and those whose face was found."""


def subset_name(protocol: str, subset: str) -> str:
    """The name of a protocol's subset, such as "ferplus leak-free"."""
    return f"{protocol} {subset}"


def full_protocol(name: str) -> str:
    """The protocol that a name belongs to: "ferplus leak-free" → "ferplus"."""
    return name.removesuffix(f" {LEAK_FREE}").removesuffix(f" {FOUND}")


def is_subset(name: str) -> bool:
    """Whether a name is that of a subset."""
    return full_protocol(name) != name


@dataclass(frozen=True, slots=True, eq=False)
class HeadPredictions:
    """Predictions with true labels, one row per image.

    Attributes:
        protocol: what the figures are called, such as "ferplus" or "ferplus leak-free".
        labels: k names.
        truth: ``(n,)`` int64, 0 ≤ truth < k.
        predicted: ``(n,)`` int64, the same, or -1 where the detector missed the face.
        probabilities: ``(n, k)`` float32, rows of zeros where the face was missed; None for a classifier that gives
            labels alone.
        rows: ``(n,)`` int64 positions of the images in the split, by which two models are paired.
        raters: ``(n, k)`` float32 distributions of the raters' votes; None where there are none.
        ordered: the labels are a scale.

    Examples:
        >>> probabilities = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]], np.float32)
        >>> one = HeadPredictions(
        ...     "mood", ("happy", "sad"), np.array([0, 1, 1]), probabilities.argmax(axis=1), probabilities, np.arange(3)
        ... )
        >>> len(one), one.correct.tolist(), one.found.all().item(), one.confidence.round(1).tolist()
        (3, [True, False, True], True, [0.9, 0.6, 0.8])
        >>> round(one.scores().accuracy, 3), one.subset(np.array([True, False, True]), "found").protocol
        (0.667, 'mood found')
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
                raise InputError(f"{name} of {self.protocol} must have the shape {shape}, got {column.shape}")

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
            raise InputError(f"the classifier of {self.protocol} predicts only labels, no probabilities")
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

    def subset(self, mask: NDArray[np.bool_], name: str) -> HeadPredictions:
        """The rows where ``mask`` is true, under the name of a subset.

        Args:
            mask: ``(n,)`` bool.
            name: such as "leak-free".
        """
        return replace(self[mask], protocol=subset_name(self.protocol, name))

    def scores(self) -> Scores:
        """The figures over the faces that were found; `InputError` where there is none."""
        part = self if self.found.all() else self[self.found]
        if part.probabilities is None:
            return score_labels(part.predicted, part.truth, part.labels, ordered=part.ordered)
        return score_probabilities(
            part.probabilities, part.truth, part.labels, ordered=part.ordered, raters=part.raters
        )


def miss_rates(predictions: HeadPredictions) -> dict[str, Any]:
    """``{"faces", "missed", "miss_rate", "accuracy_with_misses"}``; missed faces count as wrong."""
    n, missed = len(predictions), int((~predictions.found).sum())
    return {
        "faces": n,
        "missed": missed,
        "miss_rate": missed / n if n else None,
        "accuracy_with_misses": float(predictions.correct.mean()) if n else None,
    }
