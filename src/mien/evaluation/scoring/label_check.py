"""A trained network as a check of a dataset's labels, on images that it has not been trained on."""

from __future__ import annotations

import numpy as np

from mien.datasets.audit.types import AuditContext, LabelModel
from mien.datasets.dataset import Dataset
from mien.datasets.exact_duplicates import leaked_rows
from mien.errors import DataError, InputError
from mien.evaluation.scoring.scored_model import ScoredModel, predict

_HELD_OUT = "Validation and test images that are not in train too: the model may have been trained on the others."
_ALL = "All images, because --unseen declares that the model was not trained on any of them."


def make_label_model(model: ScoredModel, prepared: Dataset, *, unseen: bool = False) -> LabelModel:
    """The probabilities of a network, as a check of labels.

    Args:
        model: from `mien.evaluation.scoring.scored_model.open_model`.
        prepared: the dataset.
        unseen: the model was not trained on this dataset, so that its training images can be checked as well.

    Raises:
        InputError: the dataset has no labels.
        DataError: no head of the model has all labels of the dataset, or no image is left to check.
    """
    labels = AuditContext(prepared).labels
    if labels is None:
        raise InputError(f"{prepared.info.name} has neither emotions nor ages to check", advice="leave the model out")
    _, codes, names = labels
    occurring = [names[code] for code in np.unique(codes)]
    candidates = [head for head, known in model.heads.items() if set(occurring) <= set(known)]
    if not candidates:
        heads = "; ".join(f"{head}: {', '.join(known)}" for head, known in model.heads.items())
        nearest = max(model.heads, key=lambda head: len(set(occurring) & set(model.heads[head])))
        lacking = [name for name in occurring if name not in model.heads[nearest]]
        raise DataError(
            f"no head of {model.name} has the labels {', '.join(lacking)} of the dataset (the model has {heads})",
            advice="map its labels yourself: --probabilities takes CSV with the dataset's names as columns",
            code="labels-differ",
        )
    # the head with the fewest other labels was made for these
    head = min(candidates, key=lambda name: len(model.heads[name]))
    checked = np.ones(len(prepared), np.bool_) if unseen else (prepared.split != "train") & ~leaked_rows(prepared)
    rows = np.flatnonzero(checked)
    if not len(rows):
        raise DataError(
            f"{model.name} may have been trained on all images here (train, or copies of it)",
            advice="give --unseen if it was not",
        )
    probabilities = np.zeros((len(prepared), len(model.heads[head])), np.float32)
    probabilities[rows] = predict(model, prepared[rows])[head]
    name = f"{model.name}, head {head}" if len(model.heads) > 1 else model.name
    return LabelModel(name, model.heads[head], probabilities, checked, _ALL if unseen else _HELD_OUT)
