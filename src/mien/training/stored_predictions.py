"""Predictions of a teacher, stored in a file, as part of the targets of training.

The file is a NumPy ``.npz``: ``row`` ``(n,)`` whole numbers, the rows of the dataset's source; and for each head an
array of its name, ``(n, classes)`` probabilities in the order of the head's labels.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError, MissingFileError
from mien.training.targets import HeadTargets

ROW = "row"
SUFFIX = ".npz"


@dataclass(frozen=True, slots=True, eq=False)
class StoredPredictions:
    """A teacher's distributions.

    Attributes:
        row: ``(n,)`` int64, ascending.
        heads: head name → ``(n, classes)`` float32, rows sum to 1.
    """

    row: NDArray[np.int64]
    heads: Mapping[str, NDArray[np.float32]]


def read_stored_predictions(path: Path, sizes: Mapping[str, int]) -> StoredPredictions:
    """Read a file of predictions.

    Args:
        path: the ``.npz`` file.
        sizes: head name → number of classes; all of them must be there.

    Raises:
        MissingFileError: no such file.
        DataError: it is not such a file, lacks a head, or an array does not hold distributions over the head's classes.
    """
    if not path.is_file():
        raise MissingFileError("no such file", path=path, advice="give the stored predictions of the teacher")
    try:
        with np.load(path, allow_pickle=False) as stored:
            row = stored[ROW].astype(np.int64)
            heads = {name: stored[name].astype(np.float32) for name in sizes}
    except KeyError as error:
        raise DataError(f"lacks an array ({error.args[0]})", path=path, advice=f"it needs {', '.join(sizes)}") from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, AttributeError) as error:
        raise DataError(f"is not a file of stored predictions ({error})", path=path) from None
    order = np.argsort(row)
    for name, size in sizes.items():
        values = heads[name]
        if values.shape != (len(row), size):
            raise DataError(f"head {name!r} has shape {values.shape}, expected {(len(row), size)}", path=path)
        total = values.sum(axis=1, keepdims=True)
        if not (np.isfinite(values).all() and (values >= 0).all() and (abs(total - 1) < 0.02).all()):
            raise DataError(f"head {name!r} does not hold probabilities that sum to 1 per row", path=path)
        heads[name] = (values / total)[order]
    return StoredPredictions(row[order], heads)


def blend(
    targets: Mapping[str, HeadTargets], rows: NDArray[np.integer], teacher: StoredPredictions, share: float
) -> dict[str, HeadTargets]:
    """Targets with a share of the teacher's distributions.

    Images without a target of their own learn from the teacher alone; images that the teacher has not seen keep theirs.

    Args:
        targets: of every head, for n images.
        rows: ``(n,)`` the images' rows in the source.
        teacher: the predictions.
        share: of the teacher, 0–1.

    Raises:
        DataError: none of the images is among the predictions.
    """
    place = np.searchsorted(teacher.row, rows).clip(max=len(teacher.row) - 1)
    known = teacher.row[place] == rows
    if not known.any():
        raise DataError(
            "the stored predictions are of other images", advice="prepare the dataset that the teacher was run on"
        )
    blended = {}
    for name, own in targets.items():
        labelled = own.weight > 0
        part = np.where(known & labelled, share, known.astype(np.float32))[:, None]
        soft = (1 - part) * own.soft + part * teacher.heads[name][place]
        weight = np.maximum(own.weight, known.astype(np.float32))
        blended[name] = HeadTargets(soft.astype(np.float32), weight, own.label)
    return blended
