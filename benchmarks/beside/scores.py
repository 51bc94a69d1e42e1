"""A package's classifier on FER2013's faces, under the protocols that all packages share."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mien.datasets.dataset import Dataset
from mien.evaluation.predictions import HeadPredictions
from mien.evaluation.scoring.protocols import match_head

SHARED = {"contempt": "-"}
"""Contempt left out: the seven emotions that every package predicts, on the same faces for all."""


def scored(heads: dict[str, tuple[list[str], NDArray[np.float32]]], part: Dataset) -> dict[str, HeadPredictions]:
    """A classifier under both protocols, and under FER+'s eight classes where it predicts contempt.

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
