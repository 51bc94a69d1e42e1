"""CSV files of datasets as people have them: packed, in UTF-8 or UTF-16, with commas, semicolons or tabs."""

from __future__ import annotations

import codecs
import contextlib
import csv
import io
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import IO

from mien.datasets.archives import open_unpacked
from mien.datasets.row_location import DAMAGED, RowLocation
from mien.errors import DataError
from mien.text_encodings import text_encoding

SEPARATORS = (",", ";", "\t", "|")
"""What separates the cells of a row."""
GET_AGAIN = "the file is damaged, get it again"
_LONGEST_LINE = 1 << 16
_CHUNK = 1 << 20


@contextlib.contextmanager
def open_table(path: Path, preferred: Sequence[str] = ()) -> Iterator[IO[bytes]]:
    """The text of a file as UTF-8 without byte order mark, unpacked where it is packed.

    Args:
        path: the file: plain, .gz, .bz2, .xz, .zip or .tar, by what it holds.
        preferred: names of files in an archive, the first that it holds is read; else its only CSV.

    Raises:
        DataError: a damaged archive, one without such a file, or no text.
    """

    def choose(names: list[str]) -> str:
        own = {PurePosixPath(name).name.lower(): name for name in reversed(names)}
        for name in preferred:
            if name in own:
                return own[name]
        tables = [name for name in names if name.lower().endswith(".csv")]
        if len(tables) != 1:
            raise DataError(
                f"expected one CSV in the archive, found {', '.join(tables) or 'none'}",
                path=path,
                advice="unpack it and give the CSV itself",
            )
        return tables[0]

    with open_unpacked(path, choose) as stream:
        start = stream.read(4)
        stream.seek(0)
        encoding = text_encoding(start)
        if encoding.startswith("utf-8"):
            stream.seek(len(codecs.BOM_UTF8) if encoding == "utf-8-sig" else 0)
            yield stream
        else:
            yield io.BufferedReader(_ReencodedStream(stream, encoding), _CHUNK)


class _ReencodedStream(io.RawIOBase):
    """A text in another encoding, read as UTF-8."""

    def __init__(self, stream: IO[bytes], encoding: str) -> None:
        self._stream, self._rest = stream, b""
        self._decoder = codecs.getincrementaldecoder(encoding)()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._rest:
            content = self._stream.read(_CHUNK)
            try:
                self._rest = self._decoder.decode(content, final=not content).encode()
            except UnicodeError as error:
                reason = f"begins as UTF-16 text, and is none ({error})"
                raise DataError(reason, advice="save it as UTF-8", code=DAMAGED) from None
            if not content:
                break
        count = min(len(buffer), len(self._rest))
        buffer[:count], self._rest = self._rest[:count], self._rest[count:]
        return count


def read_header(stream: IO[bytes]) -> tuple[list[str], str]:
    """The names of the columns in the first line, in small letters, and what separates them."""
    line = stream.readline(_LONGEST_LINE).decode("utf-8", "replace").strip("\r\n")
    return split_header(line)


def split_header(line: str) -> tuple[list[str], str]:
    """``"Emotion;pixels"`` → ``(["emotion", "pixels"], ";")``."""
    separator = max(SEPARATORS, key=line.count)
    return [name.strip().strip('"').strip().lower() for name in line.split(separator)], separator


def read_rows(
    path: Path, columns: Collection[str] = (), describe: Callable[[], str] | None = None
) -> Iterator[tuple[RowLocation, dict[str, str]]]:
    """The rows of a CSV that has these columns, each with its location; names in small letters, cells stripped.

    Rows whose cells are all empty, as spreadsheets leave them, are skipped.

    Raises:
        DataError: a column is missing, its advice from ``describe``; or a row has too few or too many cells.
    """
    with open_table(path) as stream:
        text = io.TextIOWrapper(
            io.BufferedReader(_UnclosedStream(stream), _CHUNK), encoding="utf-8", errors="replace", newline=""
        )
        header, separator = split_header(text.readline(_LONGEST_LINE).strip("\r\n"))
        missing = [name for name in columns if name not in header]
        if missing:
            advice = None if describe is None else describe()
            raise DataError(f"no column {missing[0]!r}", path=path, advice=advice)
        reader = csv.reader(text, delimiter=separator)
        try:
            for number, cells in enumerate(reader, 1):
                where = RowLocation(path, number, reader.line_num + 1)
                cells = [cell.strip() for cell in cells]
                if not any(cells):
                    continue
                if len(cells) < len(header) or any(cells[len(header) :]):
                    reason = f"{len(cells)} columns instead of {len(header)}"
                    raise where.error(reason, advice=GET_AGAIN, code=DAMAGED)
                yield where, dict(zip(header, cells, strict=False))
        except csv.Error as error:
            where = RowLocation(path, line=reader.line_num + 1)
            raise where.error(str(error), advice=GET_AGAIN, code=DAMAGED) from None


class _UnclosedStream(io.RawIOBase):
    """A stream that is not closed with the text on it: its owner closes it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        content = self._stream.read(len(buffer))
        buffer[: len(content)] = content
        return len(content)
