"""Results as CSV, Parquet and JSON files, and as a table on the terminal.

A table has one row a face, with the columns of `Faces.to_rows`. A picture without a face has one row too, in which only
``source`` is filled, so that every picture that was analysed is accounted for.
"""

from __future__ import annotations

import csv
import io
import itertools
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.errors import InputError, MissingExtraError
from mien.files import atomic_path
from mien.labels import age_bin_names
from mien.results.faces import Faces
from mien.results.video import readable

if TYPE_CHECKING:
    pass

Row = dict[str, Any]

_TEXT = ("source", "emotion", "age_range")
_CHUNK, _ROW_GROUP = 2_000, 65_536
"""Rows that are converted at once, and rows of a Parquet row group."""


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of one table, fixed by the models that made its results."""

    emotions: tuple[str, ...] = ()
    ages: tuple[tuple[int, int], ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """In the order of `Faces.to_rows`."""
        return (
            *("source", "face", "x1", "y1", "x2", "y2", "score", "emotion", "confidence", "entropy"),
            *(f"emotion_{name}" for name in self.emotions),
            *("age_range", "age"),
            *(f"age_{name}" for name in age_bin_names(self.ages)),
        )

    def rows(self, faces: Faces) -> list[Row]:
        """The rows of one picture, each with all the columns.

        Raises:
            InputError: the faces have emotions or ages that these columns do not hold.
        """
        theirs = _columns_of(faces)
        if (theirs.emotions not in (self.emotions, ())) or (theirs.ages not in (self.ages, ())):
            raise InputError(
                f"{faces.source or 'a result'}: has other emotions or age ranges than the results before it: "
                "write the results of each model to a table of their own"
            )
        source = readable(faces.source)
        if not faces:
            return [self._blank(source)]
        return [self._blank(source) | row | {"source": source} for row in faces.to_rows()]

    def _blank(self, source: str | None) -> Row:
        return dict.fromkeys(self.names) | {"source": source}


def write_csv(results: Iterable[Faces], path: str | os.PathLike[str]) -> Path:
    """Write one row a face as CSV (UTF-8, RFC 4180 quoting, a header) and return the path.

    Results are taken one at a time, so any number of pictures fits into memory; the file appears when all are written.

    Raises:
        InputError: ``path`` is a folder, or results of different models are mixed.
    """
    target = _target(path)
    columns, rows = _table(results)
    with atomic_path(target) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        usual = csv.DictWriter(stream, columns.names, lineterminator="\n")
        # before Python 3.13 a lone carriage return, which a file name may hold, was not quoted
        quoted = csv.DictWriter(stream, columns.names, lineterminator="\n", quoting=csv.QUOTE_ALL)
        usual.writeheader()
        for row in rows:
            (quoted if "\r" in (row["source"] or "") else usual).writerow(row)
    return target


def write_parquet(results: Iterable[Faces], path: str | os.PathLike[str]) -> Path:
    """Write one row a face as Parquet (zstd) and return the path; needs pyarrow (extra ``tables``).

    Results are taken one at a time; at most one row group is held in memory. The file appears when all are written.

    Raises:
        MissingExtraError: pyarrow is not installed.
        InputError: ``path`` is a folder, or results of different models are mixed.
    """
    target = _target(path)
    columns, rows = _table(results)
    with atomic_path(target) as temporary:
        _to_parquet(columns, rows, temporary)
    return target


def parquet_bytes(results: Iterable[Faces], columns: Columns) -> bytes:
    """The file that `write_parquet` writes, with columns that are known beforehand; needs pyarrow.

    Raises:
        MissingExtraError: pyarrow is not installed.
        InputError: a result of another model.
    """
    out = io.BytesIO()
    _to_parquet(columns, (row for faces in results for row in columns.rows(faces)), out)
    return out.getvalue()


def _to_parquet(columns: Columns, rows: Iterator[Row], target: Path | io.BytesIO) -> None:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise MissingExtraError("pyarrow", "tables", "Parquet output") from None
    kinds = dict.fromkeys(columns.names, pa.float64()) | dict.fromkeys(_TEXT, pa.string()) | {"face": pa.int32()}
    schema = pa.schema([(name, kinds[name]) for name in columns.names])
    with pq.ParquetWriter(target, schema, compression="zstd") as writer:
        held: list[Any] = []
        while chunk := list(itertools.islice(rows, _CHUNK)):
            held.append(pa.Table.from_pylist(chunk, schema=schema))
            if sum(len(part) for part in held) >= _ROW_GROUP:
                writer.write_table(pa.concat_tables(held))
                held = []
        if held:
            writer.write_table(pa.concat_tables(held))


def write_json(results: Iterable[Faces], path: str | os.PathLike[str]) -> Path:
    """Write one object a picture, as `Faces.to_json` gives it, and return the path.

    The file is a JSON array with one picture a line; with the suffix ``.jsonl`` or ``.ndjson`` it is the lines alone.
    A picture without a face has an empty list of faces.

    Raises:
        InputError: ``path`` is a folder.
    """
    target = _target(path)
    lines = target.suffix.lower() in (".jsonl", ".ndjson")
    start, between, end = ("", "\n", "\n") if lines else ("[\n", ",\n", "\n]\n")
    with (
        atomic_path(target) as temporary,
        temporary.open("w", encoding="utf-8", newline="", errors="backslashreplace") as stream,
    ):
        separator = start
        for faces in results:
            stream.write(separator + faces.to_json())
            separator = between
        if separator == between:
            stream.write(end)
        elif not lines:
            stream.write("[]\n")
    return target


def _table(results: Iterable[Faces]) -> tuple[Columns, Iterator[Row]]:
    """The columns, which the first result of a model or with a face fixes, and all rows."""
    rest = iter(results)
    before: list[Faces] = []
    columns = Columns()
    for faces in rest:
        before.append(replace(faces, image=None))  # many may come before the first face
        columns = _columns_of(faces)
        if faces or columns != Columns():
            break
    rows = (row for faces in itertools.chain(before, rest) for row in columns.rows(faces))
    return columns, rows


def _columns_of(faces: Faces) -> Columns:
    return Columns(
        emotions=() if faces.emotions is None else faces.emotion_labels,
        ages=() if faces.ages is None else faces.age_bins,
    )


def _target(path: str | os.PathLike[str]) -> Path:
    target = Path(path)
    if target.is_dir():
        raise InputError(f"{target}: is a folder: give the name of a file in it")
    return target
