"""Predictions of a model for faces, one value per head: for all faces of a picture, and for one face."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mien.distributions import normalised_entropy
from mien.errors import InputError
from mien.models.card import Head
from mien.text import count, listing

SHOWN = 5
"""Faces that ``repr`` shows."""


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """One head's distributions for the faces of a picture.

    Attributes:
        head: labels, and whether they have an order.
        probabilities: ``(n, len(head.labels))`` float32; NaN rows for faces on which the model did not run.

    Examples:
        >>> predictions = result.predictions["emotion"]
        >>> len(predictions), predictions.probabilities.shape, predictions.known.tolist()
        (1, (1, 8), [True])
        >>> predictions.head.labels[predictions.best[0]], predictions.row(0).label
        ('happy', 'happy')
        >>> predictions.entropy.shape, predictions.sets is None
        ((1,), True)
        >>> result.predictions["age"].expected.shape
        (1,)
    """

    head: Head
    probabilities: NDArray[np.float32]

    def __post_init__(self) -> None:
        shape, dtype = self.probabilities.shape, self.probabilities.dtype
        if dtype != np.float32 or len(shape) != 2 or shape[1] != len(self.head.labels):
            raise InputError(
                f"probabilities must be float32 of shape (n, {len(self.head.labels)}), got {dtype} {shape}"
            )

    def __len__(self) -> int:
        return len(self.probabilities)

    def __repr__(self) -> str:
        rows = [self.row(i) for i in range(min(len(self), SHOWN))]
        shown = [_label_and_share(row.probabilities) if row else "none" for row in rows] + [""] * (len(self) - SHOWN)
        return f"Predictions({self.head.name!a}, {count(len(self), 'face')}: {listing(shown, SHOWN)})"

    def __getitem__(self, index: slice | NDArray[np.generic]) -> Predictions:
        """The predictions for some of the faces."""
        return replace(self, probabilities=self.probabilities[index])

    @property
    def known(self) -> NDArray[np.bool_]:
        """``(n,)`` whether the model ran on each face."""
        return np.asarray(~np.isnan(self.probabilities).any(axis=1), np.bool_)

    @property
    def best(self) -> NDArray[np.intp]:
        """``(n,)`` index of the most probable label, −1 for faces on which the model did not run."""
        filled = np.nan_to_num(self.probabilities, nan=-1.0)
        return np.where(self.known, filled.argmax(axis=1) if filled.size else 0, -1)

    @property
    def entropy(self) -> NDArray[np.float32]:
        """``(n,)`` uncertainty, 0 (one label certain) to 1 (all equally likely); NaN where nothing was predicted."""
        return normalised_entropy(self.probabilities)

    @property
    def expected(self) -> NDArray[np.float64] | None:
        """``(n,)`` mean of the middles of the ranges, weighted by probability; None for labels that are no ranges."""
        ranges = self.head.ranges
        if ranges is None:
            return None
        return np.asarray(self.probabilities @ range_middles(ranges), np.float64)

    @property
    def sets(self) -> NDArray[np.bool_] | None:
        """``(n, k)`` whether each label is in the set of each face; None where the head has no rule for sets."""
        rule = self.head.rule
        return None if rule is None else rule.members(self.probabilities, ordered=self.head.ordered)

    def row(self, i: int) -> Prediction | None:
        """The prediction for face ``i``, None where the model did not run on it."""
        values = self.probabilities[i]
        if np.isnan(values).any():
            return None
        named = {name: float(value) for name, value in zip(self.head.labels, values, strict=True)}
        return Prediction(self.head, named)


@dataclass(frozen=True, slots=True)
class Prediction:
    """One head's distribution for one face.

    Attributes:
        head: labels, and whether they have an order.
        probabilities: label → probability, 0–1, in the order of the head's labels.

    Examples:
        >>> prediction = result[0].predictions["emotion"]
        >>> prediction.label, prediction.confidence > 0.5, prediction.entropy < 0.5
        ('happy', True, True)
        >>> prediction.expected is None, result[0].predictions["age"].expected > 20
        (True, True)
        >>> with mien.Analyzer(models=["emotion"], coverage=0.9, threads=1) as certain:
        ...     print(certain.analyze("photo.jpg")[0].predictions["emotion"].set)
        ('happy',)
    """

    head: Head
    probabilities: Mapping[str, float]

    def __repr__(self) -> str:
        ranked = sorted(self.probabilities.items(), key=lambda item: -item[1])
        return f"Prediction({listing([_label_and_share(dict([one])) for one in ranked], 3)})"

    @property
    def label(self) -> str:
        """The most probable label."""
        return max(self.probabilities, key=self.probabilities.__getitem__)

    @property
    def set(self) -> tuple[str, ...]:
        """The labels that include the right one, with the chosen coverage; empty without a coverage."""
        return prediction_set(self.head, self.probabilities)

    @property
    def confidence(self) -> float:
        """The probability of `label`."""
        return max(self.probabilities.values())

    @property
    def entropy(self) -> float:
        """Uncertainty, 0 (one label certain) to 1 (all equally likely)."""
        return float(normalised_entropy(np.array([list(self.probabilities.values())], np.float32))[0])

    @property
    def expected(self) -> float | None:
        """Mean of the middles of the ranges, weighted by probability; None for labels that are no ranges."""
        ranges = self.head.ranges
        if ranges is None:
            return None
        return float(sum(p * (a + b + 1) / 2 for p, (a, b) in zip(self.probabilities.values(), ranges, strict=True)))


def prediction_set(head: Head, probabilities: Mapping[str, float]) -> tuple[str, ...]:
    """The set of labels of one distribution; empty where the head has no rule for sets."""
    if head.rule is None:
        return ()
    row = np.array([[probabilities[label] for label in head.labels]])
    members = head.rule.members(row, ordered=head.ordered)[0].tolist()
    return tuple(label for label, inside in zip(head.labels, members, strict=True) if inside)


def _label_and_share(probabilities: Mapping[str, float]) -> str:
    label = max(probabilities, key=probabilities.__getitem__)
    return f"{label!a} {probabilities[label]:.0%}"


def range_middles(ranges: tuple[tuple[int, int], ...]) -> NDArray[np.float64]:
    """``(k,)`` middles of inclusive ranges: that of 20–29 is 25."""
    return np.array([(low + high + 1) / 2 for low, high in ranges])
