"""The table of a video written as it grows: CSV, JSON lines, Parquet and raw records.

A long analysis must survive a kill. Each writer puts whole frames at the end of its file, `RowWriter.flush` waits until
they are on the disk, and a writer that is opened again with ``keep``, the number of rows that a checkpoint counted,
throws away what lies beyond them and goes on; the finished file is the one that an uninterrupted run would have made.
Several videos may share a file: rows name their source.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from mien.errors import InputError, MissingExtraError, MissingFileError, OutputError
from mien.files import (
    Appended,
    atomic_path,
    discard,
    is_special,
    output_file,
    parts_folder,
    refuse_inputs,
    sync,
    writing,
)
from mien.models.card import Head
from mien.results.columns import arrow_schema
from mien.results.face_columns import FaceTable, face_objects
from mien.results.video import frame_object, json_line

if TYPE_CHECKING:
    from typing_extensions import Self

_NOTHING = FaceTable.empty({}, None, video=True)
"""What the columns are where no row was ever written."""
_CHUNK = 1 << 20
_PART, _ROW_GROUP = 4_096, 65_536
"""Rows of a Parquet part, which is what a flush writes again at most, and of a row group of the joined file."""


class RowWriter(ABC):
    """Where the rows of a video go. A context manager: closed at its end, or, after an error, stopped.

    Attributes:
        path: the file.
        rows: rows written so far, with those that were kept: what a checkpoint remembers.
    """

    def __init__(self, path: str | os.PathLike[str], *, keep: int | None = None) -> None:
        """Write to ``path``.

        Args:
            path: the file; its folder is made.
            keep: rows of an existing file to go on after; None starts anew, and what the file held is lost.

        Raises:
            InputError: ``path`` is a folder, or holds fewer rows than are to be kept.
            OutputError: it cannot be written.
        """
        if keep is not None and keep < 0:
            raise InputError(f"keep is a number of rows, at least 0, got {keep}")
        self.path = output_file(path)
        self.rows = keep or 0
        self._open = True
        self._fixed: np.dtype[np.void] | None = None
        self._sources: set[str] = set()
        self._start(self.rows)

    def write(self, rows: FaceTable) -> None:
        """Add rows, of whole frames.

        Raises:
            InputError: they have other columns than the rows before them, the file is closed, or is the video itself.
            OutputError: they cannot be written.
        """
        if not self._open:
            raise InputError(f"{self.path}: is closed: open it again with keep={self.rows} to go on")
        columns = rows.records.dtype
        if self._fixed not in (None, columns):
            raise self._other_columns()
        if rows.source is not None and rows.source not in self._sources:
            refuse_inputs(self.path, [rows.source])
            self._sources.add(rows.source)
        self._append(rows)
        self._fixed = columns
        self.rows += len(rows)

    @abstractmethod
    def flush(self) -> None:
        """Return when what was written is on the disk and others can read it; `OutputError` where that fails."""

    def close(self) -> None:
        """Finish the file; again does no harm."""
        if self._open:
            self._finish()
            self.stop()

    def stop(self) -> None:
        """Let go without finishing: what was written stays for a later run to go on with."""
        if self._open:
            self._open = False
            self._leave()

    @abstractmethod
    def _start(self, keep: int) -> None: ...

    @abstractmethod
    def _append(self, rows: FaceTable) -> None: ...

    @abstractmethod
    def _finish(self) -> None: ...

    @abstractmethod
    def _leave(self) -> None: ...

    def _other_columns(self) -> InputError:
        return InputError(
            f"{self.path}: these rows have other predictions than those before: "
            "write the results of each model to a file of their own"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is None:
            self.close()
        else:
            self.stop()


class _Growing(RowWriter):
    """A file that is whole after every row."""

    _file: Appended

    def flush(self) -> None:
        """Return when what was written is on the disk and others can read it; `OutputError` where that fails."""
        self._file.sync()

    def _finish(self) -> None:
        self._file.sync()

    def _leave(self) -> None:
        self._file.close()


class CsvRows(_Growing):
    """One line a face and frame, with the columns of `FaceTable.to_columns`: UTF-8, RFC 4180 quoting, a header."""

    def _start(self, keep: int) -> None:
        end, self._header = _csv_rows_end(self.path, keep) if keep else (0, b"")
        self._file = Appended(self.path, end)

    def _append(self, rows: FaceTable) -> None:
        columns = rows.to_columns()
        self._begin(columns)
        text = io.StringIO(newline="")
        # before Python 3.13 a lone carriage return, which a file name may hold, was not quoted
        odd = "\r" in (rows.source or "")
        writer = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL if odd else csv.QUOTE_MINIMAL)
        writer.writerows(zip(*columns.values(), strict=True))
        self._file.append(text.getvalue().encode("utf-8"))

    def _finish(self) -> None:
        if not self._header:
            self._begin(_NOTHING.to_columns())
        super()._finish()

    def _begin(self, names: Iterable[str]) -> None:
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\n").writerow(names)
        header = text.getvalue().encode("utf-8")
        if not self._header:
            self._file.append(header)
            self._header = header
        if self._header != header:
            raise self._other_columns()


class JsonlRows(_Growing):
    """One JSON object a frame and line, with its faces: `frame_lines`."""

    def _start(self, keep: int) -> None:
        self._file = Appended(self.path, _jsonl_rows_end(self.path, keep) if keep else 0)

    def _append(self, rows: FaceTable) -> None:
        self._file.append("".join(f"{line}\n" for line in frame_lines(rows)).encode("utf-8"))


class Spool(_Growing):
    """Raw records at the end of a file, after one line of JSON that tells their columns.

    It holds the rows of one video, nothing is rounded, and reading it costs no time: memory-mapped, a table of any
    length is there at once (`read_spool`).
    """

    def read(self, *, mapped: bool = True) -> FaceTable:
        """All rows written so far, as `read_spool` gives them."""
        return read_spool(self.path, mapped=mapped)

    def _start(self, keep: int) -> None:
        self._header, end = b"", 0
        if keep:
            self._header, there = _spool(_existing(self.path, keep))
            if len(there) < keep:
                raise _too_few(self.path, len(there), keep)
            end = len(self._header) + keep * there.records.dtype.itemsize
        self._file = Appended(self.path, end)

    def _append(self, rows: FaceTable) -> None:
        header = _spool_header(rows)
        if not self._header:
            self._file.append(header)
            self._header = header
        if self._header != header:
            raise InputError(f"{self.path}: holds rows of another video or model: write these to a file of their own")
        self._file.append(rows.records.tobytes())


class ParquetRows(RowWriter):
    """One row a face and frame as Parquet (zstd), with the columns of `FaceTable.to_columns`; needs pyarrow.

    Until it is closed the rows are in the folder ``<name>.parts``, as Parquet files that readers take as one table
    (``pandas.read_parquet`` on the folder); closing joins them into the file and removes the folder.
    """

    _schema: Any
    _held: list[Any]
    _fresh: list[Any]
    _part: int

    def flush(self) -> None:
        """Return when what was written is on the disk and others can read it; `OutputError` where that fails."""
        if self._fresh:
            import pyarrow as pa

            table = pa.concat_tables([*self._held, *self._fresh]).combine_chunks()
            self._save(self._part_path(self._part), self._schema, [table])
            # a small part is written again with the next rows, or a long video would leave thousands
            self._held, self._fresh = [table], []
            if len(table) >= _PART:
                self._held, self._part = [], self._part + 1

    def _start(self, keep: int) -> None:
        try:
            import pyarrow as pa  # noqa: F401
        except ImportError:
            raise MissingExtraError("pyarrow", "tables", "Parquet output") from None
        self.folder = parts_folder(self.path)
        self._schema, self._held, self._fresh, self._part = None, [], [], 0
        with writing(self.folder):
            if keep:
                self._keep(keep)
            else:
                discard(self.folder)
            self.folder.mkdir(parents=True, exist_ok=True)

    def _append(self, rows: FaceTable) -> None:
        schema = arrow_schema(rows.columns)
        if self._schema is not None and not self._schema.equals(schema):
            raise self._other_columns()
        self._schema = schema
        for start in range(0, len(rows), _PART):
            self._fresh.append(_arrow_table(rows, start, start + _PART, schema))
        if sum(len(table) for table in self._fresh) >= _PART:
            self.flush()

    def _finish(self) -> None:
        self.flush()
        tables = (table for part in self._parts() for table in _groups(part))
        self._save(self.path, self._schema or arrow_schema(_NOTHING.columns), tables)
        discard(self.folder)

    def _leave(self) -> None:
        with suppress(OutputError):
            self.flush()
        if is_special(self.path):
            discard(self.folder)

    def _save(self, path: Path, schema: Any, tables: Iterable[Any]) -> None:
        """All tables as one file, in row groups of even size; at most one group is in memory."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        texts = [field.name for field in schema if pa.types.is_dictionary(field.type)]
        # Arrow opens only names that are text, Python all
        with writing(path), atomic_path(path, folder=self.folder) as temporary, temporary.open("wb") as stream:
            with pq.ParquetWriter(stream, schema, compression="zstd", use_dictionary=texts) as writer:
                held: list[Any] = []
                for table in tables:
                    held.append(table)
                    if sum(len(part) for part in held) >= _ROW_GROUP:
                        whole = pa.concat_tables(held)
                        writer.write_table(whole.slice(0, _ROW_GROUP).unify_dictionaries())
                        held = [whole.slice(_ROW_GROUP)]
                if rest := [part for part in held if len(part)]:
                    writer.write_table(pa.concat_tables(rest).unify_dictionaries())
            stream.flush()
            os.fsync(stream.fileno())
        if not is_special(path):
            with writing(path):
                sync(path.parent)

    def _keep(self, keep: int) -> None:
        """Leave parts that hold exactly the first ``keep`` rows."""
        import pyarrow.parquet as pq

        counts = {part: pq.read_metadata(part).num_rows for part in self._parts()}
        if not counts and self.path.is_file():
            # the run before had joined the parts: the file takes their place
            counts = {self.path: pq.read_metadata(self.path).num_rows}
        if sum(counts.values()) < keep:
            raise _too_few(self.path, sum(counts.values()), keep)
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


