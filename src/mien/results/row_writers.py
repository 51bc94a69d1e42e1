"""The table of a video, or of photos, written during the analysis: CSV, JSON lines, Parquet and raw records.

A long analysis must survive a kill. Each writer appends whole frames to its file, and `RowWriter.flush` waits until
they are on the disk. A writer that is opened again with ``keep``, the number of rows in a checkpoint, truncates the
file to them and continues; the finished file is identical to that of an uninterrupted run. Several videos may share a
file: rows name their source.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from mien.errors import InputError, MissingExtraError, MissingFileError, OutputError
from mien.files import AppendFile, PartsFolder, atomic_path, is_special, output_errors, output_file, sync
from mien.models.card import Head
from mien.models.label_sets import SetRule
from mien.output_checks import refuse_inputs
from mien.results.columns import ROW_GROUP, Column, arrow_schema, csv_values, flat_values
from mien.results.face_columns import FaceTable, face_objects, mixed_columns
from mien.results.video import frame_object, json_line

if TYPE_CHECKING:
    from typing_extensions import Self

_NO_ROWS = FaceTable.empty({}, None, video=True)
"""The table whose columns a file without rows has."""
_CHUNK = 1 << 20
_PART = 4_096
"""Rows of a Parquet part, the most that a flush writes again."""
_START_AGAIN = "start the run again, without --resume"


class RowWriter(ABC):
    """Writes the rows of a video. A context manager: closed at its end, or, after an error, stopped.

    Attributes:
        path: the file.
        rows: number of rows so far, including those that were kept; checkpoints store it.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        keep: int | None = None,
        empty: FaceTable = _NO_ROWS,
        mixed: bool = False,
    ) -> None:
        """Write to ``path``.

        Args:
            path: the file; its folder is made.
            keep: number of rows of an existing file to keep; None starts an empty file, and replaces an existing one.
            empty: the table whose columns a file without rows has.
            mixed: the rows are those of photos and of videos, with the columns of both.

        Raises:
            InputError: ``path`` is a folder, holds fewer than ``keep`` rows, or another run writes to it.
            OutputError: it cannot be written.
        """
        if keep is not None and keep < 0:
            raise InputError(f"keep is a number of rows, at least 0, got {keep}")
        self.path = output_file(path)
        self.rows = keep or 0
        self._open = True
        self._dtypes: dict[bool, np.dtype[np.void]] = {}
        self._mixed = mixed
        self._sources: set[str] = set()
        self._empty = empty
        self._start(self.rows)

    def write(self, rows: FaceTable) -> None:
        """Add rows, of whole frames.

        Raises:
            InputError: they have other columns than the rows before them, the file is closed, or is the video itself.
            OutputError: they cannot be written.
        """
        if not self._open:
            raise InputError("is closed", path=self.path, advice=f"open it again with keep={self.rows} to continue")
        dtype = rows.records.dtype
        other = {video: known for video, known in self._dtypes.items() if video == rows.video or not self._mixed}
        if any(known != dtype for known in other.values()):
            raise self._other_columns_error()
        if rows.source is not None and rows.source not in self._sources:
            refuse_inputs(self.path, [rows.source])
            self._sources.add(rows.source)
        self._append(rows)
        self._dtypes[rows.video] = dtype
        self.rows += len(rows)

    @abstractmethod
    def flush(self) -> None:
        """Wait until all rows are on the disk, where others can read them; `OutputError` where that fails."""

    def close(self) -> None:
        """Finish and close the file; without effect where it is closed."""
        if self._open:
            try:
                self._finish()
            finally:
                self.stop()

    def stop(self) -> None:
        """Close the file without finishing it: a later run can continue it."""
        if self._open:
            self._open = False
            self._release()

    @abstractmethod
    def _start(self, keep: int) -> None: ...

    @abstractmethod
    def _append(self, rows: FaceTable) -> None: ...

    @abstractmethod
    def _finish(self) -> None: ...

    @abstractmethod
    def _release(self) -> None: ...

    def _columns(self, rows: FaceTable) -> tuple[Column[FaceTable], ...]:
        return mixed_columns(rows.heads) if self._mixed else rows.columns

    def _other_columns_error(self) -> InputError:
        return InputError(
            "these rows have other predictions than those before",
            path=self.path,
            advice="write the results of each model to a file of their own",
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is None:
            self.close()
        else:
            self.stop()


class _AppendedRows(RowWriter):
    """Rows in a file that is complete after every row."""

    _file: AppendFile

    def flush(self) -> None:
        """Wait until all rows are on the disk, where others can read them; `OutputError` where that fails."""
        self._file.sync()

    def _finish(self) -> None:
        self._file.sync()

    def _release(self) -> None:
        self._file.close()


class CsvRows(_AppendedRows):
    """One line per face and frame, with the columns of `FaceTable.to_columns`: UTF-8, RFC 4180 quoting, a header."""

    def _start(self, keep: int) -> None:
        end, self._header = _csv_rows_end(self.path, keep) if keep else (0, b"")
        self._file = AppendFile(self.path, end)

    def _append(self, rows: FaceTable) -> None:
        columns = csv_values(self._columns(rows), rows)
        self._write_header(columns)
        text = io.StringIO(newline="")
        # before Python 3.13 a lone carriage return, which a file name may hold, was not quoted
        odd = "\r" in (rows.source or "")
        writer = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL if odd else csv.QUOTE_MINIMAL)
        writer.writerows(zip(*columns.values(), strict=True))
        self._file.append(text.getvalue().encode("utf-8"))

    def _finish(self) -> None:
        if not self._header:
            self._write_header(csv_values(self._columns(self._empty), self._empty))
        super()._finish()

    def _write_header(self, names: Iterable[str]) -> None:
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\n").writerow(names)
        header = text.getvalue().encode("utf-8")
        if not self._header:
            self._file.append(header)
            self._header = header
        if self._header != header:
            raise self._other_columns_error()


