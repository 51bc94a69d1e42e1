"""Labels that a judge who learned from other images finds improbable: confident learning (Northcutt et al. 2021)."""

from __future__ import annotations

import warnings
from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.datasets.audit.types import AuditContext, AuditFinding, AuditTable, CheckReport, LabelModel, count_text
from mien.datasets.mislabels import FOLDS, out_of_fold_probabilities
from mien.errors import DataError, InputError, MissingExtraError
from mien.labels import FERPLUS, FERPLUS_COLUMNS

WEAK = 0.6
"""Accuracy below which a judge is called weak."""
_MEETINGS = 12
_FEW = 10
_WHAT = "the check 'labels'"


def check_labels(subject: AuditContext) -> CheckReport:
    """Images whose label is probably wrong, by cleanlab on probabilities of a judge that did not learn from them.

    An image is suspected when both of cleanlab's ways to count say so ("both": by class and by pair of classes). Of
    ages, which are a scale, a neighbouring range is no reason for suspicion.
    """
    try:
        from cleanlab.filter import find_label_issues
        from cleanlab.rank import get_label_quality_scores
    except ImportError:
        raise MissingExtraError("cleanlab", "audit", _WHAT) from None
    if subject.labels is None:
        raise InputError("the dataset has neither emotions nor ages that could be wrong")
    kind, codes, names = subject.labels
    judge = subject.judge or _own_judge(subject, codes, names)
    rows, classes, label, probabilities = align_label_model(judge, codes, names)
    with warnings.catch_warnings():
        # it warns of labels with few images, which the report says in its own words
        warnings.filterwarnings("ignore", "May not flag all label issues", UserWarning)
        wrong = np.asarray(find_label_issues(label, probabilities, filter_by="both", n_jobs=1), np.bool_)
    suggestion = probabilities.argmax(axis=1)
    if kind == "age":
        wrong &= np.abs(classes[suggestion] - classes[label]) > 1
    wrong &= suggestion != label
    quality = get_label_quality_scores(label, probabilities, method="normalized_margin")
    chosen = np.flatnonzero(wrong)
    chosen = chosen[np.argsort(quality[chosen], kind="stable")]
    said = [names[classes[suggestion[i]]] for i in chosen]
    findings = tuple(
        AuditFinding(
            (int(rows[i]),),
            f"{subject.prepared.split[rows[i]]} {subject.prepared.row[rows[i]]}: {names[classes[label[i]]]}, "
            f"rather {better} ({probabilities[i, suggestion[i]]:.0%} against {probabilities[i, label[i]]:.0%})",
            {
                "label": names[classes[label[i]]],
                "suggestion": better,
                "probability_of_label": round(float(probabilities[i, label[i]]), 4),
                "probability_of_suggestion": round(float(probabilities[i, suggestion[i]]), 4),
            },
        )
        for i, better in zip(chosen.tolist(), said, strict=True)
    )
    accuracy = float((suggestion == label).mean())
    flagged = subject.mask(rows[chosen])
    figures: dict[str, Any] = {
        "judge": judge.name,
        "judged": len(rows),
        "accuracy_of_judge": accuracy,
        "suspected": len(chosen),
    }
    lines = [
        f"{count_text(len(chosen), 'label')} of {len(rows):,} judged seem wrong to {judge.name}, "
        f"which agrees with {accuracy:.1%} of the labels."
    ]
    if judge.caution:
        lines.append(judge.caution)
    if accuracy < WEAK:
        lines.append("A weak judge: take its list as an order in which to look, not as errors.")
    few = [names[classes[k]] for k in np.flatnonzero(np.bincount(label) < _FEW)]
    if few:
        lines.append(f"Fewer than {_FEW} images were judged of {', '.join(few)}: too few to say much.")
    told = _raters(subject, rows, rows[chosen], said) if kind == "emotion" else None
    if told is not None:
        figures["raters"] = told
        if told["disagree_with_suspected"] is not None:
            lines.append(
                f"FER+ raters prefer another label for {told['disagree_with_suspected']:.1%} of the suspected images "
                f"and for {told['disagree_with_others'] or 0:.1%} of the others; of the suspected they prefer the "
                f"judge's for {told['prefer_the_suggestion']:.1%}."
            )
    meetings = Counter(zip((f.facts["label"] for f in findings), said, strict=True)).most_common(_MEETINGS)
    grid = AuditTable("suspected most often", ("label", "rather", "images"), tuple((a, b, n) for (a, b), n in meetings))
    return CheckReport(tuple(lines), figures, flagged, findings, (grid,) if meetings else ())


