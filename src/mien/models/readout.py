"""From a network's logits to probabilities under a stated prior.

A network that learned from photographs expects the labels as often as they stand there: mostly neutral and happy faces.
Dividing its probabilities by a power of these frequencies takes that expectation out, for material in which the labels
are about equally frequent (posed and acted faces, experiments). A head that answers the same question with the labels
of another dataset can contribute as well.

Sources:
    Menon et al. 2021, "Long-tail learning via logit adjustment" (https://arxiv.org/abs/2007.07314).
    Ren et al. 2020, "Balanced meta-softmax for long-tailed visual recognition" (https://arxiv.org/abs/2007.10740).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import ModelError


@dataclass(frozen=True, slots=True)
class Readout:
    """How the probabilities of a head follow from logits.

    Attributes:
        prior: the prior that it states, a key of `mien.models.priors.PRIORS`.
        removed: power of the training frequencies that the probabilities are divided by: 0 keeps them, 1 removes them.
        joined: name of the head that contributes, empty for none. The probabilities of both are multiplied as powers
            ``1 - share`` and ``share``, among the labels that both have.
        share: of the joined head, 0–1.
        temperature: the logarithms are divided by it at the end.
        kept: labels that neither changes: their probability stays, and the others share the rest. A label with too few
            training images to be given the weight of the others belongs here.

    Raises:
        ModelError: a value out of range.
    """

    prior: str
    removed: float = 0.0
    joined: str = ""
    share: float = 0.0
    temperature: float = 1.0
    kept: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not all(isinstance(text, str) for text in (self.prior, self.joined)) or not self.prior:
            raise ModelError("card: a read-out has the name of its prior and of the joined head, which are strings")
        numbers = (self.removed, self.share, self.temperature)
        if not all(isinstance(n, float | int) and math.isfinite(n) for n in numbers):
            raise ModelError(f"card: read-out {self.prior!r}: removed, share and temperature are numbers")
        if not (0 <= self.removed <= 2 and 0 <= self.share <= 1 and self.temperature > 0):
            raise ModelError(
                f"card: read-out {self.prior!r}: removed is 0 to 2, share 0 to 1 and temperature above 0, got {numbers}"
            )

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Readout:
        """The read-out in a card's JSON."""
        return cls(
            raw["prior"],
            float(raw["removed"]),
            raw.get("joined", ""),
            float(raw.get("share", 0.0)),
            float(raw["temperature"]),
            tuple(raw.get("kept", ())),
        )


def apply_readout(
    readout: Readout,
    logits: NDArray[np.floating],
    labels: Sequence[str],
    frequencies: Sequence[float] = (),
    other: tuple[NDArray[np.floating], Sequence[str]] | None = None,
) -> NDArray[np.float32]:
    """Probabilities ``(n, k)``, rows sum to 1.

    Args:
        readout: how.
        logits: ``(n, k)`` of the head, up to a constant per row.
        labels: its k labels.
        frequencies: of the labels in training; needed where the read-out removes any of them.
        other: logits ``(n, m)`` and labels of the joined head; needed where the read-out joins one.
    """
    scores = _log_softmax(logits)
    moved = [i for i, label in enumerate(labels) if label not in readout.kept]
    if readout.joined and readout.share and other is not None:
        common = [i for i in moved if labels[i] in other[1]]
        theirs = [list(other[1]).index(labels[i]) for i in common]
        joined = readout.share * _log_softmax(other[0])[:, theirs]
        _replace(scores, common, (1 - readout.share) * scores[:, common] + joined)
    if readout.removed:
        _replace(scores, moved, scores[:, moved] - readout.removed * np.log(np.asarray(frequencies, np.float64)[moved]))
    return np.exp(_log_softmax(scores / readout.temperature)).astype(np.float32)


def _replace(scores: NDArray[np.float64], columns: list[int], values: NDArray[np.float64]) -> None:
    """Columns of log-probabilities by others up to a constant, so that their sum stays."""
    if columns:
        scores[:, columns] = values + _log_sum(scores[:, columns]) - _log_sum(values)


def _log_sum(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """``(n, 1)`` logarithms of the sums of exponentials."""
    top = scores.max(axis=1, keepdims=True, initial=-np.inf)
    return np.asarray(top + np.log(np.exp(scores - top).sum(axis=1, keepdims=True)))


def _log_softmax(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    values = np.asarray(logits, np.float64)
    return np.asarray(values - _log_sum(values)) if len(values) else values.copy()