class JsonlRows(_AppendedRows):
    """One JSON object per frame on a line of its own, with its faces: `frame_lines`."""

    def _start(self, keep: int) -> None:
        self._file = AppendFile(self.path, _jsonl_rows_end(self.path, keep) if keep else 0)

    def _append(self, rows: FaceTable) -> None:
        self._file.append("".join(f"{line}\n" for line in frame_lines(rows)).encode("utf-8"))


class RawRows(_AppendedRows):
    """Raw records in a file, after one line of JSON that describes their columns.

    The file holds the rows of one video, nothing is rounded, and it is read without delay by memory-mapping
    (`read_raw_rows`).
    """

    def read(self, *, mapped: bool = True) -> FaceTable:
        """All rows written so far, as from `read_raw_rows`."""
        return read_raw_rows(self.path, mapped=mapped)

    def _start(self, keep: int) -> None:
        self._header, end = b"", 0
        if keep:
            self._header, rows = _read_raw(_existing(self.path, keep))
            if len(rows) < keep:
                raise _too_few_rows_error(self.path, len(rows), keep)
            end = len(self._header) + keep * rows.records.dtype.itemsize
        self._file = AppendFile(self.path, end)

    def _append(self, rows: FaceTable) -> None:
        header = _raw_header(rows)
        if not self._header:
            self._file.append(header)
            self._header = header
        if self._header != header:
            raise InputError(
                "holds rows of another video or model", path=self.path, advice="write these to a file of their own"
            )
        self._file.append(rows.records.tobytes())


