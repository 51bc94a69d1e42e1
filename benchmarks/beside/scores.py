"""Accuracy of a package's classifier from what it said on FER2013's test faces, under Mien's own protocols."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.datasets.dataset import Dataset
from mien.evaluation.bootstrap import mean_interval
from mien.evaluation.comparison import compare
from mien.evaluation.predictions import HeadPredictions
from mien.evaluation.scoring.protocols import match_head

SHARED = {"contempt": "-"}
"""Contempt left out: the seven emotions that every package tells, on the same faces for all."""


def told(path: Path, labels: list[str]) -> NDArray[np.float32]:
    """What a runner wrote: ``(n, labels)``."""
    return np.fromfile(path, np.float32).reshape(-1, len(labels))


def scored(heads: dict[str, tuple[list[str], NDArray[np.float32]]], part: Dataset) -> dict[str, HeadPredictions]:
    """A classifier under both protocols, and under FER+'s eight classes where it tells contempt.

    Args:
        heads: head → labels and ``(n, labels)`` probabilities on the faces of ``part``.
        part: the faces.

    Returns:
        "fer2013", the original labels; "ferplus7", the raters' majority among seven emotions; "ferplus", among eight.
    """
    first = heads.get("ferplus") or heads["emotion"]
    own = heads.get("fer2013") or heads["emotion"]
    out = {}
    one = match_head("fer2013", own[0], part, kind="emotion")
    out["fer2013"] = replace(one.predictions(own[1]), protocol="fer2013")
    one = match_head("ferplus7", first[0], part, kind="ferplus", mapping=SHARED)
    out["ferplus7"] = replace(one.predictions(first[1]), protocol="ferplus7")
    if "contempt" in first[0]:
        out["ferplus"] = match_head("ferplus", first[0], part, kind="ferplus").predictions(first[1])
    return out


def strict(heads: dict[str, tuple[list[str], NDArray[np.float32]]], part: Dataset) -> NDArray[np.bool_]:
    """``(m,)``: right on the faces with a majority among all eight; contempt is wrong for who cannot tell it."""
    from mien.datasets import ferplus
    from mien.labels import FERPLUS, canonical

    labels, probabilities = heads.get("ferplus") or heads["emotion"]
    targets = ferplus.vote_targets(part.votes, "majority", 8)
    truth = targets.targets.argmax(axis=1)
    places = np.array([FERPLUS.index[canonical(label)] for label in labels])
    return np.asarray(places[probabilities.argmax(axis=1)] == truth)[targets.keep]


def accuracies(answers: dict[str, dict[str, Any]], data: Dataset) -> dict[str, Any]:
    """Accuracies with 95 % intervals, and McNemar's test against the first.

    Args:
        answers: name → ``{"title", "heads": {head: (labels, file)}}``; the first is what the others are set beside.
        data: the dataset.
    """
    part = data.select("test")
    out: dict[str, Any] = {}
    reference: dict[str, HeadPredictions] = {}
    for name, one in answers.items():
        heads = {head: (labels, told(path, labels)) for head, (labels, path) in one["heads"].items()}
        table = scored(heads, part)
        reference = reference or table
        results: dict[str, Any] = {}
        for key in ("fer2013", "ferplus7"):
            given = table[key]
            results[key] = {
                "n": len(given), "accuracy": float(given.correct.mean()), "interval": mean_interval(given.correct),
                "macro_f1": given.scores().macro_f1,
            }  # fmt: skip
            if table is not reference:
                results[key]["mien"] = compare(given, reference[key]).to_dict()
        right = strict(heads, part)
        results["ferplus"] = {"n": len(right), "accuracy": float(right.mean()), "interval": mean_interval(right)}
        out[name] = {"title": one["title"], "results": results}
    return out
