"""The same figures by group of people, with intervals, the worst group, and how predictions differ between groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import InputError
from mien.evaluation.bootstrap import SAMPLES, SEED, mean_interval, percentile_interval, resampled_sums, score_intervals
from mien.evaluation.figures import OF_GROUPS
from mien.evaluation.predictions import HeadPredictions, miss_rates

MIN_GROUP = 30
"""Images below which a group is too small to be called the worst."""
RANKED = tuple(figure for figure in OF_GROUPS if figure.key != "accuracy_with_misses")
"""Figures by which groups are ranked."""


@dataclass(frozen=True, slots=True, eq=False)
class Grouping:
    """One way to divide the images of a split.

    Attributes:
        title: such as "race" or "race and gender".
        groups: every group, also one without an image.
        index: ``(n,)`` int64, which group an image belongs to.
    """

    title: str
    groups: tuple[str, ...]
    index: NDArray[np.int64]

    def __post_init__(self) -> None:
        if self.index.size and not 0 <= int(self.index.min()) <= int(self.index.max()) < len(self.groups):
            raise InputError(f"group numbers of {self.title} must lie in 0–{len(self.groups) - 1}")


def group_by(title: str, values: NDArray[np.str_], groups: Sequence[str] | None = None) -> Grouping:
    """Divide by ``(n,)`` texts; ``groups`` are the groups in order, by default those that occur, sorted."""
    names = tuple(groups) if groups is not None else tuple(sorted(set(values.tolist())))
    index = {name: i for i, name in enumerate(names)}
    return Grouping(title, names, np.array([index[value] for value in values.tolist()], np.int64))


def cross(first: Grouping, second: Grouping) -> Grouping:
    """Divide by two at once: "Black, Female" and so on."""
    names = tuple(f"{a}, {b}" for a in first.groups for b in second.groups)
    return Grouping(f"{first.title} and {second.title}", names, first.index * len(second.groups) + second.index)


def group_scores(
    predictions: HeadPredictions, by: Grouping, samples: int = SAMPLES, seed: int = SEED
) -> dict[str, dict[str, Any]]:
    """Group → ``n`` faces scored, ``accuracy``, ``one_off``, ``ece``, misses where there are any, and ``intervals``.

    A group without an image has n = 0 and None for every figure.

    Args:
        predictions: of one protocol.
        by: how to divide the split that it was scored on.
        samples: resamples for the intervals; 0 leaves them out.
        seed: of the resampling.
    """
    table = {}
    for i, group in enumerate(by.groups):
        mine = predictions[by.index[predictions.rows] == i]
        part = mine[mine.found]
        one: dict[str, Any] = {"n": len(part), "accuracy": None, "one_off": None, "ece": None}
        if len(part):
            scores = part.scores()
            one |= {"accuracy": scores.accuracy, "one_off": scores.one_off, "ece": scores.ece}
        missed = miss_rates(mine)
        if not predictions.found.all():
            one |= missed
        if samples:
            intervals = score_intervals(mine, samples, seed)
            one["intervals"] = {name: intervals.get(name) for name in ("accuracy", "one_off", "ece")}
            if not predictions.found.all():
                one["intervals"] |= {
                    "miss_rate": mean_interval(~mine.found, samples, seed),
                    "accuracy_with_misses": mean_interval(mine.correct, samples, seed),
                }
        table[group] = one
    return table


def group_miss_rates(
    found: NDArray[np.bool_], by: Grouping, samples: int = SAMPLES, seed: int = SEED
) -> dict[str, dict[str, Any]]:
    """Group → ``n`` pictures, ``missed``, ``miss_rate`` and its interval; ``found`` is ``(n,)`` over the split."""
    table = {}
    for i, group in enumerate(by.groups):
        mine = ~found[by.index == i]
        one: dict[str, Any] = {
            "n": len(mine),
            "missed": int(mine.sum()),
            "miss_rate": float(mine.mean()) if len(mine) else None,
        }
        if samples:
            one["intervals"] = {"miss_rate": mean_interval(mine, samples, seed)}
        table[group] = one
    return table


def worst_groups(groups: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """For every figure the group where it is worst: ``group``, ``value``, ``interval``, ``best_group`` and ``best``.

    Groups of fewer than `MIN_GROUP` images are left out.
    """
    table: dict[str, dict[str, Any]] = {}
    for figure in RANKED:
        key = figure.key
        known = {name: one[key] for name, one in groups.items() if one["n"] >= MIN_GROUP and one.get(key) is not None}
        if len(known) < 2:
            continue
        last, first = (min, max) if figure.better == "higher" else (max, min)
        bad, good = last(known, key=lambda name: known[name]), first(known, key=lambda name: known[name])
        table[key] = {
            "group": bad,
            "value": known[bad],
            "interval": groups[bad].get("intervals", {}).get(key),
            "best_group": good,
            "best": known[good],
        }
    return table


def group_distributions(
    probabilities: NDArray[np.floating],
    rows: NDArray[np.integer],
    labels: Sequence[str],
    by: Grouping,
    samples: int = SAMPLES,
    seed: int = SEED,
) -> dict[str, dict[str, Any]]:
    """How the mean predicted distribution differs between groups; no true label is needed.

    Args:
        probabilities: ``(n, k)`` predictions.
        rows: ``(n,)`` positions of these images in the split that ``by`` divides.
        labels: k names.
        by: how to divide.
        samples: resamples, each group on its own; 0 leaves the intervals out.
        seed: of the resampling.

    Returns:
        Group → ``n``, ``mean`` (label → mean probability), ``difference`` (the group's mean minus the mean over all
        other images), and ``intervals`` and ``difference_intervals`` (label → (low, high)).
    """
    index = by.index[rows]
    sums = np.stack([probabilities[index == i].sum(axis=0, dtype=np.float64) for i in range(len(by.groups))])
    counts = np.bincount(index, minlength=len(by.groups)).astype(np.float64)
    drawn = [
        resampled_sums(probabilities[index == i].astype(np.float64), samples, seed + i) for i in range(len(by.groups))
    ]
    everyone = np.sum(drawn, axis=0)
    table: dict[str, dict[str, Any]] = {}
    for i, group in enumerate(by.groups):
        n, others = counts[i], counts.sum() - counts[i]
        one: dict[str, Any] = {"n": int(n), "mean": None, "difference": None}
        if n:
            one["mean"] = _by_label(labels, sums[i] / n)
            if others:
                one["difference"] = _by_label(labels, sums[i] / n - (sums.sum(axis=0) - sums[i]) / others)
            if samples:
                mine = drawn[i] / n
                one["intervals"] = _intervals(labels, mine)
                if others:
                    one["difference_intervals"] = _intervals(labels, mine - (everyone - drawn[i]) / others)
        table[group] = one
    return table


def _by_label(labels: Sequence[str], values: NDArray[np.floating]) -> dict[str, float]:
    return {label: round(float(value), 6) for label, value in zip(labels, values, strict=True)}


def _intervals(labels: Sequence[str], values: NDArray[np.floating]) -> dict[str, Any]:
    return {label: percentile_interval(values[:, i]) for i, label in enumerate(labels)}
