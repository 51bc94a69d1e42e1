"""Which labels of a dataset a head is scored on, and what to do where the two do not fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray

from mien.datasets import ferplus
from mien.datasets.dataset import Dataset
from mien.errors import DataError, InputError
from mien.evaluation.predictions import HeadPredictions
from mien.labels import FERPLUS, FERPLUS_7, OWN, age_bin_names, canonical
from mien.training.config import HeadSpec

LabelKind = Literal["ferplus", "emotion", "age"]
"""FER+ votes, the dataset's own emotion, or the age range."""
LEAVE_OUT = "-"
"""What a label is mapped to that is not to be scored."""


@dataclass(frozen=True, slots=True, eq=False)
class HeadProtocol:
    """A head matched with labels of a dataset.

    Attributes:
        name: what the figures are called.
        labels: k labels that are scored.
        merge: ``(head's labels, k)`` float32 of ones and zeros: which of the head's outputs count as which label.
        truth: ``(n,)`` int64, -1 where an image is not scored.
        raters: ``(n, k)`` float32 distributions of FER+ votes, None without votes.
        ordered: the labels are a scale.
        note: what is left out, for people; empty when nothing.
    """

    name: str
    labels: tuple[str, ...]
    merge: NDArray[np.float32]
    truth: NDArray[np.int64]
    raters: NDArray[np.float32] | None
    ordered: bool
    note: str = ""

    def predictions(
        self, probabilities: NDArray[np.float32], found: NDArray[np.bool_] | None = None
    ) -> HeadPredictions:
        """The head's ``(n, labels)`` probabilities on the images that have a label.

        Args:
            probabilities: of every image.
            found: ``(n,)``, False where the detector missed the face; None when all were found.
        """
        rows = np.flatnonzero(self.truth >= 0)
        merged = self.merged(probabilities[rows])
        predicted = merged.argmax(axis=1)
        if found is not None:
            predicted[~found[rows]] = -1
            merged[~found[rows]] = 0.0
        return HeadPredictions(
            protocol=self.name,
            labels=self.labels,
            truth=self.truth[rows],
            predicted=predicted.astype(np.int64),
            probabilities=merged,
            rows=rows.astype(np.int64),
            raters=None if self.raters is None else self.raters[rows],
            ordered=self.ordered,
        )

    def merged(self, probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
        """The head's probabilities over `labels`: ``(n, labels of the head)`` → ``(n, k)``."""
        if np.array_equal(self.merge, np.eye(len(self.merge), dtype=np.float32)):
            return probabilities.copy()
        merged = probabilities @ self.merge
        total = merged.sum(axis=1, keepdims=True)
        even = np.full_like(merged, 1 / merged.shape[1])
        return np.asarray(np.divide(merged, total, out=even, where=total > 0), np.float32)


def parse_label_map(items: Sequence[str]) -> dict[str, str]:
    """``("happiness=happy", "contempt=-")`` → a mapping; `InputError` for an item of another form."""
    table = {}
    for item in items:
        # names of own classes may hold the sign
        label, sign, meaning = (part.strip() for part in item.rpartition("="))
        if not (label and sign and meaning):
            raise InputError(
                f"--map {item!r} is not of the form LABEL=MEANING",
                advice="write happiness=happy, or contempt=- to leave a label out",
            )
        table[label.lower()] = meaning
    return table


def check_label_map(mapping: Mapping[str, str], heads: Mapping[str, Sequence[str]]) -> None:
    """Refuse a mapping of labels that no head has."""
    known = list(dict.fromkeys(label for labels in heads.values() for label in labels))
    for label in mapping:
        if label not in [name.lower() for name in known]:
            raise InputError(f"--map {label}=…: the model has no label {label!r}, only {', '.join(known)}")


def default_label_kind(head: str, labels: Sequence[str], data: Dataset, spec: HeadSpec | None) -> LabelKind:
    """The kind of labels that a head predicts."""
    if spec is not None:
        return cast("LabelKind", spec.target) if spec.target in ("emotion", "age") else "ferplus"
    if head == "ferplus":
        return "ferplus"
    if set(labels) <= set(age_bin_names()):
        return "age"
    plain = head != "fer2013" and data.votes is not None
    return "ferplus" if plain and (data.emotion is None or "contempt" in labels) else "emotion"


def has_labels(data: Dataset, kind: LabelKind) -> bool:
    """Whether the dataset has such labels at all."""
    return {"ferplus": data.votes, "emotion": data.emotion, "age": data.age}[kind] is not None


def match_head(
    head: str,
    labels: Sequence[str],
    data: Dataset,
    *,
    spec: HeadSpec | None = None,
    kind: LabelKind | None = None,
    mapping: Mapping[str, str] | None = None,
    rule: str | None = None,
) -> HeadProtocol:
    """Match a head with the labels of a dataset.

    Args:
        head: its name.
        labels: its labels, in order.
        data: the images of one split.
        spec: the head in the recipe that trained it, where there is one.
        kind: which labels to score on; None for those that the head predicts.
        mapping: label of the model, in lower case → label of the dataset, or "-" to leave it out.
        rule: key of `mien.datasets.ferplus.SCORING_RULES` for FER+ votes; None for the majority, or for that of
            the recipe. One of seven classes leaves the model's contempt out.

    Raises:
        DataError: the dataset has no such labels, or lacks a label of the head; the message names it and how to map it.
    """
    own = default_label_kind(head, labels, data, spec)
    name = head if kind in (None, own) else f"{head} on {kind}"
    kind = kind or own
    if rule is not None:
        name = f"{name} {rule}"
        if ferplus.SCORING_RULES[rule].classes == 7:
            mapping = {"contempt": LEAVE_OUT} | dict(mapping or {})
    if not has_labels(data, kind):
        raise DataError(
            f"head {head!r} is scored on {_KINDS[kind]}, and {data.info.name} has none", code="labels-missing"
        )
    classes_of_its_own = data.taxonomy.names if data.taxonomy and data.taxonomy.name == OWN else ()
    meant = _meanings(head, labels, kind, mapping or {}, classes_of_its_own)
    classes = 8 if "contempt" in meant else 7
    known = {
        "ferplus": FERPLUS.names if classes == 8 else FERPLUS_7.names,
        "emotion": data.taxonomy.names if data.taxonomy else (),
        "age": age_bin_names(),
    }[kind]
    unknown = [label for label, meaning in zip(labels, meant, strict=True) if meaning not in (*known, LEAVE_OUT)]
    if unknown:
        raise DataError(
            f"head {head!r} predicts {', '.join(unknown)}, which {data.info.name} does not label (it has "
            f"{', '.join(known)})",
            advice=f"give data with the model's labels; `mien evaluate` can also leave one out "
            f"(--map {unknown[0]}={LEAVE_OUT}) or count it as another (--map {unknown[0]}={known[0]})",
            code="labels-differ",
        )
    kept = tuple(label for label in dict.fromkeys(meant) if label != LEAVE_OUT)
    if len(kept) < 2:
        raise InputError(f"--map leaves {len(kept)} label of head {head!r}", advice="keep two or more")
    if kind == "age":
        kept = tuple(label for label in known if label in kept)
    merge = np.zeros((len(labels), len(kept)), np.float32)
    for i, meaning in enumerate(meant):
        if meaning != LEAVE_OUT:
            merge[i, kept.index(meaning)] = 1.0
    index, raters = _index(data, kind, classes, spec, rule)
    columns = np.array([kept.index(label) if label in kept else -1 for label in known] + [-1], np.int64)
    truth = columns[index]  # -1, no label, takes the last one
    absent = [label for label in known if label not in kept]
    lost = int(((index >= 0) & (truth < 0)).sum())
    return HeadProtocol(
        name=name,
        labels=kept,
        merge=merge,
        truth=truth,
        raters=None if raters is None else _only(raters, known, kept),
        ordered=kind == "age",
        note=f"{name}: the model does not predict {', '.join(absent)}; {lost:,} images are left out" if lost else "",
    )


_KINDS = {"ferplus": "FER+ votes", "emotion": "emotions", "age": "age ranges"}


def _meanings(
    head: str, labels: Sequence[str], kind: LabelKind, mapping: Mapping[str, str], own: Sequence[str]
) -> list[str]:
    """What each label of the head is called by the dataset; ``own`` are its names where they are no emotions."""
    meant = []
    for label in labels:
        text = mapping.get(label.lower(), label)
        if text == LEAVE_OUT or kind == "age" or (kind == "emotion" and text in own):
            meant.append(text)
            continue
        try:
            meant.append(canonical(text))
        except InputError:
            known, what = (
                (own, "class of the dataset") if kind == "emotion" and own else (FERPLUS.names, "known emotion")
            )
            example = "happy" if "happy" in known else known[0]
            raise DataError(
                f"head {head!r} has the label {text!r}, which is no {what} ({', '.join(known)})",
                advice=f"give data with the model's labels; `mien evaluate` can also count it as one "
                f"(--map {label}={example}) or leave it out (--map {label}={LEAVE_OUT})",
                code="labels-differ",
            ) from None
    return meant


def _index(
    data: Dataset, kind: LabelKind, classes: int, spec: HeadSpec | None, rule: str | None
) -> tuple[NDArray[np.int64], NDArray[np.float32] | None]:
    """``(n,)`` class numbers, -1 where there is none, and the raters' ``(n, classes)`` distributions."""
    if kind == "ferplus" and data.votes is not None:
        raters = ferplus.vote_targets(data.votes, "distribution", classes).targets
        if rule is not None:
            labels = ferplus.scoring_labels(data.votes, rule)
            return np.where(labels < classes, labels, -1), raters
        target: ferplus.TargetRule = "majority"
        if spec is not None and spec.scored_on == "target" and spec.target in ferplus.TARGET_RULES:
            target = spec.target
        targets = ferplus.vote_targets(data.votes, target, classes)
        return np.where(targets.keep, targets.targets.argmax(axis=1), -1).astype(np.int64), raters
    column = data.emotion if kind == "emotion" else data.age
    if column is None:
        raise DataError(f"{data.info.name} has no {_KINDS[kind]}")
    return column.astype(np.int64), None


def _only(raters: NDArray[np.float32], known: Sequence[str], labels: Sequence[str]) -> NDArray[np.float32]:
    """Raters' distributions over the labels that are scored, in their order; zeros where no vote is left."""
    votes = raters[:, [known.index(label) for label in labels]]
    total = votes.sum(axis=1, keepdims=True)
    return np.asarray(np.divide(votes, total, out=np.zeros_like(votes), where=total > 0), np.float32)
