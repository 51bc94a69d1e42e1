"""Rules that say which images a dataset is better without, what each of them removes, and the dataset that is left.

Every rule measures a number and compares it with a threshold; docs/data.md says how the defaults were chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from mien import defaults
from mien.datasets.dataset import SPLITS, Dataset
from mien.datasets.exact_duplicates import image_ids
from mien.datasets.image_codec import parallel_map
from mien.datasets.mislabels import label_doubt
from mien.distributions import entropy, vote_shares
from mien.errors import InputError
from mien.labels import FERPLUS_COLUMNS

Sees = Callable[[NDArray[np.uint8]], bool]
"""RGB uint8 ``(h, w, 3)`` → whether a face is found in it."""
ImageCounts = Mapping[str, Mapping[str, int]]
"""Split → emotion → images."""

_NOT_A_FACE = FERPLUS_COLUMNS.index("NF")
_BLOCK = 256


@dataclass(frozen=True, slots=True)
class CleaningRule:
    """One reason to remove an image.

    Attributes:
        description: what it removes, one line.
        unit: of the number it measures.
        threshold: the default.
        drops: images "below" the threshold, "above" it, or with "at least" so much.
        measure: a dataset, and what tells whether a picture shows a face → ``(n,)`` numbers.
        needs: what the dataset, or the caller, must have.
        among_others: an image's number depends on the other images, so it is measured anew when some are gone.
    """

    description: str
    unit: str
    threshold: float
    drops: Literal["below", "above", "at least"]
    measure: Callable[[Dataset, Sees | None], NDArray[np.floating]]
    needs: Literal["", "emotion", "votes", "detector"] = ""
    among_others: bool = False

    def flags(self, numbers: NDArray[np.floating], threshold: float) -> NDArray[np.bool_]:
        """``(n,)`` bool: what goes."""
        if self.drops == "below":
            return np.asarray(numbers < threshold)
        return np.asarray(numbers > threshold if self.drops == "above" else numbers >= threshold)


@dataclass(frozen=True, slots=True)
class CleaningStep:
    """What one rule removed.

    Attributes:
        rule: a key of `CLEANING_RULES`.
        threshold: that was used.
        alone: images it removes from the whole dataset.
        in_sequence: images it removes from what the rules before it left.
    """

    rule: str
    threshold: float
    alone: ImageCounts
    in_sequence: ImageCounts


@dataclass(frozen=True, slots=True)
class CleaningResult:
    """A cleaned dataset and how it came about.

    Attributes:
        prepared: what is left, in the old order.
        index: ``(m,)`` which rows of the dataset before these are.
        removals: one a rule, in the order they were applied.
        before: images before.
    """

    prepared: Dataset
    index: NDArray[np.intp]
    removals: tuple[CleaningStep, ...]
    before: ImageCounts

    @property
    def after(self) -> ImageCounts:
        """Images that are left."""
        return count_images(self.prepared, np.ones(len(self.prepared), np.bool_))

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
            for one in self.removals
        ]
        return {
            "before": {"total": sum_counts(self.before), **self.before},
            "rules": rules,
            "after": {"total": sum_counts(self.after), **self.after},
            "notes": list(self.prepared.info.notes),
        }


def contrast(prepared: Dataset, sees: Sees | None = None) -> NDArray[np.floating]:
    """Standard deviation of each picture's brightness, 0–255."""
    return _each(prepared, lambda gray: float(gray.std()))


def sharpness(prepared: Dataset, sees: Sees | None = None) -> NDArray[np.floating]:
    """Variance of each picture's Laplacian (Pech-Pacheco et al. 2000): small where edges are blurred or faint."""
    return _each(prepared, lambda gray: float(cv2.Laplacian(gray, cv2.CV_64F).var()))


def not_a_face_votes(prepared: Dataset, sees: Sees | None = None) -> NDArray[np.floating]:
    """FER+ votes for "not a face"."""
    return _votes(prepared)[:, _NOT_A_FACE]


def vote_entropy(prepared: Dataset, sees: Sees | None = None) -> NDArray[np.floating]:
    """Entropy of each picture's FER+ votes, bits: 0 where all agree, 2 where four classes have equal shares."""
    return entropy(vote_shares(_votes(prepared)))


