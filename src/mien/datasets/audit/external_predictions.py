"""Predictions of any model from a file, to check labels against."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from tokenize import TokenError

import numpy as np
from numpy.typing import NDArray

from mien.datasets.audit.types import AuditContext, LabelModel
from mien.datasets.dataset import Dataset
from mien.datasets.row_location import RowLocation
from mien.errors import DataError, InputError, MissingFileError
from mien.labels import canonical

_DAMAGE = (ValueError, EOFError, OSError, OverflowError, SyntaxError, TokenError, TypeError, LookupError)
"""What np.load raises: the head of the file is Python, which may hold values of any type."""
_CAVEAT = "The file does not record whether the model was trained on these images; if it was, it hides their errors."


def read_external_predictions(path: str | os.PathLike[str], dataset: Dataset) -> LabelModel:
    """Read probabilities.

    Args:
        path: ``.npy``, ``(n, k)`` in the order of the images and of the dataset's labels; or CSV with a column ``row``
            (of the source) and one per label, whose images may be some of the dataset's, in any order.
        dataset: the dataset they are for.

    Raises:
        MissingFileError: no such file.
        InputError: another kind of file, or a dataset without labels.
        DataError: a shape, row, label or number that does not fit.
    """
    source = Path(path)
    if not source.is_file():
        raise MissingFileError("no such file", path=source, advice="give probabilities as .npy or .csv")
    labels = AuditContext(dataset).labels
    if labels is None:
        raise InputError(
            f"{dataset.info.name} has neither emotions nor ages to check", advice="leave the probabilities out"
        )
    if source.suffix.lower() == ".npy":
        return _read_array(source, len(dataset), labels.names)
    if source.suffix.lower() == ".csv":
        try:
            return _read_csv(source, dataset, emotions=labels.kind == "emotion")
        except csv.Error as error:
            raise DataError(f"not readable as CSV ({error})", path=source, advice="write it again") from None
    raise InputError("not .npy or .csv", path=source, advice="give probabilities as one of these")


def _read_array(path: Path, n: int, labels: tuple[str, ...]) -> LabelModel:
    try:
        # mapped, so that a head that states more than the file holds takes no memory
        with np.errstate(over="ignore"):
            numbers = np.load(path, mmap_mode="r", allow_pickle=False)
    except _DAMAGE as error:
        raise DataError(
            f"not a readable .npy file ({str(error)[:80]})", path=path, advice="write it with np.save"
        ) from None
    if numbers.shape != (n, len(labels)) or numbers.dtype.kind not in "fiu":
        raise DataError(
            f"{numbers.dtype} {numbers.shape}, expected numbers ({n}, {len(labels)}): one row per image, one column "
            f"each for {', '.join(labels)}",
            path=path,
            advice="give CSV for fewer images or another order",
        )
    return LabelModel(path.name, labels, np.array(numbers), np.ones(n, np.bool_), _CAVEAT)


def _read_csv(path: Path, dataset: Dataset, *, emotions: bool) -> LabelModel:
    with path.open(newline="", encoding="utf-8-sig", errors="replace") as stream:
        reader = csv.reader(stream)
        header = [name.strip() for name in next(reader, [])]
        if "row" not in header or len(header) < 3:
            found = ", ".join(header) or "nothing"
            raise DataError(f"expected a column 'row' and one per label, got {found}", path=path)
        row_column = header.index("row")
        columns = [name for i, name in enumerate(header) if i != row_column]
        labels = tuple(map(_canonical_or_given, columns)) if emotions else tuple(columns)
        if len(set(labels)) != len(labels):
            raise DataError(f"a label has two columns: {', '.join(columns)}", path=path)
        position = {int(row): i for i, row in enumerate(dataset.row)}
        probabilities = np.zeros((len(dataset), len(labels)))
        predicted: NDArray[np.bool_] = np.zeros(len(dataset), np.bool_)
        for cells in reader:
            where = RowLocation(path, line=reader.line_num)
            if len(cells) != len(header):
                raise where.error(f"{len(cells)} cells instead of {len(header)}")
            try:
                row, numbers = int(cells[row_column]), [float(c) for i, c in enumerate(cells) if i != row_column]
            except ValueError as error:
                raise where.error(f"not a number ({error})") from None
            if row not in position:
                raise where.error(f"the dataset has no row {row}")
            if predicted[position[row]]:
                raise where.error(f"row {row} occurs twice")
            probabilities[position[row]] = numbers
            predicted[position[row]] = True
    return LabelModel(path.name, labels, probabilities, predicted, _CAVEAT)


def _canonical_or_given(name: str) -> str:
    try:
        return canonical(name)
    except InputError:
        return name
