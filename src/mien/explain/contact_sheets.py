"""Which faces of a dataset go on a contact sheet. For a person who looks; nothing is learned from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.datasets.dataset import Dataset
from mien.distributions import entropy, vote_shares
from mien.errors import DataError
from mien.explain.sampling import sample, truth

Pick = Callable[[Dataset, NDArray[np.float32], NDArray[np.int64], int, int], NDArray[np.int64]]
"""Data, ``(n, classes)`` probabilities, ``(n,)`` true classes (-1: none), how many, seed → rows, first on the sheet
first."""


def agreement(votes: NDArray[np.integer]) -> NDArray[np.float64]:
    """``(n, 10)`` FER+ votes → ``(n,)`` share (0–1) of the votes that the most frequent answer has."""
    return np.asarray(vote_shares(votes).max(axis=1))


def _predictions(
    data: Dataset, p: NDArray[np.float32], true: NDArray[np.int64], n: int, seed: int
) -> NDArray[np.int64]:
    return sample(len(data), n, seed)


def _errors(data: Dataset, p: NDArray[np.float32], true: NDArray[np.int64], n: int, seed: int) -> NDArray[np.int64]:
    wrong = np.flatnonzero((true >= 0) & (p.argmax(axis=1) != true))
    if not len(wrong):
        raise DataError("no image is wrong: either none has a label of this head, or the model makes no error here")
    return wrong[np.argsort(-p[wrong].max(axis=1), kind="stable")][:n]


def _ambiguous(data: Dataset, p: NDArray[np.float32], true: NDArray[np.int64], n: int, seed: int) -> NDArray[np.int64]:
    return np.argsort(-entropy(p), kind="stable")[:n].astype(np.int64)


def _disputed(data: Dataset, p: NDArray[np.float32], true: NDArray[np.int64], n: int, seed: int) -> NDArray[np.int64]:
    if data.votes is None:
        raise DataError(
            "this file has no FER+ votes to disagree in: choose the sheet 'ambiguous', which asks the model"
        )
    # of faces that as many raters agree on, those that split their votes widest come first
    return np.lexsort((-entropy(vote_shares(data.votes)), agreement(data.votes)))[:n].astype(np.int64)


SHEETS: Mapping[str, Pick] = {
    "predictions": _predictions,
    "errors": _errors,
    "ambiguous": _ambiguous,
    "disputed": _disputed,
}
"""A seeded sample; wrong ones, most confident first; the model least sure first; raters least agreed first."""


def pick(
    sheet: str, data: Dataset, probabilities: NDArray[np.float32], labels: tuple[str, ...], n: int, seed: int
) -> list[dict[str, Any]]:
    """The faces of a sheet, in its order; JSON-ready.

    Args:
        sheet: a name of `SHEETS`.
        data: n images.
        probabilities: ``(n, classes)``.
        labels: of the head.
        n: how many at most.
        seed: of the sample.

    Returns:
        One a face: ``index`` (in ``data``), ``row`` (in the source), ``predicted``, ``probability``, ``true`` (None
        where it has no label of this head), ``entropy`` in bits and, where there are votes, ``agreement``.

    Raises:
        DataError: nothing fits on this sheet.
    """
    true = truth(data, labels)
    bits = entropy(probabilities)
    agreed = None if data.votes is None else agreement(data.votes)
    return [
        {
            "index": int(i),
            "row": int(data.row[i]),
            "predicted": labels[int(probabilities[i].argmax())],
            "probability": round(float(probabilities[i].max()), 4),
            "true": None if true[i] < 0 else labels[int(true[i])],
            "entropy": round(float(bits[i]), 4),
            **({} if agreed is None else {"agreement": round(float(agreed[i]), 4)}),
        }
        for i in SHEETS[sheet](data, probabilities, true, n, seed)
    ]