def contradicting_labels(prepared: Dataset, sees: Sees | None = None) -> NDArray[np.floating]:
    """How many emotions the exact copies of each picture carry besides its own."""
    if prepared.emotion is None:
        raise InputError(f"{prepared.info.name} has no emotions that could contradict")
    identity = image_ids(prepared)
    pairs = np.unique(np.stack([identity, prepared.emotion.astype(np.int64)], axis=1), axis=0)
    return np.asarray(np.bincount(pairs[:, 0], minlength=1)[identity] - 1, np.float64)


def earlier_copies(prepared: Dataset, sees: Sees | None = None) -> NDArray[np.floating]:
    """How many exact copies of each picture stand before it: those of test first, then validation, then train.

    So what is held out keeps its images, and training loses them.
    """
    place = np.array([SPLITS[::-1].index(str(split)) for split in prepared.split], np.int64)
    order = np.lexsort((np.arange(len(prepared)), place))
    seen: dict[int, int] = {}
    out = np.zeros(len(prepared), np.float64)
    identity = image_ids(prepared)
    for i in order.tolist():
        key = int(identity[i])
        out[i] = seen.get(key, 0)
        seen[key] = seen.get(key, 0) + 1
    return out


def _doubt(prepared: Dataset, sees: Sees | None) -> NDArray[np.floating]:
    return label_doubt(prepared)


def _seen(prepared: Dataset, sees: Sees | None) -> NDArray[np.floating]:
    if sees is None:
        raise InputError("the rule 'undetected' needs a detector: give one")
    gray = prepared.channels == 1
    return np.array([sees(np.repeat(image, 3, axis=2) if gray else image) for image in prepared.images], np.float64)


CLEANING_RULES: Mapping[str, CleaningRule] = {
    "constant": CleaningRule(
        "pictures of one brightness", "gray levels (standard deviation)", defaults.MIN_CONTRAST, "below", contrast
    ),
    "not-a-face": CleaningRule(
        "pictures in which raters saw no face",
        "votes for NF", float(defaults.NOT_A_FACE_VOTES), "at least", not_a_face_votes, needs="votes",
    ),
    "undetected": CleaningRule(
        "pictures in which a detector finds no face", "faces found", 1.0, "below", _seen, needs="detector"
    ),
    "blur": CleaningRule(
        "blurred or faint pictures", "(variance of the Laplacian)", defaults.MIN_SHARPNESS, "below", sharpness
    ),
    "ambiguous": CleaningRule(
        "pictures whose raters disagree",
        "bits (entropy of the votes)", defaults.MAX_VOTE_ENTROPY, "above", vote_entropy, "votes",
    ),
    "disagreement": CleaningRule(
        "pictures for which a classifier trained on others prefers another label",
        "times more probable", defaults.MAX_LABEL_ODDS, "above", _doubt, "emotion",
    ),
    "contradictory": CleaningRule(
        "pictures whose copies carry other labels",
        "other labels", 1.0, "at least", contradicting_labels, "emotion", True,
    ),
    "duplicate": CleaningRule(
        "copies; one stays, held-out before training",
        "copies before it", 1.0, "at least", earlier_copies, among_others=True,
    ),
}  # fmt: skip
"""Name → rule, in the order in which they are applied."""


def default_rules(prepared: Dataset) -> tuple[str, ...]:
    """The rules that suit a dataset: the raters' votes judge it where it carries any, else a classifier does."""
    left_out = (
        {"undetected", "disagreement"} if prepared.votes is not None else {"undetected", "not-a-face", "ambiguous"}
    )
    if prepared.emotion is None:
        left_out |= {"disagreement", "contradictory"}
    return tuple(name for name in CLEANING_RULES if name not in left_out)


