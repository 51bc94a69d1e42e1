"""The values of an audit: its options, the dataset with what checks share, and the report of each check."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mien import defaults
from mien.datasets.dataset import SPLITS, Dataset
from mien.datasets.exact_duplicates import first_copies, image_ids
from mien.datasets.image_features import gray48
from mien.datasets.near_duplicates import DuplicatePairs, near_duplicates
from mien.datasets.quality_measures import FaceCheck
from mien.labels import age_bin_names


@dataclass(frozen=True, slots=True)
class AuditOptions:
    """Thresholds of the checks.

    Attributes:
        bits: maximum bits, of 64, in which the hashes of near duplicates differ.
        similarity: minimum cosine of the HOG vectors of near duplicates.
        constant: minimum standard deviation of the gray levels, 0–255.
        blur: minimum variance of the Laplacian at 48×48 pixels.
        not_a_face: FER+ votes for "not a face" from which on an image counts as one without a face.
        seed: of the folds of the classifier that checks labels.

    Examples:
        >>> from mien.datasets.audit import audit_dataset
        >>> audit_dataset(dataset, ["blurred"], AuditOptions(blur=10.0))["blurred"].flagged.tolist().count(True)
        0
    """

    bits: int = defaults.MAX_HASH_BITS
    similarity: float = defaults.MIN_SIMILARITY
    constant: float = defaults.MIN_CONTRAST
    blur: float = defaults.MIN_SHARPNESS
    not_a_face: int = defaults.NOT_A_FACE_VOTES
    seed: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class LabelModel:
    """Predictions that labels are checked against, by a model that was trained on other images.

    Attributes:
        name: of the model, for people.
        labels: of the columns.
        probabilities: ``(n, len(labels))``; rows of images without a prediction hold anything.
        predicted: ``(n,)`` bool, the images with a prediction.
        caveat: one sentence on the limits of these predictions; "" for none.

    Examples:
        >>> sure = np.eye(7, dtype=np.float32)[dataset.emotion]
        >>> model = LabelModel("right every time", dataset.taxonomy.names, sure, np.ones(len(dataset), bool))
        >>> model.probabilities.shape
        (70, 7)
    """

    name: str
    labels: tuple[str, ...]
    probabilities: NDArray[np.floating]
    predicted: NDArray[np.bool_]
    caveat: str = ""


@dataclass(frozen=True, slots=True)
class AuditFinding:
    """One problem.

    Attributes:
        index: positions in the dataset of the images concerned.
        text: one line.
        facts: JSON-ready figures.

    Examples:
        >>> AuditFinding((3, 8), "two copies", {"distance": 0}).index
        (3, 8)
    """

    index: tuple[int, ...]
    text: str
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AuditTable:
    """A table of texts and numbers.

    Attributes:
        title: one line.
        header: names of the columns.
        rows: one value per column.

    Examples:
        >>> AuditTable("Images", ("split", "images"), (("train", 42),)).rows
        (('train', 42),)
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


@dataclass(frozen=True, slots=True, eq=False)
class CheckReport:
    """What one check found.

    Attributes:
        summary: sentences for people.
        figures: JSON-ready numbers.
        flagged: ``(n,)`` bool, images concerned; None for a check about the whole dataset.
        findings: one by one, the most serious first.
        tables: for people.

    Examples:
        >>> from mien.datasets.audit import audit_dataset
        >>> balance = audit_dataset(dataset, ["balance"])["balance"]
        >>> balance.flagged is None, len(balance.tables) > 0
        (True, True)
    """

    summary: tuple[str, ...] = ()
    figures: Mapping[str, Any] = field(default_factory=dict)
    flagged: NDArray[np.bool_] | None = None
    findings: tuple[AuditFinding, ...] = ()
    tables: tuple[AuditTable, ...] = ()


class LabelColumn(NamedTuple):
    """The labels of a dataset.

    Attributes:
        kind: "emotion" or "age".
        codes: ``(n,)`` int64, indices in ``names``.
        names: of the labels.
    """

    kind: str
    codes: NDArray[np.int64]
    names: tuple[str, ...]


class AuditContext:
    """A dataset under audit, and what several checks need of it, computed once.

    Args:
        dataset: the dataset.
        options: thresholds.
        label_model: predictions that labels are checked against; None trains a classifier by cross-validation.
        has_face: detects a face in an image; None for no detector.

    Attributes:
        near_duplicates_wanted: whether near duplicates are searched; the search is the slowest part of an audit.
    """

    def __init__(
        self,
        dataset: Dataset,
        options: AuditOptions | None = None,
        label_model: LabelModel | None = None,
        has_face: FaceCheck | None = None,
    ) -> None:
        self.dataset = dataset
        self.options = options or AuditOptions()
        self.label_model = label_model
        self.has_face = has_face
        self.near_duplicates_wanted = True

    @cached_property
    def gray(self) -> NDArray[np.uint8]:
        """``(n, 48, 48)`` gray images."""
        return gray48(self.dataset.images)

    @cached_property
    def image_ids(self) -> NDArray[np.int64]:
        """``(n,)`` equal numbers for exact copies."""
        return image_ids(self.dataset)

    @cached_property
    def first_copies(self) -> NDArray[np.intp]:
        """``(distinct,)`` position of the first copy of each distinct image."""
        return first_copies(self.image_ids)

    @cached_property
    def copies(self) -> list[NDArray[np.intp]]:
        """Positions of all copies of each distinct image."""
        order = np.argsort(self.image_ids, kind="stable")
        return np.split(order, np.cumsum(np.bincount(self.image_ids))[:-1])

    @cached_property
    def near_pairs(self) -> DuplicatePairs:
        """Near duplicates among the distinct images, by their image ids."""
        gray = self.gray[self.first_copies][..., None]
        return near_duplicates(gray, bits=self.options.bits, similarity=self.options.similarity)

    @cached_property
    def labels(self) -> LabelColumn | None:
        """The labels; None for a dataset with neither emotions nor ages."""
        dataset = self.dataset
        if dataset.emotion is not None and dataset.taxonomy is not None:
            return LabelColumn("emotion", dataset.emotion.astype(np.int64), dataset.taxonomy.names)
        if dataset.age is not None:
            return LabelColumn("age", dataset.age.astype(np.int64), age_bin_names())
        return None

    def label_name(self, i: int) -> str:
        """Label of one image; "" for none."""
        return "" if self.labels is None else self.labels.names[int(self.labels.codes[i])]

    def by_split(self, mask: NDArray[np.bool_]) -> dict[str, int]:
        """Number of images of a mask by split, and all."""
        counts = {split: int((mask & (self.dataset.split == split)).sum()) for split in SPLITS}
        return {**counts, "total": int(mask.sum())}

    def mask(self, rows: NDArray[np.intp] | list[int]) -> NDArray[np.bool_]:
        """``(n,)`` bool, true at these positions."""
        out = np.zeros(len(self.dataset), np.bool_)
        out[rows] = True
        return out


def count_text(count: int, one: str, many: str | None = None) -> str:
    """``1 image``, ``1,234 images``."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
