"""Selection of faces for contact sheets, for a person to look at; nothing is trained on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.datasets.dataset import Dataset
from mien.distributions import entropy, vote_shares
from mien.errors import DataError
from mien.explain.sampling import sample_rows, true_classes

FaceSelector = Callable[[Dataset, NDArray[np.float32], NDArray[np.int64], int, int], NDArray[np.int64]]
"""Data, ``(n, classes)`` probabilities, ``(n,)`` true classes (-1: none), count, seed → rows in order of the sheet."""


def vote_agreement(votes: NDArray[np.integer]) -> NDArray[np.float64]:
    """``(n, 10)`` FER+ votes → ``(n,)`` share (0–1) of the most frequent answer among the votes."""
    return np.asarray(vote_shares(votes).max(axis=1))


def _predictions(
    data: Dataset, p: NDArray[np.float32], true: NDArray[np.int64], n: int, seed: int
) -> NDArray[np.int64]:
    return sample_rows(len(data), n, seed)


def _errors(data: Dataset, p: NDArray[np.float32], true: NDArray[np.int64], n: int, seed: int) -> NDArray[np.int64]:
    wrong = np.flatnonzero((true >= 0) & (p.argmax(axis=1) != true))
    if not len(wrong):
        raise DataError("no prediction is wrong: no image has a label of this head, or the model makes no error here")
    return wrong[np.argsort(-p[wrong].max(axis=1), kind="stable")][:n]


def _ambiguous(data: Dataset, p: NDArray[np.float32], true: NDArray[np.int64], n: int, seed: int) -> NDArray[np.int64]:
    return np.argsort(-entropy(p), kind="stable")[:n].astype(np.int64)


def _disputed(data: Dataset, p: NDArray[np.float32], true: NDArray[np.int64], n: int, seed: int) -> NDArray[np.int64]:
    if data.votes is None:
        raise DataError(
            "this file has no FER+ votes, so raters cannot disagree",
            advice="choose the sheet 'ambiguous', which uses the model's predictions",
            code="labels-missing",
        )
    # of faces with the same agreement, those with the widest spread of votes come first
    return np.lexsort((-entropy(vote_shares(data.votes)), vote_agreement(data.votes)))[:n].astype(np.int64)


SHEETS: Mapping[str, FaceSelector] = {
    "predictions": _predictions,
    "errors": _errors,
    "ambiguous": _ambiguous,
    "disputed": _disputed,
}
"""A seeded sample; errors, most confident first; least confident predictions first; least agreement of raters first."""


def select_faces(
    sheet: str, data: Dataset, probabilities: NDArray[np.float32], labels: tuple[str, ...], n: int, seed: int
) -> list[dict[str, Any]]:
    """The faces of a sheet, in its order; JSON-ready.

    Args:
        sheet: a name of `SHEETS`.
        data: n images.
        probabilities: ``(n, classes)``.
        labels: of the head.
        n: number of faces at most.
        seed: of the sample.

    Returns:
        One per face: ``index`` (in ``data``), ``row`` (in the source), ``predicted``, ``probability``, ``true`` (None
        where it has no label of this head), ``entropy`` in bits and, where there are votes, ``agreement``.

    Raises:
        DataError: no face belongs on this sheet.
    """
    true = true_classes(data, labels)
    bits = entropy(probabilities)
    agreement = None if data.votes is None else vote_agreement(data.votes)
    return [
        {
            "index": int(i),
            "row": int(data.row[i]),
            "predicted": labels[int(probabilities[i].argmax())],
            "probability": round(float(probabilities[i].max()), 4),
            "true": None if true[i] < 0 else labels[int(true[i])],
            "entropy": round(float(bits[i]), 4),
            **({} if agreement is None else {"agreement": round(float(agreement[i]), 4)}),
        }
        for i in SHEETS[sheet](data, probabilities, true, n, seed)
    ]
