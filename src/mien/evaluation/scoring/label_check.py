"""A trained network as a check of a dataset's labels, on images that it has not been trained on."""

from __future__ import annotations

import numpy as np

from mien.datasets.audit.types import AuditContext, LabelModel
from mien.datasets.dataset import Dataset
from mien.datasets.exact_duplicates import leaked_rows
from mien.errors import DataError, InputError
from mien.evaluation.scoring.evaluate import ScoredModel, predict

_SEEN = "Validation and test images that do not stand in train too: from the others it may have learned."
_UNSEEN = "All images, as the model is said not to have learned from any of them."


def make_label_model(model: ScoredModel, prepared: Dataset, *, unseen: bool = False) -> LabelModel:
    """A network's probabilities as a judge of labels.

    Args:
        model: from `mien.evaluation.scoring.evaluate.open_model`.
        prepared: the dataset.
        unseen: the model was not trained on this dataset, so that its training images can be judged as well.

    Raises:
        InputError: the dataset has no labels.
        DataError: no head of the model knows all labels that the dataset holds, or nothing is left to judge.
    """
    labels = AuditContext(prepared).labels
    if labels is None:
        raise InputError(f"{prepared.info.name} has neither emotions nor ages to judge: leave the model out")
    _, codes, names = labels
    held = [names[code] for code in np.unique(codes)]
    able = [head for head, known in model.heads.items() if set(held) <= set(known)]
    if not able:
        heads = "; ".join(f"{head}: {', '.join(known)}" for head, known in model.heads.items())
        nearest = max(model.heads, key=lambda head: len(set(held) & set(model.heads[head])))
        lacking = [name for name in held if name not in model.heads[nearest]]
        raise DataError(
            f"no head of {model.name} knows {', '.join(lacking)}, which the dataset holds (the model's are {heads}); "
            "map its labels yourself: --probabilities takes CSV whose columns carry the dataset's names"
        )
    # the head with the fewest other labels is the one that was made for these
    head = min(able, key=lambda name: len(model.heads[name]))
    judged = np.ones(len(prepared), np.bool_) if unseen else (prepared.split != "train") & ~leaked_rows(prepared)
    rows = np.flatnonzero(judged)
    if not len(rows):
        raise DataError(
            f"{model.name} may have learned from all images here (train, or copies of it): say --unseen if it has not"
        )
    probabilities = np.zeros((len(prepared), len(model.heads[head])), np.float32)
    probabilities[rows] = predict(model, prepared[rows])[head]
    name = f"{model.name}, head {head}" if len(model.heads) > 1 else model.name
    return LabelModel(name, model.heads[head], probabilities, judged, _UNSEEN if unseen else _SEEN)