class ParquetRows(RowWriter):
    """One row per face and frame as Parquet (zstd), with the columns of `FaceTable.to_columns`; needs pyarrow.

    Until it is closed the rows are in the folder ``<name>.parts``, as Parquet files that can be read as one table
    (``pandas.read_parquet`` on the folder); closing joins them into the file and removes the folder.
    """

    _schema: Any
    _last_part: list[Any]
    _unsaved: list[Any]
    _part: int

    def flush(self) -> None:
        """Wait until all rows are on the disk, where others can read them; `OutputError` where that fails."""
        if self._unsaved:
            import pyarrow as pa

            table = pa.concat_tables([*self._last_part, *self._unsaved]).combine_chunks()
            self._save(self._part_path(self._part), self._schema, [table])
            # a small part is written again together with the next rows; a long video would leave thousands otherwise
            self._last_part, self._unsaved = [table], []
            if len(table) >= _PART:
                self._last_part, self._part = [], self._part + 1

    def _start(self, keep: int) -> None:
        try:
            import pyarrow as pa  # noqa: F401
        except ImportError:
            raise MissingExtraError("pyarrow", "tables", "Parquet output") from None
        self._parts_folder = PartsFolder(self.path, keep=keep > 0)
        self.folder = self._parts_folder.path
        self._schema, self._last_part, self._unsaved, self._part = None, [], [], 0
        if keep:
            try:
                with output_errors(self.folder):
                    self._keep_rows(keep)
            except BaseException:
                self._parts_folder.stop()
                raise

    def _append(self, rows: FaceTable) -> None:
        columns = self._columns(rows)
        schema = arrow_schema(columns)
        if self._schema is not None and not self._schema.equals(schema):
            raise self._other_columns_error()
        self._schema = schema
        for start in range(0, len(rows), _PART):
            self._unsaved.append(_arrow_table(columns, rows.rows(start, start + _PART), schema))
        if sum(len(table) for table in self._unsaved) >= _PART:
            self.flush()

    def _finish(self) -> None:
        self.flush()
        tables = (table for part in self._parts() for table in _groups(part))
        self._save(self.path, self._schema or arrow_schema(self._columns(self._empty)), tables)
        self._parts_folder.remove()

    def _release(self) -> None:
        try:
            with suppress(OutputError):
                self.flush()
        finally:
            self._parts_folder.stop()

    def _save(self, path: Path, schema: Any, tables: Iterable[Any]) -> None:
        """All tables as one file, in row groups of even size; at most one group is in memory."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        texts = [field.name for field in schema if pa.types.is_dictionary(field.type)]
        # Arrow opens only file names that are valid text, Python all
        with output_errors(path), atomic_path(path, folder=self.folder) as temporary, temporary.open("wb") as stream:
            with pq.ParquetWriter(stream, schema, compression="zstd", use_dictionary=texts) as writer:
                pending: list[Any] = []
                for table in tables:
                    pending.append(table)
                    if sum(len(part) for part in pending) >= ROW_GROUP:
                        whole = pa.concat_tables(pending)
                        writer.write_table(whole.slice(0, ROW_GROUP).unify_dictionaries())
                        pending = [whole.slice(ROW_GROUP)]
                if rest := [part for part in pending if len(part)]:
                    writer.write_table(pa.concat_tables(rest).unify_dictionaries())
            stream.flush()
            os.fsync(stream.fileno())
        if not is_special(path):
            with output_errors(path):
                sync(path.parent)

    def _keep_rows(self, keep: int) -> None:
        """Reduce the parts to the first ``keep`` rows."""
        import pyarrow.parquet as pq

        counts = {part: pq.read_metadata(part).num_rows for part in self._parts()}
        if not counts and self.path.is_file():
            # an earlier run had already joined the parts: the file replaces them
            counts = {self.path: pq.read_metadata(self.path).num_rows}
        if sum(counts.values()) < keep:
            raise _too_few_rows_error(self.path, sum(counts.values()), keep)
        if self.path in counts:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.path.replace(self._part_path(0))
            counts = {self._part_path(0): counts[self.path]}
        before = 0
        for part, count in counts.items():
            self._schema = self._schema or pq.read_schema(part)
            if before >= keep:
                part.unlink()
            elif before + count > keep:
                self._save(part, self._schema, _first(_groups(part), keep - before))
            before += count
        self._part = 1 + int(self._parts()[-1].stem)

    def _parts(self) -> list[Path]:
        return sorted(self.folder.glob("[0-9]*.parquet"))

    def _part_path(self, number: int) -> Path:
        return self.folder / f"{number:06d}.parquet"


def write_rows(rows: FaceTable, path: str | os.PathLike[str]) -> Path:
    """Write a whole table at once as .csv, .jsonl or .parquet, by the suffix; the file appears when all is written.

    Args:
        rows: the table.
        path: the file; an existing one is replaced.

    Examples:
        >>> write_rows(report.rows, "rows.parquet").name
        'rows.parquet'
    """
    target = Path(path)
    kinds: dict[str, type[RowWriter]] = {".csv": CsvRows, ".jsonl": JsonlRows, ".parquet": ParquetRows}
    with atomic_path(target) as temporary, kinds[target.suffix.lower()](temporary) as writer:
        writer.write(rows)
    return target


def read_raw_rows(path: str | os.PathLike[str], *, mapped: bool = True) -> FaceTable:
    """The rows of a file of `RawRows`, without a partial record at its end, which a kill may leave.

    Args:
        path: the file.
        mapped: memory-map the records; otherwise all are loaded.

    Raises:
        MissingFileError: there is no such file.
        InputError: the file holds no raw rows, or those of another version.

    Examples:
        >>> with RawRows("rows.bin") as writer:
        ...     writer.write(report.rows)
        >>> read_raw_rows("rows.bin")
        FaceTable('clip.mp4', 50 rows, heads emotion, age)
    """
    file = Path(path)
    if not file.is_file():
        raise MissingFileError("no such file of rows", path=file)
    _, rows = _read_raw(file)
    if mapped or not len(rows):
        return rows
    return replace(rows, records=np.array(rows.records))


def frame_lines(rows: FaceTable) -> Iterator[str]:
    """One JSON object per frame without the line end, as from `VideoFrame.to_json`."""
    if not len(rows):
        return
    frames = rows.records["frame"]
    bounds = [0, *(np.flatnonzero(np.diff(frames)) + 1).tolist(), len(rows)]
    faces = face_objects(rows)
    for first, last in itertools.pairwise(bounds):
        present = [face for face in itertools.islice(faces, last - first) if face]
        yield json_line(frame_object(rows.records[first], rows.source, present))


def _too_few_rows_error(path: Path, rows: int, keep: int) -> InputError:
    return InputError(
        f"holds {rows} rows, but the run to resume had written {keep}",
        path=path,
        advice=_START_AGAIN,
        code="rows-missing",
        details={"rows": rows, "expected": keep},
    )


def _csv_rows_end(path: Path, rows: int) -> tuple[int, bytes]:
    """The byte after the header and the first rows, and the header itself."""
    header_end, lines, quotes, offset = 0, 0, 0, 0
    header = b""
    with _existing(path, rows).open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            codes = np.frombuffer(chunk, np.uint8)
            # a line ends only outside quotes, which double the quotes in them
            marks = codes == ord('"')
            outside = (np.cumsum(marks) + quotes) % 2 == 0
            ends = np.flatnonzero((codes == ord("\n")) & outside)
            if not header_end and len(ends):
                header_end = offset + int(ends[0]) + 1
            if lines + len(ends) > rows:
                end = offset + int(ends[rows - lines]) + 1
                stream.seek(0)
                header = stream.read(header_end)
                return end, header
            lines += len(ends)
            quotes += int(marks.sum())
            offset += len(chunk)
    raise _too_few_rows_error(path, max(lines - 1, 0), rows)


def _jsonl_rows_end(path: Path, rows: int) -> int:
    """The byte after the lines that hold the first rows."""
    count = end = 0
    with _existing(path, rows).open("rb") as stream:
        for line in stream:
            try:
                faces = len(json.loads(line)["faces"])
            except (ValueError, KeyError, TypeError):
                break  # a partial line
            count += max(faces, 1)
            end += len(line)
            if count == rows:
                return end
            if count > rows:
                raise InputError(f"no frame ends after {rows} rows", path=path, advice=_START_AGAIN, code="rows-differ")
    raise _too_few_rows_error(path, count, rows)


def _existing(path: Path, rows: int) -> Path:
    if not path.is_file():
        raise InputError(
            f"does not exist, but the run to resume had written {rows} rows to it",
            path=path,
            advice=_START_AGAIN,
            code="rows-missing",
            details={"rows": 0, "expected": rows},
        )
    return path


def _raw_header(rows: FaceTable) -> bytes:
    header = {
        "format": "mien rows 2",
        "source": rows.source,
        "heads": {name: _head_header(head) for name, head in rows.heads.items()},
        "columns": rows.records.dtype.descr,
    }
    return f"{json.dumps(header)}\n".encode()


def _head_header(head: Head) -> list[Any]:
    rule = None if head.rule is None else [head.rule.coverage, head.rule.by_class, list(head.rule.limits)]
    return [list(head.labels), head.ordered, head.interval, rule]


def _read_raw(path: Path) -> tuple[bytes, FaceTable]:
    """The header line, and the complete records after it, memory-mapped."""
    with path.open("rb") as stream:
        line = stream.readline()
        size = os.fstat(stream.fileno()).st_size
    try:
        header = json.loads(line)
        heads = {
            name: Head(
                name,
                tuple(labels),
                ordered=ordered,
                interval=interval,
                rule=None if rule is None else SetRule(rule[0], rule[1], tuple(rule[2])),
            )
            for name, (labels, ordered, interval, rule) in header["heads"].items()
        }
        empty = FaceTable.empty(heads, header["source"], video=True)
        known = _raw_header(empty) == line
    except (ValueError, KeyError, TypeError, AttributeError, RuntimeError):
        known = False
    if not known:
        raise InputError("holds no rows written by this version of mien", path=path)
    dtype = empty.records.dtype
    n = (size - len(line)) // dtype.itemsize
    if not n:  # an empty range cannot be mapped
        return line, empty
    return line, replace(empty, records=np.memmap(path, dtype, "r", len(line), (n,)))


def _arrow_table(columns: Sequence[Column[FaceTable]], rows: FaceTable, schema: Any) -> Any:
    import pyarrow as pa

    return pa.Table.from_pydict(flat_values(columns, rows), schema=schema)


def _groups(path: Path) -> Iterator[Any]:
    import pyarrow.parquet as pq

    with path.open("rb") as stream:
        file = pq.ParquetFile(stream)
        for i in range(file.num_row_groups):
            yield file.read_row_group(i)


def _first(tables: Iterable[Any], rows: int) -> Iterator[Any]:
    for table in tables:
        yield table.slice(0, rows)
        rows -= len(table)
        if rows <= 0:
            return
