"""Results of photos as CSV, Parquet and JSON files.

A table has one row per face, with the columns of `mien.results.face_columns`. A picture without a face has one row too,
in which only ``source`` is filled, so that every picture that was analysed is accounted for.
"""

from __future__ import annotations

import csv
import io
import itertools
import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from mien.csv_cells import cell_text
from mien.errors import InputError, MissingExtraError
from mien.files import atomic_path, output_file
from mien.output_checks import refuse_inputs
from mien.results.columns import ROW_GROUP, arrow_schema
from mien.results.face_columns import FaceTable, Heads, face_columns
from mien.results.faces import Faces


def write_csv(results: Iterable[Faces], path: str | os.PathLike[str]) -> Path:
    """Write one row per face as CSV (UTF-8, RFC 4180 quoting, a header) and return the path.

    Results are consumed one at a time, so their number is not limited by memory. The file appears when it is complete.

    Args:
        results: of pictures, in the order of the rows.
        path: the file; an existing one is replaced.

    Raises:
        InputError: ``path`` is a folder or one of the pictures, or results of different models are mixed.
        OutputError: it cannot be written.

    Examples:
        >>> write_csv(analyzer.analyze_batch(["photo.jpg", "other.jpg"]), "faces.csv").name
        'faces.csv'
        >>> len(Path("faces.csv").read_text().splitlines())
        3
    """
    target = output_file(path)
    heads, tables = _tables(_other_files(results, target))
    names = [column.name for column in face_columns(heads, video=False) if column.flat]
    with atomic_path(target) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        usual = csv.writer(stream, lineterminator="\n")
        # before Python 3.13 a lone carriage return, which a file name may hold, was not quoted
        quoted = csv.writer(stream, lineterminator="\n", quoting=csv.QUOTE_ALL)
        usual.writerow(names)
        for table in tables:
            writer = quoted if "\r" in (table.source or "") else usual
            writer.writerows(zip(*table.to_csv_columns().values(), strict=True))
    return Path(path)


def write_parquet(results: Iterable[Faces], path: str | os.PathLike[str]) -> Path:
    """Write one row per face as Parquet (zstd) and return the path; needs pyarrow (extra ``tables``).

    Results are consumed one at a time; at most one row group is in memory. The file appears when it is complete.

    Args:
        results: of pictures, in the order of the rows.
        path: the file; an existing one is replaced.

    Raises:
        MissingExtraError: pyarrow is not installed.
        InputError: ``path`` is a folder or one of the pictures, or results of different models are mixed.
        OutputError: it cannot be written.

    Examples:
        >>> import pyarrow.parquet
        >>> pyarrow.parquet.read_table(write_parquet([result], "faces.parquet")).num_rows
        1
    """
    target = output_file(path)
    heads, tables = _tables(_other_files(results, target))
    with atomic_path(target) as temporary:
        _to_parquet(heads, tables, temporary)
    return Path(path)


def parquet_bytes(results: Iterable[Faces], heads: Heads) -> bytes:
    """The file that `write_parquet` writes, with heads that are known beforehand; needs pyarrow.

    Raises:
        MissingExtraError: pyarrow is not installed.
        InputError: a result of another model.
    """
    out = io.BytesIO()
    _to_parquet(heads, (faces.to_table(heads) for faces in results), out)
    return out.getvalue()


def _to_parquet(heads: Heads, tables: Iterator[FaceTable], target: Path | io.BytesIO) -> None:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise MissingExtraError("pyarrow", "tables", "Parquet output") from None
    schema = arrow_schema(face_columns(heads, video=False))
    with pq.ParquetWriter(target, schema, compression="zstd") as writer:
        pending, rows = [], 0
        for table in tables:
            pending.append(pa.Table.from_pydict(table.to_columns(), schema=schema))
            rows += len(table)
            if rows >= ROW_GROUP:
                writer.write_table(pa.concat_tables(pending).unify_dictionaries())
                pending, rows = [], 0
        if pending:
            writer.write_table(pa.concat_tables(pending).unify_dictionaries())


def table_sources(path: Path) -> set[str]:
    """The pictures and videos of which a CSV or Parquet table of ours holds rows, as the table names them.

    Raises:
        InputError: it is no such table.
    """
    try:
        with path.open("rb") as file:
            is_parquet = file.read(4) == b"PAR1"
        if is_parquet:
            import pyarrow.parquet as pq

            return set(pq.read_table(path, columns=["source"])["source"].to_pylist())
        with path.open(encoding="utf-8", newline="") as text:
            rows = csv.reader(text)
            column = next(rows).index("source")
            return {cell_text(row[column]) for row in rows}
    except (OSError, ValueError, IndexError, StopIteration, csv.Error) as error:
        raise InputError(
            f"is no table of faces ({error})", path=path, advice="choose another name for the output"
        ) from None


def write_json(results: Iterable[Faces], path: str | os.PathLike[str]) -> Path:
    """Write one object per picture, as `Faces.to_json` returns it, and return the path.

    The file is a JSON array with one picture per line; with the suffix ``.jsonl`` or ``.ndjson`` it is the lines alone.
    A picture without a face has an empty list of faces.

    Args:
        results: of pictures, in order.
        path: the file; an existing one is replaced.

    Raises:
        InputError: ``path`` is a folder or one of the pictures.
        OutputError: it cannot be written.

    Examples:
        >>> import json
        >>> json.loads(write_json([result], "faces.json").read_text())[0]["width"]
        512
    """
    target = output_file(path)
    lines = Path(path).suffix.lower() in (".jsonl", ".ndjson")
    start, between, end = ("", "\n", "\n") if lines else ("[\n", ",\n", "\n]\n")
    with (
        atomic_path(target) as temporary,
        temporary.open("w", encoding="utf-8", newline="", errors="backslashreplace") as stream,
    ):
        separator = start
        for faces in _other_files(results, target):
            stream.write(separator + faces.to_json())
            separator = between
        if separator == between:
            stream.write(end)
        elif not lines:
            stream.write("[]\n")
    return Path(path)


def _tables(results: Iterable[Faces]) -> tuple[Heads, Iterator[FaceTable]]:
    """The heads, which the first result of a model or with a face fixes, and the table of each picture."""
    rest = iter(results)
    before: list[Faces] = []
    heads: Heads = {}
    for faces in rest:
        before.append(replace(faces, image=None))  # many may come before the first face
        heads = faces.heads
        if faces or heads:
            break
    return heads, (faces.to_table(heads) for faces in itertools.chain(before, rest))


def _other_files(results: Iterable[Faces], target: Path) -> Iterator[Faces]:
    """The results; raises for one of a picture that the table would overwrite."""
    for faces in results:
        if faces.source is not None:
            refuse_inputs(target, [faces.source])
        yield faces
