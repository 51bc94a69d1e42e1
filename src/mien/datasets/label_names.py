"""Names of the classes in a dataset: emotions in any spelling, numbers with their meaning, or classes of its own."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError, InputError
from mien.labels import FER2013, FERPLUS, OWN, RAFDB, Taxonomy, canonical

NUMBERINGS = (
    ("FER2013", 0, FER2013.names),
    ("RAF-DB", 1, RAFDB.names),
    ("AffectNet", 0, ("neutral", "happy", "sad", "surprise", "fear", "disgust", "angry", "contempt")),
)
"""Dataset, number of the first label, and its labels in their order."""
MOST_CLASSES = 127
"""Classes of a dataset at most; their indices are int8."""


def label_from_name(name: str) -> str:
    """The emotion in a folder's name: in any spelling, and behind a number such as "0_neutral" or "03 - Fear".

    Raises:
        InputError: it is none (code "label-unknown").
    """
    try:
        return canonical(name)
    except InputError:
        rest = re.sub(r"^\d+[\s._\-]+|[\s._\-]+\d+$", "", name.strip())
        if rest == name.strip():
            raise
        return canonical(rest)


def is_label(name: str) -> bool:
    """Whether a folder's name is an emotion, see `label_from_name`."""
    try:
        label_from_name(name)
    except InputError:
        return False
    return True


def emotion_numbers(labels: Sequence[str]) -> tuple[Taxonomy, dict[int, int]]:
    """The taxonomy of numbered emotions, and number → index in it.

    Args:
        labels: names of the labels 0, 1, …, or ``NUMBER=NAME``.

    Raises:
        InputError: a name that is no emotion.
    """
    names = {number: canonical(name) for number, name in number_names(labels).items()}
    taxonomy = smallest_taxonomy(names.values())
    return taxonomy, {number: taxonomy.index[name] for number, name in names.items()}


def number_names(labels: Sequence[str]) -> dict[int, str]:
    """``("angry", "happy")`` or ``("1=angry", "2=happy")`` → number → name.

    Raises:
        InputError: some are numbered and some are not, or a number is given twice.
    """
    pairs = [re.fullmatch(r"\s*(\d+)\s*=\s*(.+?)\s*", label) for label in labels]
    if not any(pairs):
        return dict(enumerate(labels))
    names = {int(pair[1]): pair[2] for pair in pairs if pair}
    if len(names) < len(labels):
        raise InputError(
            f"labels are all numbered or none of them is, got {', '.join(labels)}",
            advice="give them as 1=surprise,2=fear,…",
        )
    return names


def names_of_numbers(numbers: Collection[int], labels: Sequence[str] | None) -> dict[int, str]:
    """The names of classes that are numbers, such as folders "0", "1", ….

    Args:
        numbers: those that occur.
        labels: names in their order, from 0 or from 1, whichever the numbers fit; or ``NUMBER=NAME``.

    Raises:
        DataError: no names, another number of them, or numbers that fit both ways (code "labels-unnamed"); a name that
            is no emotion (code "label-unknown").
    """
    shown = ", ".join(map(str, sorted(numbers)))
    if labels is None:
        known = "; ".join(f"{dataset} from {first}: --labels {','.join(names)}" for dataset, first, names in NUMBERINGS)
        example = ", ".join(f"{i} {name}" for i, name in enumerate(RAFDB.names, 1))
        raise DataError(
            f"its classes are numbers ({shown}), and nothing defines them",
            advice=f"give their names in order. {known} (RAF-DB: {example})",
            code="labels-unnamed",
        )
    names = number_names(labels)
    if any("=" in label for label in labels):
        fitting = [names] if set(numbers) <= set(names) else []
    else:
        from_one = {number + 1: name for number, name in names.items()}
        fitting = [one for one in (names, from_one) if set(numbers) <= set(one)]
    if len(fitting) != 1:
        reason = "may count from 0 or from 1" if fitting else f"are not {len(labels)} from 0 or from 1"
        raise DataError(
            f"its classes {shown} {reason}",
            advice="number the names: --labels 1=surprise,2=fear,…",
            code="labels-unnamed",
        )
    if others := [name for name in fitting[0].values() if not is_label(name)]:
        raise DataError(
            f"{others[0]!r} is no emotion ({', '.join(FERPLUS.names)})",
            advice="labels are names of emotions; with --labels own the classes are called by their numbers",
            code="label-unknown",
        )
    return fitting[0]


def smallest_taxonomy(names: Iterable[str]) -> Taxonomy:
    """`mien.labels.FER2013`, or `mien.labels.FERPLUS` when "contempt" is among the names."""
    return FER2013 if set(names) <= set(FER2013.names) else FERPLUS


def own_taxonomy(names: Iterable[str]) -> Taxonomy:
    """The classes of a dataset's own, in alphabetical order.

    Raises:
        DataError: fewer than two, or more than `MOST_CLASSES`; a name that tables and sets of labels cannot hold.
    """
    classes = tuple(sorted(set(names)))
    for name in classes:
        if "|" in name or any(unicodedata.category(letter) in ("Cc", "Zl", "Zp") for letter in name):
            what = (
                "'|', which separates the labels of a set"
                if "|" in name
                else "a line break or another control character"
            )
            raise DataError(f"the class {name!r} has {what}", advice="rename it")
    if len(classes) < 2:
        raise DataError("has images of only one class", advice="a model needs at least two classes")
    if len(classes) > MOST_CLASSES:
        raise DataError(
            f"has {len(classes)} classes, more than {MOST_CLASSES}",
            advice="folders of people or of photos are no classes; give the folder that holds one folder per class",
        )
    return Taxonomy(OWN, classes)


def label_indices(names: Iterable[str], taxonomy: Taxonomy) -> NDArray[np.int8]:
    """``(n,)`` int8: canonical names as indices of the taxonomy."""
    return np.array([taxonomy.index[name] for name in names], np.int8)
