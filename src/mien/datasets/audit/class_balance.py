"""How many images each class has in each split."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.datasets.audit.types import AuditContext, AuditTable, CheckReport
from mien.datasets.dataset import SPLITS
from mien.datasets.ferplus import VOTE_NAMES
from mien.errors import InputError
from mien.text import percent

_REPORTED_DISTANCE = 0.05
"""Share of a split above which its distance from train is reported, if it is also twice what chance gives."""


def check_class_balance(context: AuditContext) -> CheckReport:
    """Images by class and split, how far the largest class exceeds the smallest, and how far the splits differ."""
    dataset = context.dataset
    columns: dict[str, tuple[NDArray[Any], tuple[str, ...]]] = {}
    if context.labels is not None:
        columns[context.labels.kind] = context.labels.codes, context.labels.names
    if dataset.votes is not None:
        columns["raters' first choice"] = dataset.votes.argmax(axis=1), VOTE_NAMES
    for name, column in (("gender", dataset.gender), ("race", dataset.race)):
        if column is not None:
            values, codes = np.unique(column, return_inverse=True)
            columns[name] = codes.reshape(-1), tuple(map(str, values))
    if not columns:
        raise InputError("the dataset has no labels to count by")
    summary, figures, tables = [], {}, []
    for name, (codes, classes) in columns.items():
        counts, table = _count_classes(name, dataset.split, codes, classes)
        figures[name] = counts
        tables.append(table)
        summary += _summary(name, counts)
    return CheckReport(tuple(summary), figures, None, (), tuple(tables))


def _count_classes(
    name: str, split: NDArray[np.str_], codes: NDArray[Any], classes: tuple[str, ...]
) -> tuple[dict[str, Any], AuditTable]:
    present = [one for one in SPLITS if (split == one).any()]
    counts = {one: np.bincount(codes[split == one], minlength=len(classes)) for one in present}
    totals = np.bincount(codes, minlength=len(classes))
    shares = totals / max(totals.sum(), 1)
    occurring = totals[totals > 0]
    distance: dict[str, float] = {}
    by_chance: dict[str, float] = {}
    if "train" in present:
        train = counts["train"] / counts["train"].sum()
        # total variation: the share of images that would have to change their class
        distance = {s: float(np.abs(counts[s] / counts[s].sum() - train).sum() / 2) for s in present if s != "train"}
        for one in distance:
            # the average over random draws of so many images (normal approximation)
            by_chance[one] = float(np.sqrt(2 * train * (1 - train) / (np.pi * counts[one].sum())).sum() / 2)
    figures = {
        "counts": {
            label: {**{s: int(counts[s][i]) for s in present}, "total": int(totals[i])}
            for i, label in enumerate(classes)
        },
        "largest_to_smallest": float(occurring.max() / occurring.min()),
        "empty": {s: [classes[i] for i in np.flatnonzero(counts[s] == 0)] for s in present},
        "distance_from_train": distance,
        "distance_by_chance": by_chance,
    }
    rows = tuple(
        (label, *(int(counts[s][i]) for s in present), int(totals[i]), percent(float(shares[i])))
        for i, label in enumerate(classes)
    )
    return figures, AuditTable(name, ("class", *present, "total", "share"), rows)


def _summary(name: str, figures: dict[str, Any]) -> list[str]:
    totals = {label: counts["total"] for label, counts in figures["counts"].items() if counts["total"]}
    largest, smallest = max(totals, key=lambda label: totals[label]), min(totals, key=lambda label: totals[label])
    lines = [f"{name}: {largest} has {figures['largest_to_smallest']:.1f} times the images of {smallest}."]
    if len(totals) == 1:
        lines = [f"{name}: all images are {largest}."]
    elif totals[largest] == totals[smallest]:
        lines = [f"{name}: all classes that occur have {totals[largest]:,} images."]
    for split, labels in figures["empty"].items():
        if labels:
            lines.append(f"{name}: no {split} images of {', '.join(labels)}.")
    for split, distance in figures["distance_from_train"].items():
        if distance > max(_REPORTED_DISTANCE, 2 * figures["distance_by_chance"][split]):
            lines.append(f"{name}: {percent(distance)} of {split} would have to change class to match train.")
    return lines
