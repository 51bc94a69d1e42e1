"""Score a trained network, as a run folder or as an exported file, on a prepared dataset under its protocols."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.datasets.dataset import Dataset
from mien.datasets.exact_duplicates import leaked_rows
from mien.errors import DataError
from mien.evaluation.bootstrap import LEVEL, SEED, mean_interval, score_intervals
from mien.evaluation.calibration import reliability_bins
from mien.evaluation.predictions import FOUND, LEAK_FREE, HeadPredictions, is_subset, miss_rates
from mien.evaluation.risk_coverage import selective_risk
from mien.evaluation.scoring.groups import default_groupings, make_groupings
from mien.evaluation.scoring.protocols import (
    LabelKind,
    Protocol,
    check_label_map,
    default_label_kind,
    has_labels,
    match_head,
)
from mien.evaluation.scoring.scored_model import Features, Predict, ScoredModel, from_callable, open_model, predict
from mien.evaluation.slices import Grouping, group_distributions, group_miss_rates, group_scores, worst_groups
from mien.models.model import Probabilities

__all__ = [
    "Features",
    "Predict",
    "ScoredModel",
    "SplitPredictions",
    "evaluate",
    "from_callable",
    "match_protocols",
    "open_model",
    "predict",
    "predict_split",
    "score_predictions",
]


@dataclass(frozen=True, slots=True, eq=False)
class SplitPredictions:
    """What a model said on one split: arrays, from which every figure follows.

    Attributes:
        model: its name.
        dataset: the dataset's.
        split: the split's.
        flip: averaged with the mirrored images.
        scored: one a protocol, official sets before their subsets ("… leak-free", "… found").
        probabilities: head → ``(n, labels)`` on every image of the split, with or without labels.
        heads: head → labels.
        groupings: how to divide the images.
        found: ``(n,)`` bool, whether the detector found the face; None where nobody looked.
        told: probabilities are to be compared between groups as well.
        notes: what a reader should know, such as labels that the model lacks.
        detection: facts about the search for faces, for the document; empty where there was none.
    """

    model: str
    dataset: str
    split: str
    flip: bool
    scored: tuple[HeadPredictions, ...]
    probabilities: Probabilities = field(default_factory=dict)
    heads: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    groupings: tuple[Grouping, ...] = ()
    found: NDArray[np.bool_] | None = None
    told: bool = False
    notes: tuple[str, ...] = ()
    detection: Mapping[str, Any] = field(default_factory=dict)

    @property
    def official(self) -> tuple[HeadPredictions, ...]:
        """One a protocol, over all of its images."""
        return tuple(one for one in self.scored if not is_subset(one.protocol))


def evaluate(
    model: ScoredModel,
    data: Dataset,
    *,
    split: str = "test",
    flip: bool = False,
    labels: LabelKind | None = None,
    mapping: Mapping[str, str] | None = None,
    slices: Sequence[str] | None = None,
    samples: int = 0,
    seed: int = SEED,
) -> dict[str, Any]:
    """Every figure of every head the dataset has labels for.

    Args:
        model: what to score.
        data: the whole dataset, so that test images that stand in training too are known.
        split: which images.
        flip: average with the mirrored images.
        labels: score every head on these labels, instead of those it is about.
        mapping: label of the model, in lower case → label of the dataset, or "-" to leave it out.
        slices: groups to report, as `mien.evaluation.scoring.groups.make_groupings` takes them; by default race, gender
            and both.
        samples: bootstrap resamples for 95 % intervals; 0 for none.
        seed: of the resampling.

    Returns:
        JSON-ready: ``{"model", "dataset", "split", "flip", "results": {protocol: Scores}, "groups": {…}}``. Protocols
        are "ferplus" (Barsoum's majority), "fer2013" and "age", each official and, where test images also stand in the
        training set, "… leak-free" without those. For datasets with race and gender there is accuracy by group. More
        keys where there is more to say: see `score_predictions`.

    Raises:
        DataError: the dataset has no such split, or its images or labels do not fit the network.
    """
    given = predict_split(model, data, split=split, flip=flip, labels=labels, mapping=mapping, slices=slices)
    return score_predictions(given, samples=samples, seed=seed)


def predict_split(
    model: ScoredModel,
    data: Dataset,
    *,
    split: str = "test",
    flip: bool = False,
    labels: LabelKind | None = None,
    mapping: Mapping[str, str] | None = None,
    slices: Sequence[str] | None = None,
) -> SplitPredictions:
    """What ``model`` says on one split; arguments and errors as for `evaluate`."""
    rows = split_rows(data, split)
    part = data[rows]
    protocols, notes = match_protocols(model, part, labels=labels, mapping=mapping, needed=slices is None)
    divided = default_groupings(data, rows) if slices is None else make_groupings(data, rows, slices)
    dirty = leaked_rows(data)[rows]
    probabilities = predict(model, part, flip=flip)
    scored: list[HeadPredictions] = []
    for head, one in protocols.items():
        scored += with_subsets(one.scored(probabilities[head]), dirty, part.found)
    return SplitPredictions(
        model.name,
        data.info.name,
        split,
        flip,
        tuple(scored),
        probabilities,
        model.heads,
        divided,
        part.found,
        told=slices is not None,
        notes=notes,
    )


def split_rows(data: Dataset, split: str) -> NDArray[np.bool_]:
    """Which rows are of a split; `DataError` where none is."""
    rows: NDArray[np.bool_] = data.split == split
    if not rows.any():
        raise DataError(f"the dataset has no {split!r} images: it has {', '.join(sorted(set(data.split.tolist())))}")
    return rows


def with_subsets(
    whole: HeadPredictions, dirty: NDArray[np.bool_] | None = None, found: NDArray[np.bool_] | None = None
) -> list[HeadPredictions]:
    """The official set, that without images which stand in training too, and that of faces that were found.

    Args:
        whole: the official set.
        dirty: ``(n,)`` over the split.
        found: ``(n,)`` over the split, where the images were cropped by a detector.
    """
    sets = [whole]
    if dirty is not None and dirty[whole.rows].any() and not dirty[whole.rows].all():
        sets.append(whole.subset(~dirty[whole.rows], LEAK_FREE))
    if found is not None and not found[whole.rows].all() and found[whole.rows].any():
        sets.append(whole.subset(found[whole.rows], FOUND))
    return sets


def match_protocols(
    model: ScoredModel,
    part: Dataset,
    *,
    labels: LabelKind | None = None,
    mapping: Mapping[str, str] | None = None,
    needed: bool = True,
) -> tuple[dict[str, Protocol], tuple[str, ...]]:
    """Every head that the dataset has labels for, set beside them, and what is left out.

    Args:
        model: whose heads.
        part: the images that are scored.
        labels: as for `evaluate`.
        mapping: likewise.
        needed: one head at least must have labels.

    Raises:
        DataError: labels that do not fit, or no head that has any.
    """
    check_label_map(mapping or {}, model.heads)
    table: dict[str, Protocol] = {}
    notes: list[str] = []
    lacking: list[str] = []
    for head, names in model.heads.items():
        spec = model.specs.get(head)
        kind = labels or default_label_kind(head, names, part, spec)
        if not has_labels(part, kind):
            lacking.append(head)
            continue
        one = match_head(head, names, part, spec=spec, truth=labels, mapping=mapping)
        if not (one.truth >= 0).any():
            notes.append(f"{one.name}: no image of this split has a label for it")
            continue
        table[head] = one
        occurring = set(one.truth[one.truth >= 0].tolist())
        empty = [label for i, label in enumerate(one.labels) if i not in occurring]
        if one.note:
            notes.append(one.note)
        if empty:
            notes.append(f"{one.name}: no image of {', '.join(empty)}; recall says nothing of them")
    if not table and needed:
        columns = (("FER+ votes", part.votes), ("emotions", part.emotion), ("ages", part.age))
        have = [kind for kind, column in columns if column is not None]
        raise DataError(
            f"none of the model's heads ({', '.join(model.heads)}) has labels in this dataset, which has "
            f"{', '.join(have) or 'no label'}: give other data, choose labels with --labels, or compare its "
            "predictions between groups with --slices"
        )
    if lacking:
        notes.append(f"{', '.join(lacking)}: the dataset has no labels for it")
    return table, tuple(notes)


def score_predictions(given: SplitPredictions, *, samples: int = 0, seed: int = SEED) -> dict[str, Any]:
    """Every figure, JSON-ready.

    Beside the keys of `evaluate`: ``results[protocol]["intervals"]`` and ``"bootstrap"`` where ``samples`` > 0;
    ``"detection"``, and misses in ``results``, where a detector looked for the faces; ``"worst"`` (per division and
    figure the group where it is worst); ``"distributions"`` (mean predictions by group); ``"details"`` (reliability
    bars and risk–coverage curve of the official sets); ``"notes"``.
    """
    results: dict[str, Any] = {}
    details: dict[str, Any] = {}
    for one in given.scored:
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
    for one in given.official:
        seen = one[one.found]
        if seen.probabilities is not None and len(seen):
            bars = reliability_bins(seen.confidence, seen.correct)
            curve = selective_risk(seen.confidence, seen.correct)
            details[one.protocol] = {"reliability": [bar.to_dict() for bar in bars], "selective": curve}
    groups: dict[str, Any] = {}
    bad: dict[str, Any] = {}
    for one in given.official:
        tables = {by.title: group_scores(one, by, samples, seed) for by in given.groupings}
        if tables:
            groups[one.protocol] = tables
            bad[one.protocol] = {title: worst_groups(table) for title, table in tables.items()}
    document: dict[str, Any] = {
        "model": given.model,
        "dataset": given.dataset,
        "split": given.split,
        "flip": given.flip,
        "results": results,
        "groups": groups,
    }
    if bad:
        document["worst"] = bad
    if given.found is not None:
        document["detection"] = _detection(given, given.found, samples, seed)
    if given.told and given.groupings:
        document["distributions"] = _distributions(given, samples, seed)
    if samples:
        document["bootstrap"] = {"samples": samples, "seed": seed, "level": LEVEL}
    if given.notes:
        document["notes"] = list(given.notes)
    return document | {"details": details}


def _detection(given: SplitPredictions, found: NDArray[np.bool_], samples: int, seed: int) -> dict[str, Any]:
    tables = {by.title: group_miss_rates(found, by, samples, seed) for by in given.groupings}
    return {
        **given.detection,
        "faces": len(found),
        "missed": int((~found).sum()),
        "miss_rate": float((~found).mean()),
        "interval": mean_interval(~found, samples, seed) if samples else None,
        "groups": tables,
        "worst": {title: worst_groups(table) for title, table in tables.items()},
    }


def _distributions(given: SplitPredictions, samples: int, seed: int) -> dict[str, Any]:
    rows = np.arange(len(next(iter(given.probabilities.values())))) if given.probabilities else np.zeros(0, np.int64)
    seen = rows if given.found is None else rows[given.found]
    return {
        head: {
            by.title: group_distributions(values[seen], seen, given.heads[head], by, samples, seed)
            for by in given.groupings
        }
        for head, values in given.probabilities.items()
    }
