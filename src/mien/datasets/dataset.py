"""The value that every dataset reader returns: images and labels as columns, one row per image."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import InputError
from mien.labels import AGE_BINS, FERPLUS_COLUMNS, OWN, TAXONOMIES, Taxonomy, canonical

SPLITS = ("train", "validation", "test")
"""The names of the splits in Mien; datasets have other names for them."""
SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "eval": "validation",
    "evaluation": "validation",
    "publictest": "validation",
    "test": "test",
    "testing": "test",
    "privatetest": "test",
}
"""Names of splits in folders, files and columns, in small letters → the split."""
LABEL_COLUMNS = ("emotion", "votes", "age", "gender", "race", "found")
"""The optional columns of `Dataset`."""


@dataclass(frozen=True, slots=True)
class DatasetInfo:
    """The description of a dataset.

    Attributes:
        name: the dataset, such as "fer2013".
        taxonomy: name of the taxonomy that ``emotion`` indexes (a key of `mien.labels.TAXONOMIES`, or
            `mien.labels.OWN` for classes of its own); None where the dataset has no emotions.
        source: its origin, for people; never a path on a machine.
        dropped: (reason, count) of the rows of the source that were left out, largest first.
        notes: choices that changed the rows or the pixels, such as the target rule or the crop.
        classes: names of the classes, in order, of a dataset with classes of its own; else empty.

    Examples:
        >>> DatasetInfo("moods", "own", classes=("calm", "tense")).classes
        ('calm', 'tense')
    """

    name: str
    taxonomy: str | None = None
    source: str = ""
    dropped: tuple[tuple[str, int], ...] = ()
    notes: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.taxonomy is not None and self.taxonomy not in (*TAXONOMIES, OWN):
            raise InputError(f"unknown taxonomy {self.taxonomy!r}: expected one of {', '.join((*TAXONOMIES, OWN))}")
        if (self.taxonomy == OWN) != bool(self.classes):
            raise InputError("classes and the taxonomy 'own' belong together", advice="give both or neither")


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """A dataset in memory, one row per image; columns that the dataset lacks are None.

    Attributes:
        images: uint8 ``(n, height, width, channels)``, contiguous; 1 channel is gray, 3 are RGB.
        split: ``(n,)`` str, each of "train", "validation", "test".
        row: ``(n,)`` int32, the row in the source, counted from 0.
        info: what the dataset is.
        emotion: ``(n,)`` int8, index in the taxonomy ``info.taxonomy``.
        votes: ``(n, 10)`` int8, FER+ votes in the order of `mien.labels.FERPLUS_COLUMNS`.
        age: ``(n,)`` int8, index in `mien.labels.AGE_BINS`.
        gender: ``(n,)`` str, in the dataset's own words.
        race: ``(n,)`` str, in the dataset's own words.
        found: ``(n,)`` bool, whether a face was detected and cropped.
        features: name, such as "hog" → ``(n, length)`` float32, extra inputs of a network beside the pixels.

    Examples:
        >>> len(dataset), dataset.size, dataset.channels, dataset.taxonomy.names[3]
        (70, (48, 48), 1, 'happy')
        >>> len(dataset.select("test")), len(dataset[dataset.emotion == 3]), list(dataset.labels())
        (14, 10, ['emotion'])
        >>> dataset.canonical_label("Happiness"), dataset.sha256()[:8] == dataset[::-1].sha256()[:8]
        ('happy', False)
        >>> fewer = dataset.drop(np.where(dataset.emotion == 1, "rare", "")).with_note("without disgust")
        >>> len(fewer), fewer.info.dropped, fewer.info.notes
        (60, (('rare', 10),), ('without disgust',))
    """

    images: NDArray[np.uint8]
    split: NDArray[np.str_]
    row: NDArray[np.int32]
    info: DatasetInfo
    emotion: NDArray[np.int8] | None = None
    votes: NDArray[np.int8] | None = field(default=None, repr=False)
    age: NDArray[np.int8] | None = None
    gender: NDArray[np.str_] | None = None
    race: NDArray[np.str_] | None = None
    found: NDArray[np.bool_] | None = None
    features: Mapping[str, NDArray[np.float32]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        shape, dtype = self.images.shape, self.images.dtype
        if len(shape) != 4 or shape[3] not in (1, 3) or dtype != np.uint8:
            raise InputError(f"images must be uint8 (n, height, width, 1 or 3), got {dtype} {shape}")
        if not self.images.flags.c_contiguous:
            raise InputError("images must be contiguous", advice="pass np.ascontiguousarray(images)")
        n = len(self.images)
        _expect("row", self.row, np.dtype(np.int32), (n,))
        _expect("split", self.split, None, (n,))
        unknown = sorted(set(np.unique(self.split).tolist()) - set(SPLITS))
        if unknown:
            raise InputError(f"unknown split {unknown[0]!r}: expected one of {', '.join(SPLITS)}")
        if (self.emotion is None) != (self.info.taxonomy is None):
            raise InputError("emotion and info.taxonomy belong together", advice="give both or neither")
        if self.emotion is not None and self.taxonomy is not None:
            _expect_index("emotion", self.emotion, n, len(self.taxonomy))
        if self.votes is not None:
            _expect("votes", self.votes, np.dtype(np.int8), (n, len(FERPLUS_COLUMNS)))
        if self.age is not None:
            _expect_index("age", self.age, n, len(AGE_BINS))
        for name, column in (("gender", self.gender), ("race", self.race)):
            if column is not None:
                _expect(name, column, None, (n,))
        if self.found is not None:
            _expect("found", self.found, np.dtype(np.bool_), (n,))
        for name, vectors in self.features.items():
            _expect(f"feature {name}", vectors, np.dtype(np.float32), (n, *vectors.shape[1:2]))

    def __len__(self) -> int:
        return len(self.images)

    @property
    def taxonomy(self) -> Taxonomy | None:
        """The taxonomy that ``emotion`` indexes."""
        if self.info.taxonomy is None:
            return None
        return Taxonomy(OWN, self.info.classes) if self.info.taxonomy == OWN else TAXONOMIES[self.info.taxonomy]

    def canonical_label(self, name: str) -> str:
        """A label in the taxonomy's spelling: emotions have many names, classes of the dataset's own have one.

        Raises:
            InputError: an unknown emotion.
        """
        return name if self.info.classes else canonical(name)

    @property
    def channels(self) -> int:
        """1 (gray) or 3 (RGB)."""
        return int(self.images.shape[3])

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of every image in pixels."""
        return int(self.images.shape[2]), int(self.images.shape[1])

    def labels(self) -> dict[str, NDArray[Any]]:
        """The label columns that this dataset has, by name."""
        columns = {name: getattr(self, name) for name in LABEL_COLUMNS}
        return {name: column for name, column in columns.items() if column is not None}

    def __getitem__(self, index: slice | NDArray[Any]) -> Dataset:
        """The rows that a boolean mask ``(n,)``, an array of indices or a slice selects."""
        if isinstance(index, np.ndarray) and index.dtype == np.bool_ and index.shape != (len(self),):
            raise InputError(f"the mask must have the shape ({len(self)},), got {index.shape}")
        return replace(
            self,
            images=np.ascontiguousarray(self.images[index]),
            split=self.split[index],
            row=self.row[index],
            features={name: vectors[index] for name, vectors in self.features.items()},
            **_columns({name: column[index] for name, column in self.labels().items()}),
        )

    def select(self, split: str) -> Dataset:
        """The rows of one split; raises `InputError` for an unknown name."""
        if split not in SPLITS:
            raise InputError(f"unknown split {split!r}: expected one of {', '.join(SPLITS)}")
        return self[self.split == split]

    def drop(self, reasons: NDArray[np.str_]) -> Dataset:
        """The rows whose reason is ""; the others are counted by reason in ``info.dropped``.

        Args:
            reasons: ``(n,)`` str, why a row is dropped; "" for a row that stays.

        Raises:
            InputError: reasons of another shape.
        """
        if reasons.shape != (len(self),):
            raise InputError(f"reasons must have the shape ({len(self)},), got {reasons.shape}")
        counts = dict(self.info.dropped)
        for reason, count in zip(*np.unique(reasons[reasons != ""], return_counts=True), strict=True):
            counts[str(reason)] = counts.get(str(reason), 0) + int(count)
        dropped = tuple(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
        return replace(self[reasons == ""], info=replace(self.info, dropped=dropped))

    def with_note(self, *notes: str) -> Dataset:
        """The same rows with notes added to ``info.notes``."""
        return replace(self, info=replace(self.info, notes=(*self.info.notes, *notes)))

    def sha256(self) -> str:
        """Hash of the decoded pixels, splits, rows and labels: the same on every machine for the same dataset."""
        classes = f" {json.dumps(self.info.classes)}" if self.info.classes else ""
        digest = hashlib.sha256(f"mien.dataset {self.info.taxonomy}{classes}".encode())
        features = {f"feature_{name}": self.features[name] for name in sorted(self.features)}
        columns = {"images": self.images, "split": self.split, "row": self.row, **self.labels(), **features}
        for name, column in columns.items():
            digest.update(f"|{name} {column.shape}|".encode())
            if column.dtype.kind == "U":
                # escaped, so that one text with a line end is not two texts
                texts = (text.replace("\\", "\\\\").replace("\n", "\\n") for text in column.tolist())
                digest.update("\n".join(texts).encode())
            else:
                digest.update(np.ascontiguousarray(column.astype(column.dtype.newbyteorder("<"), copy=False)).data)
        return digest.hexdigest()


def split_of(name: str) -> str | None:
    """The split that a name of a folder or a file contains; None for none, or several.

    Examples:
        >>> [split_of(name) for name in ("train-00000-of-00001", "FER2013Valid", "Test set", "trainer", "train-test")]
        ['train', 'validation', 'test', None, None]
    """
    whole = SPLIT_NAMES.get(re.sub(r"[^a-z]", "", name.lower()))
    words = [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)]
    splits = {SPLIT_NAMES[word] for word in words if word in SPLIT_NAMES}
    return whole or (splits.pop() if len(splits) == 1 else None)


def _columns(columns: dict[str, NDArray[Any]]) -> dict[str, Any]:
    # the type checker cannot know that these names are never "info"
    return dict(columns)


def _expect(name: str, column: NDArray[Any], dtype: np.dtype[Any] | None, shape: tuple[int, ...]) -> None:
    right = column.dtype.kind == "U" if dtype is None else column.dtype == dtype
    if not right or column.shape != shape:
        raise InputError(f"{name} must be {dtype or 'str'} of shape {shape}, got {column.dtype} {column.shape}")


def _expect_index(name: str, column: NDArray[Any], n: int, classes: int) -> None:
    _expect(name, column, np.dtype(np.int8), (n,))
    if n and (int(column.min()) < 0 or int(column.max()) >= classes):
        raise InputError(f"{name} must be in 0–{classes - 1}, got {int(column.min())}–{int(column.max())}")
