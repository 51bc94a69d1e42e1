"""Score a trained network, a run folder or an exported file, on a prepared dataset under its protocols."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.datasets.dataset import Dataset
from mien.datasets.exact_duplicates import leaked_rows
from mien.datasets.ferplus import SCORING_RULES
from mien.errors import DataError, InputError
from mien.evaluation.bootstrap import LEVEL, SEED, mean_interval, score_intervals
from mien.evaluation.calibration import reliability_bins
from mien.evaluation.predictions import FOUND, LEAK_FREE, HeadPredictions, is_subset, miss_rates
from mien.evaluation.risk_coverage import selective_risk
from mien.evaluation.scoring.groups import default_groupings, make_groupings
from mien.evaluation.scoring.protocols import (
    HeadProtocol,
    LabelKind,
    check_label_map,
    default_label_kind,
    has_labels,
    match_head,
)
from mien.evaluation.scoring.scored_model import ScoredModel, predict
from mien.evaluation.slices import Grouping, group_distributions, group_miss_rates, group_scores, worst_groups
from mien.models.label_sets import SetRule
from mien.models.model import Probabilities

FERPLUS: LabelKind = "ferplus"


@dataclass(frozen=True, slots=True, eq=False)
class SplitPredictions:
    """The predictions of a model on one split: arrays, from which every figure follows.

    Attributes:
        model: its name.
        dataset: the dataset's.
        split: the split's.
        flip: averaged with the mirrored images.
        by_protocol: one per protocol, official sets before their subsets ("… leak-free", "… found").
        probabilities: head → ``(n, labels)`` on every image of the split, with or without labels.
        heads: head → labels.
        groupings: ways to divide the images into groups.
        found: ``(n,)`` bool, whether the detector found the face; None where no detector ran.
        compare_distributions: whether mean predictions are compared between groups as well.
        notes: what a reader should know, such as labels that the model lacks.
        detection: detector and its settings, for the document; empty where no detector ran.
        rules: head → rule of its sets of labels, where one was chosen.

    Examples:
        >>> from mien.evaluation.scoring import open_model
        >>> predictions = predict_split(open_model("emotion", threads=1), dataset)
        >>> predictions.split, [one.protocol for one in predictions.official], len(predictions.official[0])
        ('test', ['fer2013'], 14)
    """

    model: str
    dataset: str
    split: str
    flip: bool
    by_protocol: tuple[HeadPredictions, ...]
    probabilities: Probabilities = field(default_factory=dict)
    heads: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    groupings: tuple[Grouping, ...] = ()
    found: NDArray[np.bool_] | None = None
    compare_distributions: bool = False
    notes: tuple[str, ...] = ()
    detection: Mapping[str, Any] = field(default_factory=dict)
    rules: Mapping[str, SetRule] = field(default_factory=dict)

    @property
    def official(self) -> tuple[HeadPredictions, ...]:
        """One per protocol, over all of its images."""
        return tuple(one for one in self.by_protocol if not is_subset(one.protocol))


def evaluate(
    model: ScoredModel,
    data: Dataset,
    *,
    split: str = "test",
    flip: bool = False,
    labels: LabelKind | None = None,
    mapping: Mapping[str, str] | None = None,
    slices: Sequence[str] | None = None,
    protocols: Sequence[str] | None = None,
    samples: int = 0,
    seed: int = SEED,
) -> dict[str, Any]:
    """Every figure of every head the dataset has labels for.

    Args:
        model: what to score.
        data: the whole dataset, so that test images that are in training too are known.
        split: which images.
        flip: average with the mirrored images.
        labels: score every head on these labels, instead of those it is about.
        mapping: label of the model, in lower case → label of the dataset, or "-" to leave it out.
        slices: groups to report, as `mien.evaluation.scoring.groups.make_groupings` takes them; by default race, gender
            and both.
        protocols: what to score on: "fer2013", "age" and the like as the heads are called, and keys of
            `mien.datasets.ferplus.SCORING_RULES` for FER+ votes; None for every head once, FER+ by the majority.
        samples: bootstrap resamples for 95 % intervals; 0 for none.
        seed: of the resampling.

    Returns:
        JSON-ready: ``{"model", "dataset", "split", "flip", "results": {protocol: Scores}, "groups": {…}}``. Protocols
        are "ferplus" (Barsoum's majority), "fer2013" and "age", each official and, where test images are also in the
        training set, "… leak-free" without those. For datasets with race and gender there is accuracy by group. For
        further keys see `score_predictions`.

    Raises:
        DataError: the dataset has no such split, or its images or labels do not fit the network.

    Examples:
        >>> from mien.evaluation.scoring import open_model
        >>> document = evaluate(open_model("emotion", threads=1), dataset, samples=100)
        >>> document["results"]["fer2013"]["n"], 0 <= document["results"]["fer2013"]["accuracy"] <= 1
        (14, True)
    """
    predictions = predict_split(
        model, data, split=split, flip=flip, labels=labels, mapping=mapping, slices=slices, protocols=protocols
    )
    return score_predictions(predictions, samples=samples, seed=seed)


def predict_split(
    model: ScoredModel,
    data: Dataset,
    *,
    split: str = "test",
    flip: bool = False,
    labels: LabelKind | None = None,
    mapping: Mapping[str, str] | None = None,
    slices: Sequence[str] | None = None,
    protocols: Sequence[str] | None = None,
) -> SplitPredictions:
    """Predictions of ``model`` on one split; arguments and errors as for `evaluate`.

    Args:
        model: as for `evaluate`.
        data: as for `evaluate`.
        split: as for `evaluate`.
        flip: as for `evaluate`.
        labels: as for `evaluate`.
        mapping: as for `evaluate`.
        slices: as for `evaluate`.
        protocols: as for `evaluate`.

    Raises:
        DataError: as `evaluate`.

    Examples:
        >>> from mien.evaluation.scoring import open_model
        >>> predict_split(open_model("emotion", threads=1), dataset, split="validation").by_protocol[0].truth.shape
        (14,)
    """
    rows = split_rows(data, split)
    part = data[rows]
    table, notes = match_protocols(model, part, labels=labels, mapping=mapping, needed=slices is None)
    matched = list(table.items()) if protocols is None else _chosen(table, model, part, protocols, labels, mapping)
    groupings = default_groupings(data, rows) if slices is None else make_groupings(data, rows, slices)
    leaked = leaked_rows(data)[rows]
    probabilities = predict(model, part, flip=flip)
    by_protocol: list[HeadPredictions] = []
    for head, protocol in matched:
        by_protocol += with_subsets(protocol.predictions(probabilities[head]), leaked, part.found)
    return SplitPredictions(
        model.name,
        data.info.name,
        split,
        flip,
        tuple(by_protocol),
        probabilities,
        model.heads,
        groupings,
        part.found,
        compare_distributions=slices is not None,
        notes=notes,
        rules=model.rules,
    )


def _chosen(
    table: Mapping[str, HeadProtocol],
    model: ScoredModel,
    part: Dataset,
    names: Sequence[str],
    labels: LabelKind | None,
    mapping: Mapping[str, str] | None,
) -> list[tuple[str, HeadProtocol]]:
    """The heads with the protocols of these names, in their order."""
    rated = [h for h in table if (labels or default_label_kind(h, model.heads[h], part, model.specs.get(h))) == FERPLUS]
    chosen: list[tuple[str, HeadProtocol]] = []
    for name in names:
        if name in SCORING_RULES:
            found = [
                (
                    head,
                    match_head(
                        head,
                        model.heads[head],
                        part,
                        spec=model.specs.get(head),
                        kind=labels,
                        mapping=_known(mapping, model.heads[head]),
                        rule=name,
                    ),
                )
                for head in rated
            ]
        else:
            found = [(head, protocol) for head, protocol in table.items() if protocol.name == name]
        if not found:
            have = [*(protocol.name for protocol in table.values()), *(SCORING_RULES if rated else ())]
            raise InputError(
                f"{model.name} has no protocol {name!r} on this dataset",
                advice=f"choose among {', '.join(have)}",
                code="protocol-unknown",
            )
        chosen += found
    return chosen


def _known(mapping: Mapping[str, str] | None, labels: Sequence[str]) -> Mapping[str, str] | None:
    """The part of a mapping that is about these labels."""
    return None if mapping is None else {k: v for k, v in mapping.items() if k in [label.lower() for label in labels]}


def split_rows(data: Dataset, split: str) -> NDArray[np.bool_]:
    """Which rows are of a split; `DataError` where none is."""
    rows: NDArray[np.bool_] = data.split == split
    if not rows.any():
        splits = ", ".join(sorted(set(data.split.tolist())))
        raise DataError(f"the dataset has no {split!r} images, only {splits}", code="split-missing")
    return rows


def with_subsets(
    official: HeadPredictions, leaked: NDArray[np.bool_] | None = None, found: NDArray[np.bool_] | None = None
) -> list[HeadPredictions]:
    """The official set, that without images which are in training too, and that of faces that were found.

    Args:
        official: the official set.
        leaked: ``(n,)`` over the split, images that are in training too.
        found: ``(n,)`` over the split, where the images were cropped by a detector.
    """
    sets = [official]
    if leaked is not None and leaked[official.rows].any() and not leaked[official.rows].all():
        sets.append(official.subset(~leaked[official.rows], LEAK_FREE))
    if found is not None and not found[official.rows].all() and found[official.rows].any():
        sets.append(official.subset(found[official.rows], FOUND))
    return sets


def match_protocols(
    model: ScoredModel,
    part: Dataset,
    *,
    labels: LabelKind | None = None,
    mapping: Mapping[str, str] | None = None,
    needed: bool = True,
) -> tuple[dict[str, HeadProtocol], tuple[str, ...]]:
    """Every head that the dataset has labels for, matched with them, and notes on what is left out.

    Args:
        model: whose heads.
        part: the images that are scored.
        labels: as for `evaluate`.
        mapping: the same.
        needed: refuse a model none of whose heads has labels.

    Raises:
        DataError: labels that do not fit, or no head that has any.
    """
    check_label_map(mapping or {}, model.heads)
    table: dict[str, HeadProtocol] = {}
    notes: list[str] = []
    lacking: list[str] = []
    for head, names in model.heads.items():
        spec = model.specs.get(head)
        kind = labels or default_label_kind(head, names, part, spec)
        if not has_labels(part, kind):
            lacking.append(head)
            continue
        protocol = match_head(head, names, part, spec=spec, kind=labels, mapping=mapping)
        if not (protocol.truth >= 0).any():
            notes.append(f"{protocol.name}: no image of this split has a label for it")
            continue
        table[head] = protocol
        occurring = set(protocol.truth[protocol.truth >= 0].tolist())
        empty = [label for i, label in enumerate(protocol.labels) if i not in occurring]
        if protocol.note:
            notes.append(protocol.note)
        if empty:
            notes.append(f"{protocol.name}: no image of {', '.join(empty)}, so they have no recall")
    if not table and needed:
        columns = (("FER+ votes", part.votes), ("emotions", part.emotion), ("ages", part.age))
        have = [kind for kind, column in columns if column is not None]
        raise DataError(
            f"none of the model's heads ({', '.join(model.heads)}) has labels in this dataset, which has "
            f"{', '.join(have) or 'no label'}",
            advice="give other data, choose labels with --labels, or compare predictions between groups with --slices",
            code="labels-missing",
        )
    if lacking:
        notes.append(f"{', '.join(lacking)}: the dataset has no labels for it")
    return table, tuple(notes)


def score_predictions(predictions: SplitPredictions, *, samples: int = 0, seed: int = SEED) -> dict[str, Any]:
    """Every figure, JSON-ready.

    Beside the keys of `evaluate`: ``results[protocol]["intervals"]`` and ``"bootstrap"`` where ``samples`` > 0;
    ``"detection"``, and misses in ``results``, where a detector ran; ``"worst"`` (per grouping and
    figure the group where it is worst); ``"distributions"`` (mean predictions by group); ``"details"`` (reliability
    bars and risk–coverage curve of the official sets); ``"notes"``.

    Args:
        predictions: of one split.
        samples: bootstrap resamples for 95 % intervals; 0 for none.
        seed: of the resampling.

    Examples:
        >>> from mien.evaluation.scoring import open_model
        >>> document = score_predictions(predict_split(open_model("emotion", threads=1), dataset))
        >>> sorted(document["results"]["fer2013"])[:4]
        ['accuracy', 'balanced_accuracy', 'confusion', 'ece']
    """
    results: dict[str, Any] = {}
    details: dict[str, Any] = {}
    for one in predictions.by_protocol:
        if not one.found.any():
            continue
        results[one.protocol] = one.scores().to_dict()
        if not one.found.all():
            results[one.protocol] |= miss_rates(one)
        if samples:
            results[one.protocol]["intervals"] = score_intervals(one, samples, seed)
            if not one.found.all():
                results[one.protocol]["intervals"] |= {
                    "miss_rate": mean_interval(~one.found, samples, seed),
                    "accuracy_with_misses": mean_interval(one.correct, samples, seed),
                }
    for one in predictions.official:
        part = one[one.found]
        if part.probabilities is not None and len(part):
            bars = reliability_bins(part.confidence, part.correct)
            curve = selective_risk(part.confidence, part.correct)
            details[one.protocol] = {"reliability": [bar.to_dict() for bar in bars], "selective": curve}
    groups: dict[str, Any] = {}
    worst: dict[str, Any] = {}
    for one in predictions.official:
        tables = {by.title: group_scores(one, by, samples, seed) for by in predictions.groupings}
        if tables:
            groups[one.protocol] = tables
            worst[one.protocol] = {title: worst_groups(table) for title, table in tables.items()}
    document: dict[str, Any] = {
        "model": predictions.model,
        "dataset": predictions.dataset,
        "split": predictions.split,
        "flip": predictions.flip,
        "results": results,
        "groups": groups,
    }
    if worst:
        document["worst"] = worst
    if predictions.found is not None:
        document["detection"] = _detection(predictions, predictions.found, samples, seed)
    if predictions.compare_distributions and predictions.groupings:
        document["distributions"] = _distributions(predictions, samples, seed)
    if samples:
        document["bootstrap"] = {"samples": samples, "seed": seed, "level": LEVEL}
    if predictions.notes:
        document["notes"] = list(predictions.notes)
    return document | {"details": details}


def _detection(predictions: SplitPredictions, found: NDArray[np.bool_], samples: int, seed: int) -> dict[str, Any]:
    tables = {by.title: group_miss_rates(found, by, samples, seed) for by in predictions.groupings}
    return {
        **predictions.detection,
        "faces": len(found),
        "missed": int((~found).sum()),
        "miss_rate": float((~found).mean()),
        "interval": mean_interval(~found, samples, seed) if samples else None,
        "groups": tables,
        "worst": {title: worst_groups(table) for title, table in tables.items()},
    }


def _distributions(predictions: SplitPredictions, samples: int, seed: int) -> dict[str, Any]:
    rows = (
        np.arange(len(next(iter(predictions.probabilities.values()))))
        if predictions.probabilities
        else np.zeros(0, np.int64)
    )
    found = rows if predictions.found is None else rows[predictions.found]
    return {
        head: {
            by.title: group_distributions(values[found], found, predictions.heads[head], by, samples, seed)
            for by in predictions.groupings
        }
        for head, values in predictions.probabilities.items()
    }
