"""Rules that remove images from a dataset, what each of them removes, and the dataset that is left.

Every rule compares a number (`mien.datasets.quality_measures`) with a threshold; docs/data.md shows how the defaults
were chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mien import defaults
from mien.datasets.dataset import SPLITS, Dataset
from mien.datasets.mislabels import label_doubt
from mien.datasets.quality_measures import (
    FaceCheck,
    contradicting_labels,
    contrast,
    detected_faces,
    earlier_copies,
    not_a_face_votes,
    sharpness,
    vote_entropy,
)
from mien.errors import InputError

ImageCounts = Mapping[str, Mapping[str, int]]
"""Split → emotion → number of images."""


@dataclass(frozen=True, slots=True)
class CleaningRule:
    """One reason to remove an image.

    Attributes:
        description: what it removes, one line.
        unit: of the measured number.
        threshold: the default.
        drops: images "below" the threshold, "above" it, or "at least" at it.
        measure: a dataset, and a face check where the rule needs one → ``(n,)`` numbers.
        needs: what the dataset, or the caller, must provide.
        depends_on_others: an image's number depends on the other images, so it is measured again when some are gone.

    Examples:
        >>> rule = CLEANING_RULES["constant"]
        >>> rule.description, rule.flags(np.array([0.0, 50.0]), rule.threshold).tolist()
        ('images of one brightness', [True, False])
    """

    description: str
    unit: str
    threshold: float
    drops: Literal["below", "above", "at least"]
    measure: Callable[[Dataset, FaceCheck | None], NDArray[np.floating]]
    needs: Literal["", "emotion", "votes", "detector"] = ""
    depends_on_others: bool = False

    def flags(self, numbers: NDArray[np.floating], threshold: float) -> NDArray[np.bool_]:
        """``(n,)`` bool: the images to remove.

        Args:
            numbers: ``(n,)``, as from ``measure``.
            threshold: limit in the rule's unit.
        """
        if self.drops == "below":
            return np.asarray(numbers < threshold)
        return np.asarray(numbers > threshold if self.drops == "above" else numbers >= threshold)


@dataclass(frozen=True, slots=True)
class CleaningStep:
    """What one rule removed.

    Attributes:
        rule: a key of `CLEANING_RULES`.
        threshold: the threshold that was used.
        alone: images that it removes from the whole dataset.
        in_sequence: images that it removes from those that the rules before it left.

    Examples:
        >>> step = clean_dataset(dataset, ["constant"]).steps[0]
        >>> step.rule, sum_counts(step.alone)
        ('constant', 0)
    """

    rule: str
    threshold: float
    alone: ImageCounts
    in_sequence: ImageCounts


@dataclass(frozen=True, slots=True)
class CleaningResult:
    """A cleaned dataset, and what was removed.

    Attributes:
        dataset: the images that are left, in the old order.
        index: ``(m,)`` their positions in the dataset before.
        steps: one per rule, in the order in which they were applied.
        before: number of images before.

    Examples:
        >>> cleaned = clean_dataset(dataset, ["constant"])
        >>> len(cleaned.dataset), sum_counts(cleaned.after), list(cleaned.to_dict())
        (70, 70, ['before', 'rules', 'after', 'notes'])
    """

    dataset: Dataset
    index: NDArray[np.intp]
    steps: tuple[CleaningStep, ...]
    before: ImageCounts

    @property
    def after(self) -> ImageCounts:
        """Number of images that are left."""
        return count_images(self.dataset)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: before, what each rule removes alone and in sequence, after."""
        rules = [
            {
                "rule": one.rule,
                "description": CLEANING_RULES[one.rule].description,
                "drops": f"{CLEANING_RULES[one.rule].drops} {one.threshold:g} {CLEANING_RULES[one.rule].unit}",
                "threshold": one.threshold,
                "alone": {"total": sum_counts(one.alone), **one.alone},
                "in_sequence": {"total": sum_counts(one.in_sequence), **one.in_sequence},
            }
            for one in self.steps
        ]
        return {
            "before": {"total": sum_counts(self.before), **self.before},
            "rules": rules,
            "after": {"total": sum_counts(self.after), **self.after},
            "notes": list(self.dataset.info.notes),
        }


def _detected(dataset: Dataset, has_face: FaceCheck | None) -> NDArray[np.floating]:
    if has_face is None:
        raise InputError("the rule 'undetected' needs a detector", advice="give one")
    return detected_faces(dataset, has_face).astype(np.float64)


def _without_detector(measure: Callable[[Dataset], NDArray[np.floating]]) -> Callable[..., NDArray[np.floating]]:
    return lambda dataset, has_face=None: measure(dataset)


CLEANING_RULES: Mapping[str, CleaningRule] = {
    "constant": CleaningRule(
        "images of one brightness", "gray levels (standard deviation)", defaults.MIN_CONTRAST, "below",
        _without_detector(contrast),
    ),
    "not-a-face": CleaningRule(
        "images that raters call no face", "votes for NF", float(defaults.NOT_A_FACE_VOTES), "at least",
        _without_detector(not_a_face_votes), needs="votes",
    ),
    "undetected": CleaningRule(
        "images in which a detector finds no face", "faces found", 1.0, "below", _detected, needs="detector"
    ),
    "blur": CleaningRule(
        "blurred or faint images", "(variance of the Laplacian)", defaults.MIN_SHARPNESS, "below",
        _without_detector(sharpness),
    ),
    "ambiguous": CleaningRule(
        "images on which raters disagree", "bits (entropy of the votes)", defaults.MAX_VOTE_ENTROPY, "above",
        _without_detector(vote_entropy), needs="votes",
    ),
    "disagreement": CleaningRule(
        "images for which a classifier trained on others prefers another label", "times more probable",
        defaults.MAX_LABEL_ODDS, "above", _without_detector(label_doubt), needs="emotion",
    ),
    "contradictory": CleaningRule(
        "images whose copies have other labels", "other labels", 1.0, "at least",
        _without_detector(contradicting_labels), needs="emotion", depends_on_others=True,
    ),
    "duplicate": CleaningRule(
        "copies; one stays, held-out before training", "copies before it", 1.0, "at least",
        _without_detector(earlier_copies), depends_on_others=True,
    ),
}  # fmt: skip
"""Name → rule, in the order in which they are applied.

Examples:
    >>> list(CLEANING_RULES)
    ['constant', 'not-a-face', 'undetected', 'blur', 'ambiguous', 'disagreement', 'contradictory', 'duplicate']
"""


