"""Labels that a model trained on other images finds improbable: confident learning (Northcutt et al. 2021)."""

from __future__ import annotations

import warnings
from collections import Counter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mien.datasets.audit.types import (
    AuditContext,
    AuditFinding,
    AuditTable,
    CheckReport,
    LabelColumn,
    LabelModel,
    count_text,
)
from mien.datasets.ferplus import VOTE_NAMES
from mien.datasets.mislabels import FOLDS, out_of_fold_probabilities
from mien.errors import DataError, InputError, MissingExtraError
from mien.text import percent

WEAK_ACCURACY = 0.6
"""Accuracy below which the report calls a label model weak."""
_LISTED_PAIRS = 12
_FEW_IMAGES = 10
_CHECK = "the check 'labels'"


class AlignedPredictions(NamedTuple):
    """Predictions of a label model, with columns in the order of the dataset's labels.

    Attributes:
        rows: ``(m,)`` positions of the images with a prediction.
        classes: ``(k,)`` codes of the labels that these images have.
        label: ``(m,)`` int64, each image's label as an index in ``classes``.
        probabilities: ``(m, k)``, rows sum to 1.
    """

    rows: NDArray[np.intp]
    classes: NDArray[np.intp]
    label: NDArray[np.int64]
    probabilities: NDArray[np.float64]


def check_labels(context: AuditContext) -> CheckReport:
    """Images whose label is probably wrong, by cleanlab on predictions of a model that did not learn from them.

    An image is suspected when both of cleanlab's counts agree ("both": by class and by pair of classes). Ages are a
    scale: a neighbouring range is no reason for suspicion.
    """
    try:
        from cleanlab.filter import find_label_issues
        from cleanlab.rank import get_label_quality_scores
    except ImportError:
        raise MissingExtraError("cleanlab", "audit", _CHECK) from None
    if context.labels is None:
        raise InputError("the dataset has neither emotions nor ages that could be wrong")
    kind, codes, names = context.labels
    model = context.label_model or _cross_validated_model(context, context.labels)
    rows, classes, label, probabilities = align_label_model(model, codes, names)
    with warnings.catch_warnings():
        # cleanlab warns of labels with few images, which the report mentions in its own words
        warnings.filterwarnings("ignore", "May not flag all label issues", UserWarning)
        wrong = np.asarray(find_label_issues(label, probabilities, filter_by="both", n_jobs=1), np.bool_)
    best = probabilities.argmax(axis=1)
    if kind == "age":
        wrong &= np.abs(classes[best] - classes[label]) > 1
    wrong &= best != label
    quality = get_label_quality_scores(label, probabilities, method="normalized_margin")
    suspected = np.flatnonzero(wrong)
    suspected = suspected[np.argsort(quality[suspected], kind="stable")]
    suggestions = [names[classes[best[i]]] for i in suspected]
    dataset = context.dataset
    findings = tuple(
        AuditFinding(
            (int(rows[i]),),
            f"{dataset.split[rows[i]]} {dataset.row[rows[i]]}: {names[classes[label[i]]]}, rather {suggestion} "
            f"({percent(probabilities[i, best[i]], digits=0)} against {percent(probabilities[i, label[i]], digits=0)})",
            {
                "label": names[classes[label[i]]],
                "suggestion": suggestion,
                "probability_of_label": round(float(probabilities[i, label[i]]), 4),
                "probability_of_suggestion": round(float(probabilities[i, best[i]]), 4),
            },
        )
        for i, suggestion in zip(suspected.tolist(), suggestions, strict=True)
    )
    accuracy = float((best == label).mean())
    figures: dict[str, Any] = {
        "label_model": model.name,
        "predicted": len(rows),
        "accuracy": accuracy,
        "suspected": len(suspected),
    }
    summary = [
        f"{count_text(len(suspected), 'label')} of {len(rows):,} are probably wrong according to {model.name}, "
        f"which agrees with {percent(accuracy)} of the labels."
    ]
    if model.caveat:
        summary.append(model.caveat)
    if accuracy < WEAK_ACCURACY:
        summary.append("This is a weak model: use its list as an order of review, not as a list of errors.")
    few = [names[classes[k]] for k in np.flatnonzero(np.bincount(label) < _FEW_IMAGES)]
    if few:
        summary.append(
            f"Fewer than {_FEW_IMAGES} images of {', '.join(few)} were checked, which is too few for conclusions."
        )
    raters = _compare_with_raters(context, rows, rows[suspected], suggestions) if kind == "emotion" else None
    if raters is not None:
        figures["raters"] = raters
        if raters["disagree_with_suspected"] is not None:
            summary.append(
                f"FER+ raters prefer another label for {percent(raters['disagree_with_suspected'])} of the suspected "
                f"images and for {percent(raters['disagree_with_others'] or 0)} of the others; they prefer the "
                f"suggested label for {percent(raters['prefer_the_suggestion'])} of the suspected."
            )
    pairs = Counter(zip((f.facts["label"] for f in findings), suggestions, strict=True)).most_common(_LISTED_PAIRS)
    table = AuditTable("suspected most often", ("label", "rather", "images"), tuple((a, b, n) for (a, b), n in pairs))
    return CheckReport(tuple(summary), figures, context.mask(rows[suspected]), findings, (table,) if pairs else ())


