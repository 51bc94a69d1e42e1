"""FER2013's labels against the ten raters of FER+."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.datasets.audit.types import AuditContext, AuditTable, CheckReport
from mien.datasets.cleaning import vote_entropy
from mien.datasets.ferplus import vote_targets
from mien.errors import InputError
from mien.labels import FERPLUS, FERPLUS_COLUMNS


def check_rater_agreement(subject: AuditContext) -> CheckReport:
    """How often the dataset's own label is what raters say, by how much more than by chance, and how far they agree.

    "Majority" is the protocol of Barsoum et al. 2016; "first choice" the column with the most votes (the first of
    equal ones). Cohen's kappa is over the labels that both sides know; Fleiss' kappa is of the raters among themselves,
    over the images with as many votes as most have.
    """
    prepared = subject.prepared
    if prepared.votes is None:
        raise InputError("the dataset carries no FER+ votes: prepare it with --ferplus fer2013new.csv")
    if prepared.emotion is None or prepared.taxonomy is None:
        raise InputError("the dataset has no emotions to hold against the votes")
    columns = (*FERPLUS.names, *FERPLUS_COLUMNS[len(FERPLUS) :])
    place = np.array([columns.index(name) for name in prepared.taxonomy.names])
    label = place[prepared.emotion]
    choice = prepared.votes.argmax(axis=1)
    ruled = vote_targets(prepared.votes, "majority")
    kept = ruled.keep
    majority = ruled.targets.argmax(axis=1)
    spread = vote_entropy(prepared)
    known = kept & np.isin(majority, place)
    right = label == choice
    matrix = np.zeros((len(place), len(columns)), np.int64)
    np.add.at(matrix, (prepared.emotion, choice), 1)
    by_label: dict[str, dict[str, float | None]] = {}
    for i, name in enumerate(prepared.taxonomy.names):
        rows = prepared.emotion == i
        by_label[name] = {
            "first_choice": _share(right[rows]),
            "majority": _share(label[kept & rows] == majority[kept & rows]),
            "entropy_mean": float(spread[rows].mean()) if rows.any() else None,
        }
    cohen = cohen_kappa(label[known], majority[known], len(columns))
    fleiss = fleiss_kappa(prepared.votes)
    same_first, same_majority = _share(right), _share(label[kept] == majority[kept])
    unanimous, scattered = _share(spread == 0), _share(spread > 2)
    figures = {
        "first_choice": same_first,
        "majority_images": int(kept.sum()),
        "majority": same_majority,
        "cohen_kappa": cohen,
        "fleiss_kappa": fleiss,
        "entropy_mean": float(spread.mean()),
        "entropy_median": float(np.median(spread)),
        "unanimous": unanimous,
        "above_2_bits": scattered,
        "by_label": by_label,
        "confusion": {
            "labels": list(prepared.taxonomy.names),
            "first_choice": list(columns),
            "counts": matrix.tolist(),
        },
    }
    lines = (
        f"The label is the raters' first choice for {_percent(same_first)} of the images.",
        f"Of the {int(kept.sum()):,} with a majority it is theirs for {_percent(same_majority)}; "
        f"Cohen's kappa {_two(cohen)}.",
        f"Raters among themselves: Fleiss' kappa {_two(fleiss)}, entropy {spread.mean():.2f} bits on average; "
        f"unanimous on {_percent(unanimous)}, above 2 bits on {_percent(scattered)}.",
    )
    confusion = AuditTable(
        "labels (rows) and raters' first choice (columns)",
        ("label", *columns, "agree", "bits"),
        tuple(
            (name, *matrix[i].tolist(), _percent(one["first_choice"]), _two(one["entropy_mean"]))
            for i, (name, one) in enumerate(by_label.items())
        ),
    )
    return CheckReport(lines, figures, None, (), (confusion,))


def cohen_kappa(one: NDArray[np.integer], other: NDArray[np.integer], classes: int) -> float | None:
    """Agreement of two raters beyond chance (Cohen 1960); None where chance alone explains all, or without images."""
    if not len(one):
        return None
    by_chance = float((np.bincount(one, minlength=classes) @ np.bincount(other, minlength=classes)) / len(one) ** 2)
    observed = float((one == other).mean())
    return None if by_chance == 1 else (observed - by_chance) / (1 - by_chance)


def fleiss_kappa(votes: NDArray[np.integer]) -> float | None:
    """Agreement of raters beyond chance (Fleiss 1971) from ``(n, k)`` votes, over rows with the commonest total."""
    totals = votes.sum(axis=1)
    if not len(totals):
        return None
    raters = int(np.bincount(totals).argmax())
    counts = votes[totals == raters].astype(np.int64)
    if raters < 2:
        return None
    observed = float((((counts**2).sum(axis=1) - raters) / (raters * (raters - 1))).mean())
    by_chance = float(((counts.sum(axis=0) / counts.sum()) ** 2).sum())
    return None if by_chance == 1 else (observed - by_chance) / (1 - by_chance)


def _share(mask: NDArray[np.bool_]) -> float | None:
    return float(mask.mean()) if len(mask) else None


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"


def _two(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