def default_rules(dataset: Dataset) -> tuple[str, ...]:
    """The rules that suit a dataset: those on raters' votes where it has any, else the classifier's."""
    left_out = (
        {"undetected", "disagreement"} if dataset.votes is not None else {"undetected", "not-a-face", "ambiguous"}
    )
    if dataset.emotion is None:
        left_out |= {"disagreement", "contradictory"}
    return tuple(name for name in CLEANING_RULES if name not in left_out)


def clean_dataset(
    dataset: Dataset,
    rules: Sequence[str] | None = None,
    thresholds: Mapping[str, float] | None = None,
    *,
    has_face: FaceCheck | None = None,
    progress: Callable[[str], None] = lambda rule: None,
) -> CleaningResult:
    """Apply rules, in the order of `CLEANING_RULES`.

    Args:
        dataset: the dataset.
        rules: keys of `CLEANING_RULES`; None is `default_rules`.
        thresholds: rule → a threshold other than its default.
        has_face: detects a face in an image; the rule "undetected" needs it.
        progress: called with the name of each rule before it is measured.

    Returns:
        The images that no rule removes; the others are counted by rule in ``info.dropped``.

    Raises:
        InputError: an unknown rule, a threshold of a rule that is not applied, or a rule that needs what the dataset
            lacks.

    Examples:
        >>> black = np.zeros_like(dataset.images[:1])
        >>> cleaned = clean_dataset(replace(dataset, images=np.concatenate([black, dataset.images[1:]])), ["constant"])
        >>> cleaned.dataset.info.dropped
        (('cleaning: constant', 1),)
    """
    selected = default_rules(dataset) if rules is None else tuple(name for name in CLEANING_RULES if name in rules)
    _check(dataset, selected, rules or (), thresholds or {}, has_face)
    reasons = np.full(len(dataset), "", f"<U{max(map(len, CLEANING_RULES)) + 9}")
    steps = []
    for name in selected:
        progress(name)
        rule = CLEANING_RULES[name]
        threshold = (thresholds or {}).get(name, rule.threshold)
        left = reasons == ""
        flagged = rule.flags(rule.measure(dataset, has_face), threshold)
        now = flagged & left
        if rule.depends_on_others and not left.all():
            now = np.zeros(len(dataset), np.bool_)
            now[left] = rule.flags(rule.measure(dataset[left], has_face), threshold)
        reasons[now] = f"cleaning: {name}"
        steps.append(CleaningStep(name, threshold, count_images(dataset, flagged), count_images(dataset, now)))
    kept = dataset.drop(reasons)
    note = ", ".join(f"{one.rule} {CLEANING_RULES[one.rule].drops} {one.threshold:g}" for one in steps)
    kept = replace(kept, info=replace(kept.info, notes=(*kept.info.notes, f"cleaned by {note or 'no rule'}")))
    return CleaningResult(kept, np.flatnonzero(reasons == ""), tuple(steps), count_images(dataset))


def count_images(dataset: Dataset, mask: NDArray[np.bool_] | None = None) -> ImageCounts:
    """Number of images by split and emotion ("all" where the dataset has no emotions), of a mask or of all."""
    if mask is None:
        mask = np.ones(len(dataset), np.bool_)
    names: tuple[str, ...] = ("all",)
    codes = np.zeros(len(dataset), np.int64)
    if dataset.emotion is not None and dataset.taxonomy is not None:
        present = np.unique(dataset.emotion)
        names = tuple(dataset.taxonomy.names[code] for code in present)
        codes = np.searchsorted(present, dataset.emotion)
    counts = {split: np.bincount(codes[mask & (dataset.split == split)], minlength=len(names)) for split in SPLITS}
    return {split: dict(zip(names, row.tolist(), strict=True)) for split, row in counts.items()}


def sum_counts(counts: ImageCounts) -> int:
    """Number of images in all splits and emotions."""
    return sum(sum(row.values()) for row in counts.values())


def _check(
    dataset: Dataset,
    selected: Sequence[str],
    given: Sequence[str],
    thresholds: Mapping[str, float],
    has_face: FaceCheck | None,
) -> None:
    unknown = [name for name in (*given, *thresholds) if name not in CLEANING_RULES]
    if unknown:
        raise InputError(f"no cleaning rule {unknown[0]!r}: there are {', '.join(CLEANING_RULES)}")
    unused = [name for name in thresholds if name not in selected]
    if unused:
        raise InputError(
            f"a threshold for {unused[0]!r}, which is not among the rules {', '.join(selected)}", advice="add it there"
        )
    available = {"": True, "emotion": dataset.emotion is not None, "votes": dataset.votes is not None}
    available["detector"] = has_face is not None
    for name in selected:
        if not available[CLEANING_RULES[name].needs]:
            what = {"emotion": "emotions", "votes": "FER+ votes", "detector": "a detector"}[CLEANING_RULES[name].needs]
            raise InputError(f"the rule {name!r} needs {what}", advice="leave it out, or give what it needs")