def align_label_model(model: LabelModel, codes: NDArray[np.int64], names: tuple[str, ...]) -> AlignedPredictions:
    """Predictions of the model in the order of the dataset's labels.

    Args:
        model: the predictions.
        codes: ``(n,)`` labels of the dataset.
        names: of the labels.

    Raises:
        DataError: labels that do not match, no prediction, one label alone, or numbers that are no probabilities.
    """
    rows = np.flatnonzero(model.predicted)
    if not len(rows):
        raise DataError(f"{model.name} has no prediction for any image of this dataset", advice=model.caveat or None)
    classes = np.unique(codes[rows])
    present = [names[code] for code in classes]
    absent = [name for name in present if name not in model.labels]
    if absent:
        raise DataError(
            f"{model.name} has no {', '.join(absent)}: its labels are {', '.join(model.labels)}, and the dataset holds "
            f"{', '.join(present)}",
            advice="give --probabilities as CSV whose columns have the dataset's names",
            details={"labels": absent},
        )
    if len(classes) < 2:
        raise DataError(f"all images with a prediction have the label {present[0]}: no other could be right")
    columns = [model.labels.index(name) for name in present]
    given = np.asarray(model.probabilities[rows], np.float64)
    if not np.isfinite(given).all() or (given < 0).any() or (given.sum(axis=1) <= 0).any():
        raise DataError(f"{model.name}: not all numbers are probabilities (finite, not negative, not all 0 in a row)")
    numbers = given[:, columns]
    # a prediction for labels alone that do not occur prefers none of those that do
    numbers[numbers.sum(axis=1) <= 0] = 1
    probabilities = numbers / numbers.sum(axis=1, keepdims=True)
    return AlignedPredictions(rows, classes, np.searchsorted(classes, codes[rows]).astype(np.int64), probabilities)


def _cross_validated_model(context: AuditContext, labels: LabelColumn) -> LabelModel:
    present, label = np.unique(labels.codes, return_inverse=True)
    probabilities = out_of_fold_probabilities(
        context.gray, label.reshape(-1), context.image_ids, _CHECK, context.options.seed
    )
    return LabelModel(
        f"HOG and logistic regression, trained on the other folds of {FOLDS}",
        tuple(labels.names[code] for code in present),
        probabilities,
        np.ones(len(labels.codes), np.bool_),
    )


def _compare_with_raters(
    context: AuditContext, checked: NDArray[np.intp], suspected: NDArray[np.intp], suggestions: list[str]
) -> dict[str, float | None] | None:
    """How often the first choice of FER+ raters differs from the label: evidence independent of the label model."""
    votes = context.dataset.votes
    if votes is None:
        return None
    choice = np.array(VOTE_NAMES)[votes.argmax(axis=1)]
    label = np.array([context.label_name(int(i)) for i in range(len(choice))])
    others = np.setdiff1d(checked, suspected)

    def mean(mask: NDArray[np.bool_]) -> float | None:
        return float(mask.mean()) if len(mask) else None

    return {
        "disagree_with_suspected": mean(choice[suspected] != label[suspected]),
        "disagree_with_others": mean(choice[others] != label[others]),
        "prefer_the_suggestion": mean(choice[suspected] == np.array(suggestions, choice.dtype)),
    }
