"""Emotion taxonomies, age bins, and the only maps between them.

Every dataset of this field orders its labels differently. Inside Mien an emotion has one name (``happy``, never
``happiness``), and an order belongs to a named taxonomy. Nothing else may hold a list of labels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mien.errors import InputError


@dataclass(frozen=True, slots=True)
class Taxonomy:
    """An ordered tuple of emotion names; ``names[i]`` is what index ``i`` means.

    Attributes:
        name: of the taxonomy.
        names: of the emotions, in order.
        index: name → index.

    Raises:
        InputError: a label twice.

    Examples:
        >>> len(FERPLUS), FERPLUS.names[1], FERPLUS.index["happy"]
        (8, 'happy', 1)
    """

    name: str
    names: tuple[str, ...]
    index: Mapping[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if len(set(self.names)) != len(self.names):
            raise InputError(f"taxonomy {self.name!r} holds a label twice: {self.names}")
        object.__setattr__(self, "index", {label: i for i, label in enumerate(self.names)})

    def __len__(self) -> int:
        return len(self.names)


FER2013 = Taxonomy("fer2013", ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"))
"""Integer labels of ``fer2013.csv``.

Examples:
    >>> FER2013.names
    ('angry', 'disgust', 'fear', 'happy', 'sad', 'surprise', 'neutral')
"""
FOLDERS = Taxonomy("folders", ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise"))
"""The alphabetical order that image-folder loaders give FER2013's Kaggle layout.

Examples:
    >>> FOLDERS.names
    ('angry', 'disgust', 'fear', 'happy', 'neutral', 'sad', 'surprise')
"""
FERPLUS = Taxonomy("ferplus", ("neutral", "happy", "surprise", "sad", "angry", "disgust", "fear", "contempt"))
"""The eight emotions of FER+ in the order of ``fer2013new.csv``.

Examples:
    >>> FERPLUS.names
    ('neutral', 'happy', 'surprise', 'sad', 'angry', 'disgust', 'fear', 'contempt')
"""
FERPLUS_7 = Taxonomy("ferplus7", FERPLUS.names[:7])
"""FER+ without contempt.

Examples:
    >>> FERPLUS_7.names == FERPLUS.names[:7]
    True
"""
RAFDB = Taxonomy("rafdb", ("surprise", "fear", "disgust", "happy", "sad", "angry", "neutral"))
"""RAF-DB basic; its files number them from 1.

Examples:
    >>> RAFDB.names
    ('surprise', 'fear', 'disgust', 'happy', 'sad', 'angry', 'neutral')
"""

TAXONOMIES: Mapping[str, Taxonomy] = {t.name: t for t in (FER2013, FOLDERS, FERPLUS, FERPLUS_7, RAFDB)}

OWN = "own"
"""Name of the taxonomy of a dataset with classes of its own, which the dataset lists."""

FERPLUS_COLUMNS = (
    "neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt", "unknown", "NF",
)  # fmt: skip
"""The ten vote columns of ``fer2013new.csv``; the first eight are the emotions of `FERPLUS`."""

ALIASES: Mapping[str, str] = {
    "happiness": "happy",
    "sadness": "sad",
    "anger": "angry",
    "surprised": "surprise",
    "suprise": "surprise",  # spelled so in several copies of the Kaggle folders
    "fearful": "fear",
    "disgusted": "disgust",
}
"""Other spellings in use → Mien's name."""

AGE_BINS: tuple[tuple[int, int], ...] = (
    (0, 2), (3, 9), (10, 19), (20, 29), (30, 39), (40, 49), (50, 59), (60, 69), (70, 99),
)  # fmt: skip
"""FairFace's nine bins as inclusive years; its last is "more than 70", closed here at 99.

Examples:
    >>> len(AGE_BINS), AGE_BINS[3]
    (9, (20, 29))
"""

SEVEN_AGE_RANGES: tuple[tuple[int, int], ...] = (
    (1, 2), (3, 9), (10, 20), (21, 27), (28, 45), (46, 65), (66, 116),
)  # fmt: skip
"""Inclusive years of the ranges that a published age network learned."""


def age_bin_names(bins: Sequence[tuple[int, int]] = AGE_BINS) -> tuple[str, ...]:
    """``("0-2", "3-9", …, "70-99")``.

    Examples:
        >>> age_bin_names()[:3]
        ('0-2', '3-9', '10-19')
    """
    return tuple(f"{low}-{high}" for low, high in bins)


def number_ranges(labels: Sequence[str]) -> tuple[tuple[int, int], ...] | None:
    """Labels such as ``("0-2", "3-9")`` as inclusive ranges ``((0, 2), (3, 9))``; None where one is no range.

    Examples:
        >>> number_ranges(("0-2", "3-9")), number_ranges(("happy", "sad"))
        (((0, 2), (3, 9)), None)
    """
    ranges = []
    for label in labels:
        low, dash, high = label.partition("-")
        if not dash or not (low + high).isascii() or not low.isdigit() or not high.isdigit() or int(low) > int(high):
            return None
        ranges.append((int(low), int(high)))
    return tuple(ranges) or None


def canonical(label: str) -> str:
    """Mien's name of an emotion label in any known spelling; raises `InputError` for an unknown one.

    Examples:
        >>> canonical("Happiness"), canonical("anger")
        ('happy', 'angry')
    """
    name = label.strip().lower()
    name = ALIASES.get(name, name)
    if name not in FERPLUS.index:
        raise InputError(
            f"unknown emotion label {label!r}",
            advice=f"expected one of {', '.join(FERPLUS.names)}",
            code="label-unknown",
        )
    return name


def remap(probabilities: NDArray[np.floating], source: Taxonomy, target: Taxonomy) -> NDArray[np.float32]:
    """``(n, len(source))`` probabilities in the order of ``target``.

    Labels that ``target`` lacks are dropped and the rest renormalised; labels that ``source`` lacks get 0. A row with
    nothing left becomes all zeros.

    Args:
        probabilities: ``(n, len(source))``.
        source: order of the columns.
        target: order of the result's columns.

    Raises:
        InputError: probabilities of another shape.

    Examples:
        >>> remap(np.eye(8)[[7, 1]], FERPLUS, FER2013).argmax(axis=1), FER2013.names[3]
        (array([0, 3]), 'happy')
    """
    if probabilities.ndim != 2 or probabilities.shape[1] != len(source):
        raise InputError(f"expected probabilities of shape (n, {len(source)}), got {probabilities.shape}")
    out = np.zeros((len(probabilities), len(target)), np.float32)
    for i, label in enumerate(source.names):
        if label in target.index:
            out[:, target.index[label]] = probabilities[:, i]
    total = out.sum(axis=1, keepdims=True)
    return np.asarray(np.divide(out, total, out=np.zeros_like(out), where=total > 0), np.float32)
