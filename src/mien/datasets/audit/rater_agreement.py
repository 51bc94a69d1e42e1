"""FER2013's labels against the ten raters of FER+."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.datasets.audit.types import AuditContext, AuditTable, CheckReport
from mien.datasets.ferplus import VOTE_NAMES, vote_targets
from mien.datasets.quality_measures import vote_entropy
from mien.errors import InputError
from mien.text import number, percent


def check_rater_agreement(context: AuditContext) -> CheckReport:
    """How often the dataset's label is the raters' choice, by how much more than by chance, and how far raters agree.

    "Majority" is the protocol of Barsoum et al. 2016; "first choice" the column with the most votes (the first of
    equal ones). Cohen's kappa is over the labels that both sides have; Fleiss' kappa is that of the raters among
    themselves, over the images with the most common number of votes.
    """
    dataset = context.dataset
    if dataset.votes is None:
        raise InputError("the dataset has no FER+ votes", advice="prepare it with --ferplus fer2013new.csv")
    if dataset.emotion is None or dataset.taxonomy is None:
        raise InputError("the dataset has no emotions to compare with the votes")
    column = np.array([VOTE_NAMES.index(name) for name in dataset.taxonomy.names])
    label = column[dataset.emotion]
    choice = dataset.votes.argmax(axis=1)
    majority_targets = vote_targets(dataset.votes, "majority")
    kept = majority_targets.keep
    majority = majority_targets.targets.argmax(axis=1)
    entropy = vote_entropy(dataset)
    comparable = kept & np.isin(majority, column)
    agree = label == choice
    confusion = np.zeros((len(column), len(VOTE_NAMES)), np.int64)
    np.add.at(confusion, (dataset.emotion, choice), 1)
    by_label: dict[str, dict[str, float | None]] = {}
    for i, name in enumerate(dataset.taxonomy.names):
        rows = dataset.emotion == i
        by_label[name] = {
            "first_choice": _share(agree[rows]),
            "majority": _share(label[kept & rows] == majority[kept & rows]),
            "entropy_mean": float(entropy[rows].mean()) if rows.any() else None,
        }
    cohen = cohen_kappa(label[comparable], majority[comparable], len(VOTE_NAMES))
    fleiss = fleiss_kappa(dataset.votes)
    same_first, same_majority = _share(agree), _share(label[kept] == majority[kept])
    unanimous, scattered = _share(entropy == 0), _share(entropy > 2)
    figures = {
        "first_choice": same_first,
        "majority_images": int(kept.sum()),
        "majority": same_majority,
        "cohen_kappa": cohen,
        "fleiss_kappa": fleiss,
        "entropy_mean": float(entropy.mean()),
        "entropy_median": float(np.median(entropy)),
        "unanimous": unanimous,
        "above_2_bits": scattered,
        "by_label": by_label,
        "confusion": {
            "labels": list(dataset.taxonomy.names),
            "first_choice": list(VOTE_NAMES),
            "counts": confusion.tolist(),
        },
    }
    summary = (
        f"The label is the raters' first choice for {percent(same_first)} of the images.",
        f"Of the {int(kept.sum()):,} images with a majority, the label agrees for {percent(same_majority)}; "
        f"Cohen's kappa {number(cohen, digits=2)}.",
        f"Agreement among raters: Fleiss' kappa {number(fleiss, digits=2)}, entropy {entropy.mean():.2f} bits on "
        f"average; unanimous on {percent(unanimous)}, above 2 bits on {percent(scattered)}.",
    )
    table = AuditTable(
        "labels (rows) and raters' first choice (columns)",
        ("label", *VOTE_NAMES, "agree", "bits"),
        tuple(
            (name, *confusion[i].tolist(), percent(one["first_choice"]), number(one["entropy_mean"], digits=2))
            for i, (name, one) in enumerate(by_label.items())
        ),
    )
    return CheckReport(summary, figures, None, (), (table,))


def cohen_kappa(one: NDArray[np.integer], other: NDArray[np.integer], classes: int) -> float | None:
    """Agreement of two raters beyond chance (Cohen 1960); None where chance alone explains all, or without images."""
    if not len(one):
        return None
    by_chance = float((np.bincount(one, minlength=classes) @ np.bincount(other, minlength=classes)) / len(one) ** 2)
    observed = float((one == other).mean())
    return None if by_chance == 1 else (observed - by_chance) / (1 - by_chance)


def fleiss_kappa(votes: NDArray[np.integer]) -> float | None:
    """Agreement of raters beyond chance (Fleiss 1971) from ``(n, k)`` votes, over rows with the most common total."""
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
