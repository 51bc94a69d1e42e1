"""Fit `mien.models.label_sets` on one split, and report their coverage and size."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.datasets.dataset import Dataset
from mien.evaluation.predictions import LEAK_FREE, HeadPredictions, subset_name
from mien.evaluation.scoring.evaluate import SplitPredictions, predict_split
from mien.evaluation.scoring.scored_model import open_model
from mien.evaluation.slices import Grouping
from mien.models.card import Card
from mien.models.label_sets import ScoreQuantiles, SetRule, fit_quantiles
from mien.models.priors import DEFAULT

COVERAGE = 0.9
"""Coverage for which cards report sets."""


def fit_sets(
    model: Path, card: Card, data: Dataset, *, split: str = "validation", threads: int | None = None
) -> dict[str, tuple[ScoreQuantiles, ...]]:
    """Quantiles of each head that has labels in the dataset, for each of its priors.

    Images that are in the training split, too, are left out: the network has memorised them.

    Args:
        model: the ONNX file, with its temperatures and read-outs.
        card: its card.
        data: prepared dataset.
        split: images of the fit.
        threads: processor threads.

    Raises:
        DataError: no such split, or no labels.
    """
    fits: dict[str, list[ScoreQuantiles]] = {}
    for prior in card.priors or (DEFAULT,):
        for head, one in _by_head(predict_split(open_model(model, threads, prior), data, split=split), card).items():
            if one.probabilities is not None and len(one):
                fitted = fit_quantiles(
                    one.probabilities, one.truth, ordered=one.ordered, prior=prior, data=f"{data.info.name} {split}"
                )
                fits.setdefault(head, []).append(fitted)
    return {head: tuple(each) for head, each in fits.items()}


def card_with_sets(card: Card, fits: Mapping[str, tuple[ScoreQuantiles, ...]]) -> Card:
    """The card with these quantiles."""
    heads = tuple(dataclasses.replace(head, sets=fits.get(head.name, ())) for head in card.heads)
    return dataclasses.replace(card, heads=heads)


def card_set_scores(
    model: Path, card: Card, data: Dataset, *, split: str, fitted_on: str, threads: int | None = None
) -> dict[str, Any]:
    """Coverage and size for the card: protocol → "all" and "by_class" → as from `set_scores`.

    Where ``split`` is that of the fit, its images are scored by halves, each with the quantiles of the other half.
    """
    predictions = predict_split(open_model(model, threads), data, split=split)
    heads = {head.name: head for head in card.heads if head.sets}
    table: dict[str, Any] = {}
    for name, one in _by_head(predictions, card).items():
        if name not in heads:
            continue
        table[one.protocol] = {}
        for key, by_class in (("all", False), ("by_class", True)):
            rule = heads[name].sets[0].rule(COVERAGE, by_class=by_class)
            inside = _by_halves(one, by_class) if split == fitted_on else members(one, rule)
            table[one.protocol][key] = set_scores(one, inside, predictions.groupings)
    return {"coverage": COVERAGE, "fitted_on": fitted_on, "split": split, "protocols": table}


def members(one: HeadPredictions, rule: SetRule) -> NDArray[np.bool_]:
    """``(n, k)`` the sets of these images."""
    probabilities = np.zeros((0, len(one.labels))) if one.probabilities is None else one.probabilities
    return rule.members(probabilities, ordered=one.ordered)


def set_scores(one: HeadPredictions, inside: NDArray[np.bool_], groupings: Sequence[Grouping] = ()) -> dict[str, Any]:
    """Coverage and mean size of sets.

    Args:
        one: the images with their true labels.
        inside: ``(n, k)`` the set of each.
        groupings: ways to divide the split that the images are from.

    Returns:
        JSON-ready ``{"n", "coverage", "size", "labels": {label: {"n", "coverage", "size"}}, "groups": {title: {group:
        …}}}``; None where there is no image.
    """
    hit = inside[np.arange(len(one)), one.truth]
    size = inside.sum(axis=1)

    def of(mask: NDArray[np.bool_]) -> dict[str, Any]:
        n = int(mask.sum())
        return {
            "n": n,
            "coverage": float(hit[mask].mean()) if n else None,
            "size": float(size[mask].mean()) if n else None,
        }

    return of(np.ones(len(one), np.bool_)) | {
        "labels": {label: of(one.truth == i) for i, label in enumerate(one.labels)},
        "groups": {
            by.title: {group: of(by.index[one.rows] == i) for i, group in enumerate(by.groups)} for by in groupings
        },
    }


def split_set_scores(predictions: SplitPredictions) -> dict[str, Any]:
    """Protocol → `set_scores` with its rule, for the protocols of heads whose model has one; misses are left out."""
    scores: dict[str, Any] = {}
    for one in predictions.by_protocol:
        rule = predictions.rules.get(one.protocol.removesuffix(f" {LEAK_FREE}"))
        found = one[one.found]
        if rule is not None and found.probabilities is not None and len(found):
            scores[one.protocol] = {"target": rule.coverage, "by_class": rule.by_class} | set_scores(
                found, members(found, rule), predictions.groupings
            )
    return scores


def _by_head(predictions: SplitPredictions, card: Card) -> dict[str, HeadPredictions]:
    """Head → its own labels' images that are not in training."""
    labels = {head.name: head.labels for head in card.heads}
    found: dict[str, HeadPredictions] = {}
    for one in predictions.official:
        if labels.get(one.protocol) == one.labels:
            name = subset_name(one.protocol, LEAK_FREE)
            found[one.protocol] = next((each for each in predictions.by_protocol if each.protocol == name), one)
    return found


def _by_halves(one: HeadPredictions, by_class: bool) -> NDArray[np.bool_]:
    """``(n, k)`` sets with the quantiles of the other half: every second image."""
    probabilities = np.zeros((0, len(one.labels))) if one.probabilities is None else one.probabilities
    inside = np.zeros(probabilities.shape, np.bool_)
    first = np.arange(len(one)) % 2 == 0
    for half in (first, ~first):
        fitted = fit_quantiles(probabilities[~half], one.truth[~half], ordered=one.ordered, prior=DEFAULT, data="half")
        inside[half] = fitted.rule(COVERAGE, by_class=by_class).members(probabilities[half], ordered=one.ordered)
    return inside
