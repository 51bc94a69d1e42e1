"""How many images each class has in each split."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.datasets.audit.types import AuditContext, AuditTable, CheckReport
from mien.datasets.dataset import SPLITS
from mien.errors import InputError
from mien.labels import FERPLUS, FERPLUS_COLUMNS

_FAR = 0.05
"""Share of a split, above which its distance from train is told; and it must be twice what chance gives."""


def check_class_balance(subject: AuditContext) -> CheckReport:
    """Images by class and split, how far the largest class exceeds the smallest, and how far the splits differ."""
    prepared = subject.prepared
    columns: dict[str, tuple[NDArray[Any], tuple[str, ...]]] = {}
    if subject.labels is not None:
        columns[subject.labels[0]] = subject.labels[1:]
    if prepared.votes is not None:
        names = (*FERPLUS.names, *FERPLUS_COLUMNS[len(FERPLUS) :])
        columns["raters' first choice"] = (prepared.votes.argmax(axis=1), names)
    for name, column in (("gender", prepared.gender), ("race", prepared.race)):
        if column is not None:
            values, codes = np.unique(column, return_inverse=True)
            columns[name] = (codes.reshape(-1), tuple(map(str, values)))
    if not columns:
        raise InputError("the dataset has no labels to count by")
    lines, figures, grids = [], {}, []
    for name, (numbers, classes) in columns.items():
        one, grid = _counted(prepared.split, numbers, classes)
        figures[name] = one
        grids.append(AuditTable(name, *grid))
        lines += _said(name, one)
    return CheckReport(tuple(lines), figures, None, (), tuple(grids))


def _counted(
    split: NDArray[np.str_], codes: NDArray[Any], values: tuple[str, ...]
) -> tuple[dict[str, Any], tuple[tuple[str, ...], tuple[tuple[Any, ...], ...]]]:
    present = [name for name in SPLITS if (split == name).any()]
    counts = {name: np.bincount(codes[split == name], minlength=len(values)) for name in present}
    everything = np.bincount(codes, minlength=len(values))
    share = everything / max(everything.sum(), 1)
    there = everything[everything > 0]
    apart: dict[str, float] = {}
    chance: dict[str, float] = {}
    if "train" in present:
        train = counts["train"] / counts["train"].sum()
        # total variation: the share of images that would have to change their class
        apart = {s: float(np.abs(counts[s] / counts[s].sum() - train).sum() / 2) for s in present if s != "train"}
        for name in apart:
            # what drawing so many images at random gives on average (normal approximation)
            drawn = np.sqrt(2 * train * (1 - train) / (np.pi * counts[name].sum())).sum() / 2
            chance[name] = float(drawn)
    figures = {
        "counts": {
            value: {**{s: int(counts[s][i]) for s in present}, "total": int(everything[i])}
            for i, value in enumerate(values)
        },
        "largest_to_smallest": float(there.max() / there.min()),
        "empty": {s: [values[i] for i in np.flatnonzero(counts[s] == 0)] for s in present},
        "distance_from_train": apart,
        "distance_by_chance": chance,
    }
    rows = tuple(
        (value, *(int(counts[s][i]) for s in present), int(everything[i]), f"{share[i]:.1%}")
        for i, value in enumerate(values)
    )
    return figures, (("class", *present, "total", "share"), rows)


def _said(name: str, one: dict[str, Any]) -> list[str]:
    totals = {value: counts["total"] for value, counts in one["counts"].items() if counts["total"]}
    most, least = max(totals, key=lambda value: totals[value]), min(totals, key=lambda value: totals[value])
    lines = [f"{name}: {most} has {one['largest_to_smallest']:.1f} times the images of {least}."]
    if len(totals) == 1:
        lines = [f"{name}: all images are {most}."]
    elif totals[most] == totals[least]:
        lines = [f"{name}: all classes that occur have {totals[most]:,} images."]
    for split, values in one["empty"].items():
        if values:
            lines.append(f"{name}: no {split} images of {', '.join(values)}.")
    for split, distance in one["distance_from_train"].items():
        if distance > max(_FAR, 2 * one["distance_by_chance"][split]):
            lines.append(f"{name}: {distance:.1%} of {split} would have to change class to have train's shares.")
    return lines