def read_spool(path: str | os.PathLike[str], *, mapped: bool = True) -> FaceTable:
    """The rows of a `Spool`; half a record at its end, which a kill may leave, is left out.

    Args:
        path: the file.
        mapped: records stay in the file and are read when they are looked at; otherwise all are loaded.

    Raises:
        MissingFileError: there is no such file.
        InputError: the file is no spool, or one of another version.
    """
    file = Path(path)
    if not file.is_file():
        raise MissingFileError(f"{file}: no such file of rows")
    _, rows = _spool(file)
    if mapped or not len(rows):
        return rows
    return replace(rows, records=np.array(rows.records))


def frame_lines(rows: FaceTable) -> Iterator[str]:
    """One JSON object per frame, without the end of the line: what `VideoFrame.to_json` returns."""
    if not len(rows):
        return
    frames = rows.records["frame"]
    bounds = [0, *(np.flatnonzero(np.diff(frames)) + 1).tolist(), len(rows)]
    faces = face_objects(rows)
    for first, last in itertools.pairwise(bounds):
        shown = [face for face in itertools.islice(faces, last - first) if face]
        yield json_line(frame_object(rows.records[first], rows.source, shown))


def _too_few(path: Path, there: int, keep: int) -> InputError:
    return InputError(f"{path}: holds {there} rows where the run to go on with had written {keep}: start it anew")


