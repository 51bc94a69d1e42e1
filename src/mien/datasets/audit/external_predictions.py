"""Probabilities of somebody's model from a file, as a judge of labels."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from tokenize import TokenError

import numpy as np
from numpy.typing import NDArray

from mien.datasets.audit.types import AuditContext, LabelModel
from mien.datasets.dataset import Dataset
from mien.errors import DataError, InputError, MissingFileError
from mien.labels import canonical

_DAMAGE = (ValueError, EOFError, OSError, OverflowError, SyntaxError, TokenError, TypeError, LookupError)
"""What np.load raises: the head of the file is Python, which may hold values of any type."""
_CAUTION = "Whether the model had learned from these images, the file does not say: if it had, it hides their errors."


def read_external_predictions(path: str | os.PathLike[str], prepared: Dataset) -> LabelModel:
    """Read probabilities.

    Args:
        path: ``.npy``, ``(n, k)`` in the order of the images and of the dataset's labels; or CSV with a column ``row``
            (of the source) and one a label, whose images may be some of the dataset's, in any order.
        prepared: the dataset they are for.

    Raises:
        MissingFileError: no such file.
        InputError: another kind of file, or a dataset without labels.
        DataError: a shape, row, label or number that does not fit.
    """
    source = Path(path)
    if not source.is_file():
        raise MissingFileError(f"{source}: no such file; give probabilities as .npy or .csv")
    labels = AuditContext.of(prepared).labels
    if labels is None:
        raise InputError(f"{prepared.info.name} has neither emotions nor ages to judge: leave the probabilities out")
    if source.suffix.lower() == ".npy":
        return _array(source, len(prepared), labels[2])
    if source.suffix.lower() == ".csv":
        return _table(source, prepared, emotions=labels[0] == "emotion")
    raise InputError(f"{source}: not .npy or .csv; probabilities come as one of these")


def _array(path: Path, n: int, labels: tuple[str, ...]) -> LabelModel:
    try:
        # mapped, so that a head that states more than the file holds takes no memory
        with np.errstate(over="ignore"):
            numbers = np.load(path, mmap_mode="r", allow_pickle=False)
    except _DAMAGE as error:
        raise DataError(f"{path}: not a readable .npy file ({str(error)[:80]}); write it with np.save") from None
    if numbers.shape != (n, len(labels)) or numbers.dtype.kind not in "fiu":
        raise DataError(
            f"{path}: {numbers.dtype} {numbers.shape}, expected numbers ({n}, {len(labels)}): a row an image, a column "
            f"each of {', '.join(labels)}; give CSV for fewer images or another order"
        )
    return LabelModel(path.name, labels, np.array(numbers), np.ones(n, np.bool_), _CAUTION)


def _table(path: Path, prepared: Dataset, *, emotions: bool) -> LabelModel:
    try:
        return _judge(path, prepared, emotions=emotions)
    except csv.Error as error:
        raise DataError(f"{path}: not readable as CSV ({error}); write it again") from None


def _judge(path: Path, prepared: Dataset, *, emotions: bool) -> LabelModel:
    with path.open(newline="", encoding="utf-8-sig", errors="replace") as stream:
        reader = csv.reader(stream)
        header = [name.strip() for name in next(reader, [])]
        if "row" not in header or len(header) < 3:
            raise DataError(f"{path}: expected a column 'row' and one a label, got {', '.join(header) or 'nothing'}")
        at = header.index("row")
        columns = [name for i, name in enumerate(header) if i != at]
        labels = tuple(map(_emotion, columns)) if emotions else tuple(columns)
        if len(set(labels)) != len(labels):
            raise DataError(f"{path}: a label has two columns: {', '.join(columns)}")
        place = {int(row): i for i, row in enumerate(prepared.row)}
        probabilities = np.zeros((len(prepared), len(labels)))
        judged: NDArray[np.bool_] = np.zeros(len(prepared), np.bool_)
        for cells in reader:
            where = f"{path}: line {reader.line_num}"
            if len(cells) != len(header):
                raise DataError(f"{where}: {len(cells)} cells instead of {len(header)}")
            try:
                row, numbers = int(cells[at]), [float(cell) for i, cell in enumerate(cells) if i != at]
            except ValueError as error:
                raise DataError(f"{where}: not a number ({error})") from None
            if row not in place:
                raise DataError(f"{where}: the dataset has no row {row}")
            if judged[place[row]]:
                raise DataError(f"{where}: row {row} stands there twice")
            probabilities[place[row]] = numbers
            judged[place[row]] = True
    return LabelModel(path.name, labels, probabilities, judged, _CAUTION)


def _emotion(name: str) -> str:
    try:
        return canonical(name)
    except InputError:
        return name
