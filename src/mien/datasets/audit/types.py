"""What an audit is asked, and what it answers: one section a check."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien import defaults
from mien.datasets.dataset import SPLITS, Dataset
from mien.datasets.exact_duplicates import image_ids
from mien.datasets.image_features import gray48
from mien.datasets.near_duplicates import MAX_BITS, MIN_SIMILARITY, DuplicatePairs, near_duplicates
from mien.labels import age_bin_names

Sees = Callable[[NDArray[np.uint8]], bool]
"""RGB uint8 ``(h, w, 3)`` → whether a face is found in it."""


@dataclass(frozen=True, slots=True)
class AuditOptions:
    """Numbers that checks compare with.

    Attributes:
        bits: of 64 in which the hashes of near duplicates differ at most.
        similarity: least cosine of the HOG vectors of near duplicates.
        constant: least standard deviation of the gray levels, 0–255.
        blur: least variance of the Laplacian at 48×48 pixels.
        not_a_face: FER+ votes for "not a face".
        seed: of the folds of the classifier that judges labels.
    """

    bits: int = MAX_BITS
    similarity: float = MIN_SIMILARITY
    constant: float = defaults.MIN_CONTRAST
    blur: float = defaults.MIN_SHARPNESS
    not_a_face: int = defaults.NOT_A_FACE_VOTES
    seed: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class LabelModel:
    """What something that learned from other images thinks of the labels.

    Attributes:
        name: who judges, for a reader.
        labels: of the columns.
        probabilities: ``(n, len(labels))``; rows of images that are not judged hold anything.
        judged: ``(n,)`` bool.
        caution: what to keep in mind, one sentence; "" for nothing.
    """

    name: str
    labels: tuple[str, ...]
    probabilities: NDArray[np.floating]
    judged: NDArray[np.bool_]
    caution: str = ""


@dataclass(frozen=True, slots=True)
class AuditFinding:
    """One thing that was found.

    Attributes:
        index: positions in the file of the images concerned.
        says: one line.
        facts: JSON-ready figures.
    """

    index: tuple[int, ...]
    says: str
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AuditTable:
    """A table: texts and whole or real numbers."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


@dataclass(frozen=True, slots=True, eq=False)
class CheckReport:
    """What one check says.

    Attributes:
        lines: sentences for a reader.
        figures: JSON-ready numbers.
        flagged: ``(n,)`` bool, images concerned; None for a check that is about the whole.
        findings: one by one, the gravest first.
        grids: tables.
    """

    lines: tuple[str, ...] = ()
    figures: Mapping[str, Any] = field(default_factory=dict)
    flagged: NDArray[np.bool_] | None = None
    findings: tuple[AuditFinding, ...] = ()
    grids: tuple[AuditTable, ...] = ()


class AuditContext:
    """A dataset under audit, and what several checks need to know of it, computed once."""

    def __init__(self, prepared: Dataset, settings: AuditOptions, judge: LabelModel | None, sees: Sees | None) -> None:
        self.prepared = prepared
        self.settings = settings
        self.judge = judge
        self.sees = sees
        self.near_wanted = True

    @classmethod
    def of(cls, prepared: Dataset) -> AuditContext:
        """Just the dataset."""
        return cls(prepared, AuditOptions(), None, None)

    @cached_property
    def gray(self) -> NDArray[np.uint8]:
        """``(n, 48, 48)``."""
        return gray48(self.prepared.images)

    @cached_property
    def identity(self) -> NDArray[np.int64]:
        """``(n,)`` equal for exact copies."""
        return image_ids(self.prepared)

    @cached_property
    def first(self) -> NDArray[np.intp]:
        """``(distinct,)`` position of the first copy of each distinct image."""
        return np.unique(self.identity, return_index=True)[1]

    @cached_property
    def copies(self) -> list[NDArray[np.intp]]:
        """Positions of all copies of each distinct image."""
        order = np.argsort(self.identity, kind="stable")
        return np.split(order, np.cumsum(np.bincount(self.identity))[:-1])

    @cached_property
    def pairs(self) -> DuplicatePairs:
        """Near duplicates among the distinct images, by identity."""
        gray = self.gray[self.first][..., None]
        return near_duplicates(gray, bits=self.settings.bits, similarity=self.settings.similarity)

    @cached_property
    def labels(self) -> tuple[str, NDArray[np.int64], tuple[str, ...]] | None:
        """What is labelled ("emotion" or "age"), ``(n,)`` codes and their names; None for a dataset without either."""
        prepared = self.prepared
        if prepared.emotion is not None and prepared.taxonomy is not None:
            return "emotion", prepared.emotion.astype(np.int64), prepared.taxonomy.names
        if prepared.age is not None:
            return "age", prepared.age.astype(np.int64), age_bin_names()
        return None

    def label(self, i: int) -> str:
        """Name of one image's label; "" for none."""
        if self.labels is None:
            return ""
        return self.labels[2][int(self.labels[1][i])]

    def by_split(self, mask: NDArray[np.bool_]) -> dict[str, int]:
        """Images of a mask by split, and all."""
        counts = {split: int((mask & (self.prepared.split == split)).sum()) for split in SPLITS}
        return {**counts, "total": int(mask.sum())}

    def mask(self, rows: NDArray[np.intp] | list[int]) -> NDArray[np.bool_]:
        """``(n,)`` bool, true at these positions."""
        out = np.zeros(len(self.prepared), np.bool_)
        out[rows] = True
        return out


def count_text(count: int, one: str, many: str | None = None) -> str:
    """``1 image``, ``1,234 images``."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