def _csv_rows_end(path: Path, rows: int) -> tuple[int, bytes]:
    """The byte after the header and the first rows, and the header itself."""
    header_end, seen, quotes, at = 0, 0, 0, 0
    header = b""
    with _existing(path, rows).open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            codes = np.frombuffer(chunk, np.uint8)
            # a line ends only outside quotes, which double the quotes in them
            marks = codes == ord('"')
            outside = (np.cumsum(marks) + quotes) % 2 == 0
            ends = np.flatnonzero((codes == ord("\n")) & outside)
            if not header_end and len(ends):
                header_end = at + int(ends[0]) + 1
            if seen + len(ends) > rows:
                end = at + int(ends[rows - seen]) + 1
                stream.seek(0)
                header = stream.read(header_end)
                return end, header
            seen += len(ends)
            quotes += int(marks.sum())
            at += len(chunk)
    raise _too_few(path, max(seen - 1, 0), rows)


def _jsonl_rows_end(path: Path, rows: int) -> int:
    """The byte after the lines that hold the first rows."""
    seen = end = 0
    with _existing(path, rows).open("rb") as stream:
        for line in stream:
            try:
                faces = len(json.loads(line)["faces"])
            except (ValueError, KeyError, TypeError):
                break  # half a line
            seen += max(faces, 1)
            end += len(line)
            if seen == rows:
                return end
            if seen > rows:
                raise InputError(f"{path}: no frame ends after {rows} rows: start the run anew")
    raise _too_few(path, seen, rows)


def _existing(path: Path, rows: int) -> Path:
    if not path.is_file():
        raise InputError(f"{path}: is gone, but the run to go on with had written {rows} rows to it: start it anew")
    return path


def _spool_header(rows: FaceTable) -> bytes:
    header = {
        "format": "mien rows 2",
        "source": rows.source,
        "heads": {name: [list(h.labels), h.ordered, h.interval] for name, h in rows.heads.items()},
        "columns": rows.records.dtype.descr,
    }
    return f"{json.dumps(header)}\n".encode()


def _spool(path: Path) -> tuple[bytes, FaceTable]:
    """The first line, and the whole records behind it, memory-mapped."""
    with path.open("rb") as stream:
        line = stream.readline()
        size = os.fstat(stream.fileno()).st_size
    try:
        header = json.loads(line)
        heads = {
            name: Head(name, tuple(labels), ordered=ordered, interval=interval)
            for name, (labels, ordered, interval) in header["heads"].items()
        }
        empty = FaceTable.empty(heads, header["source"], video=True)
        known = _spool_header(empty) == line
    except (ValueError, KeyError, TypeError, AttributeError, RuntimeError):
        known = False
    if not known:
        raise InputError("holds no rows that this version of mien has written", path=path)
    dtype = empty.records.dtype
    n = (size - len(line)) // dtype.itemsize
    if not n:  # nothing cannot be mapped
        return line, empty
    return line, replace(empty, records=np.memmap(path, dtype, "r", len(line), (n,)))


def _arrow_table(rows: FaceTable, start: int, stop: int, schema: Any) -> Any:
    import pyarrow as pa

    return pa.Table.from_pydict(rows.rows(start, stop).to_columns(), schema=schema)


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