def align_label_model(
    judge: LabelModel, codes: NDArray[np.int64], names: tuple[str, ...]
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.int64], NDArray[np.float64]]:
    """What is judged, with the columns of the judge in the order of the dataset's labels.

    Returns:
        Positions of the judged images; which labels they carry; each image's label as a place among those; and the
        probabilities over those, ``(m, k)``, rows summing to 1.

    Raises:
        DataError: labels that do not fit, nothing to judge, one label alone, or numbers that are no probabilities.
    """
    rows = np.flatnonzero(judge.judged)
    if not len(rows):
        raise DataError(f"{judge.name} judges no image of this dataset: {judge.caution or 'none of its rows is here'}")
    classes = np.unique(codes[rows])
    carried = [names[code] for code in classes]
    absent = [name for name in carried if name not in judge.labels]
    if absent:
        raise DataError(
            f"{judge.name} has no {', '.join(absent)}: it knows {', '.join(judge.labels)}, and the dataset holds "
            f"{', '.join(carried)}; give --probabilities as CSV whose columns carry the dataset's names"
        )
    if len(classes) < 2:
        raise DataError(f"all judged images carry the label {carried[0]}: there is nothing to confuse it with")
    columns = [judge.labels.index(name) for name in carried]
    given = np.asarray(judge.probabilities[rows], np.float64)
    if not np.isfinite(given).all() or (given < 0).any() or (given.sum(axis=1) <= 0).any():
        raise DataError(f"{judge.name}: not all numbers are probabilities (finite, not negative, not all 0 in a row)")
    numbers = given[:, columns]
    # who believes in labels alone that do not occur prefers none of those that do
    numbers[numbers.sum(axis=1) <= 0] = 1
    probabilities = numbers / numbers.sum(axis=1, keepdims=True)
    return rows, classes, np.searchsorted(classes, codes[rows]).astype(np.int64), probabilities


def _own_judge(subject: AuditContext, codes: NDArray[np.int64], names: tuple[str, ...]) -> LabelModel:
    present, label = np.unique(codes, return_inverse=True)
    probabilities = out_of_fold_probabilities(
        subject.gray, label.reshape(-1), subject.identity, _WHAT, subject.settings.seed
    )
    return LabelModel(
        f"HOG and logistic regression, trained on the other folds of {FOLDS}",
        tuple(names[code] for code in present),
        probabilities,
        np.ones(len(codes), np.bool_),
    )


def _raters(
    subject: AuditContext, judged: NDArray[np.intp], suspected: NDArray[np.intp], suggestions: list[str]
) -> dict[str, float | None] | None:
    """How often FER+ raters' first choice is another than the label: a check of the suspicion that owes it nothing."""
    votes = subject.prepared.votes
    if votes is None:
        return None
    names = np.array([*FERPLUS.names, *FERPLUS_COLUMNS[len(FERPLUS) :]])
    choice = names[votes.argmax(axis=1)]
    label = np.array([subject.label(int(i)) for i in range(len(choice))])
    others = np.setdiff1d(judged, suspected)

    def mean(mask: NDArray[np.bool_]) -> float | None:
        return float(mask.mean()) if len(mask) else None

    return {
        "disagree_with_suspected": mean(choice[suspected] != label[suspected]),
        "disagree_with_others": mean(choice[others] != label[others]),
        "prefer_the_suggestion": mean(choice[suspected] == np.array(suggestions, choice.dtype)),
    }