def clean_dataset(
    prepared: Dataset,
    rules: Sequence[str] | None = None,
    thresholds: Mapping[str, float] | None = None,
    *,
    sees: Sees | None = None,
    said: Callable[[str], None] = lambda rule: None,
) -> CleaningResult:
    """Apply rules, in the order of `CLEANING_RULES`.

    Args:
        prepared: the dataset.
        rules: keys of `CLEANING_RULES`; None is `default_rules`.
        thresholds: rule → another threshold than its default.
        sees: tells whether a picture shows a face; the rule "undetected" needs it.
        said: called with the name of each rule before it is measured.

    Returns:
        The images that no rule removes; those removed are counted by rule in ``info.dropped``.

    Raises:
        InputError: an unknown rule, a threshold of a rule that is not applied, or a rule that needs what the dataset
            lacks.
    """
    chosen = default_rules(prepared) if rules is None else tuple(name for name in CLEANING_RULES if name in rules)
    _check(prepared, chosen, rules or (), thresholds or {}, sees)
    reasons = np.full(len(prepared), "", f"<U{max(map(len, CLEANING_RULES)) + 9}")
    removals = []
    for name in chosen:
        said(name)
        rule = CLEANING_RULES[name]
        threshold = (thresholds or {}).get(name, rule.threshold)
        left = reasons == ""
        flagged = rule.flags(rule.measure(prepared, sees), threshold)
        now = flagged & left
        if rule.among_others and not left.all():
            now = np.zeros(len(prepared), np.bool_)
            now[left] = rule.flags(rule.measure(prepared[left], sees), threshold)
        reasons[now] = f"cleaning: {name}"
        removals.append(CleaningStep(name, threshold, count_images(prepared, flagged), count_images(prepared, now)))
    kept = prepared.dropping(reasons)
    said_rules = ", ".join(f"{one.rule} {CLEANING_RULES[one.rule].drops} {one.threshold:g}" for one in removals)
    kept = replace(kept, info=replace(kept.info, notes=(*kept.info.notes, f"cleaned by {said_rules or 'no rule'}")))
    everything = count_images(prepared, np.ones(len(prepared), np.bool_))
    return CleaningResult(kept, np.flatnonzero(reasons == ""), tuple(removals), everything)


def count_images(prepared: Dataset, mask: NDArray[np.bool_]) -> ImageCounts:
    """Images of a mask by split and emotion ("all" where the dataset has no emotions)."""
    names: tuple[str, ...] = ("all",)
    codes = np.zeros(len(prepared), np.int64)
    if prepared.emotion is not None and prepared.taxonomy is not None:
        present = np.unique(prepared.emotion)
        names = tuple(prepared.taxonomy.names[code] for code in present)
        codes = np.searchsorted(present, prepared.emotion)
    counts = {split: np.bincount(codes[mask & (prepared.split == split)], minlength=len(names)) for split in SPLITS}
    return {split: dict(zip(names, row.tolist(), strict=True)) for split, row in counts.items()}


def sum_counts(table: ImageCounts) -> int:
    """All images of a table."""
    return sum(sum(row.values()) for row in table.values())


def _check(
    prepared: Dataset,
    chosen: Sequence[str],
    asked: Sequence[str],
    thresholds: Mapping[str, float],
    sees: Sees | None,
) -> None:
    unknown = [name for name in (*asked, *thresholds) if name not in CLEANING_RULES]
    if unknown:
        raise InputError(f"no cleaning rule {unknown[0]!r}: there are {', '.join(CLEANING_RULES)}")
    idle = [name for name in thresholds if name not in chosen]
    if idle:
        raise InputError(f"a threshold for {idle[0]!r}, which is not among the rules {', '.join(chosen)}: add it there")
    have = {"": True, "emotion": prepared.emotion is not None, "votes": prepared.votes is not None}
    have["detector"] = sees is not None
    for name in chosen:
        if not have[CLEANING_RULES[name].needs]:
            what = {"emotion": "emotions", "votes": "FER+ votes", "detector": "a detector"}[CLEANING_RULES[name].needs]
            raise InputError(f"the rule {name!r} needs {what}: leave it out, or give what it needs")


def _votes(prepared: Dataset) -> NDArray[np.float64]:
    if prepared.votes is None:
        raise InputError(f"{prepared.info.name} carries no FER+ votes: prepare it with fer2013new.csv")
    return prepared.votes.astype(np.float64)


def _each(prepared: Dataset, measure: Callable[[NDArray[np.uint8]], float]) -> NDArray[np.float64]:
    """One number a picture, of its gray version, on threads."""
    images, gray = prepared.images, prepared.channels == 1

    def block(start: int) -> list[float]:
        part = images[start : start + _BLOCK]
        return [measure(one[..., 0] if gray else np.asarray(cv2.cvtColor(one, cv2.COLOR_RGB2GRAY))) for one in part]

    numbers = [number for part in parallel_map(block, range(0, len(images), _BLOCK)) for number in part]
    return np.array(numbers, np.float64)
