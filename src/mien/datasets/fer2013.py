"""FER2013 (Goodfellow et al. 2013, https://arxiv.org/abs/1307.0414) from its CSV: ``emotion,pixels,Usage``.

35,887 gray faces of 48×48 pixels with one of seven labels; Training (28,709), PublicTest (3,589), PrivateTest (3,589).
"""

from __future__ import annotations

import contextlib
import gzip
import lzma
import os
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from mien.datasets.arrow import import_csv
from mien.datasets.dataset import Dataset, DatasetInfo
from mien.datasets.row_location import DAMAGED, RowLocation
from mien.errors import DataError, MissingFileError
from mien.labels import FER2013

SIZE = 48
"""Width and height of every image in pixels."""
USAGES = {"Training": "train", "PublicTest": "validation", "PrivateTest": "test"}
"""The CSV's ``Usage`` → the split."""
COLUMNS = ("emotion", "pixels", "Usage")

_PIXELS = SIZE * SIZE
_BLOCK_BYTES = 16 << 20
_SPACE = 32
_ZERO = 48
_DAMAGE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, RuntimeError, UnicodeDecodeError)
"""What the readers of .gz and .zip raise; an unknown or encrypting method of a zip is a RuntimeError, and its names
need not be text."""
_ADVICE = "the file is damaged or was edited; get it again"


def read_fer2013(path: str | os.PathLike[str]) -> Dataset:
    """Read ``fer2013.csv``, plain, ``.gz`` or ``.zip`` (the zip may hold other files beside it).

    The columns may be in any order. Rows keep the order of the file, by which FER+ votes are joined.

    Args:
        path: the file.

    Returns:
        Gray images ``(n, 48, 48, 1)`` with ``emotion`` in the order of `mien.labels.FER2013`.

    Raises:
        MissingFileError: no such file.
        DataError: another layout, or a row with a wrong number of pixels, something that is no whole number from 0 to
            255, an unknown label or an unknown Usage; ``details`` holds the data row (from 1) and the line of the file.
    """
    source = Path(path)
    if not source.is_file():
        raise MissingFileError("no such file", path=source, advice="give fer2013.csv, plain, as .gz or as .zip")
    images, emotions, splits = [], [], []
    done = 0
    for emotion, pixels, usage in _batches(source):
        images.append(_parse_pixels(source, pixels, done))
        emotions.append(_parse_emotions(source, emotion, done))
        splits.append(_parse_usages(source, usage, done))
        done += len(emotion)
    if not done:
        raise DataError("no rows below the header", path=source, advice=_ADVICE, code=DAMAGED)
    return Dataset(
        images=np.concatenate(images).reshape(done, SIZE, SIZE, 1),
        split=np.concatenate(splits),
        row=np.arange(done, dtype=np.int32),
        emotion=np.concatenate(emotions),
        info=DatasetInfo("fer2013", taxonomy=FER2013.name, source="FER2013, CSV layout"),
    )


def _batches(path: Path) -> Iterator[tuple[Any, Any, Any]]:
    """Arrow arrays (emotion, pixels, usage) of a few thousand rows each, as strings."""
    pa, pc = import_csv("reading fer2013.csv")
    short: list[Any] = []

    def refuse(row: Any) -> str:
        short.append(row)
        return "error"

    with open_csv(path) as stream:
        names = _header(path, stream)
        try:
            reader = pc.open_csv(
                stream,
                read_options=pc.ReadOptions(column_names=names, block_size=_BLOCK_BYTES, use_threads=False),
                parse_options=pc.ParseOptions(invalid_row_handler=refuse, ignore_empty_lines=False),
                convert_options=pc.ConvertOptions(
                    column_types={name: pa.binary() if name == "pixels" else pa.string() for name in names},
                    include_columns=list(COLUMNS),
                ),
            )
            for batch in reader:
                yield tuple(batch.column(name) for name in COLUMNS)
        except pa.ArrowInvalid as error:
            if "Empty CSV" in str(error):
                return
            if short and short[0].number is not None:
                # the header was read before, so Arrow's first row is the file's second line
                _fail(path, int(short[0].number) - 1, f"{short[0].actual_columns} columns instead of {len(names)}")
            reason = f"not the CSV of FER2013 ({str(error)[:120]})"
            raise DataError(reason, path=path, advice=_ADVICE, code=DAMAGED) from None


@contextlib.contextmanager
def open_csv(path: Path) -> Iterator[IO[bytes]]:
    """The CSV's bytes, decompressed by what the file holds and not by its suffix."""
    with path.open("rb") as raw:
        magic = raw.read(4)
        raw.seek(0)
        try:
            if magic[:2] == b"\x1f\x8b":
                with gzip.open(raw) as stream:
                    yield stream  # type: ignore[misc]
            elif magic == b"PK\x03\x04":
                with zipfile.ZipFile(raw) as archive, archive.open(_member(path, archive)) as member:
                    yield member
            else:
                yield raw
        except _DAMAGE as error:
            raise DataError(
                f"the compressed file is damaged ({error})", path=path, advice="get it again", code=DAMAGED
            ) from None


def _member(path: Path, archive: zipfile.ZipFile) -> str:
    names = [
        name for name in archive.namelist() if name.lower().endswith(".csv") and not Path(name).name.startswith(".")
    ]
    candidates = [name for name in names if Path(name).name.lower() == "fer2013.csv"] or names
    if len(candidates) != 1:
        raise DataError(
            f"expected one CSV in the zip, found {', '.join(candidates) or 'none'}",
            path=path,
            advice="unpack it and give the CSV itself",
        )
    return candidates[0]


def _header(path: Path, stream: IO[bytes]) -> list[str]:
    line = stream.readline(1 << 16)
    text = line.decode("utf-8-sig", "replace")
    names = [name.strip().strip('"') for name in text.split(",")]
    missing = [name for name in COLUMNS if name not in names]
    if missing:
        raise DataError(
            f"no column {missing[0]!r} in the header {text.strip()[:60]!r}",
            path=path,
            advice=f"FER2013's CSV has the columns {','.join(COLUMNS)}",
        )
    return names


def _parse_pixels(path: Path, column: Any, done: int) -> NDArray[np.uint8]:
    """Text such as ``70 80 82`` → ``(n, 2304)`` uint8, all numbers of a block at once."""
    n = len(column)
    offsets = np.frombuffer(column.buffers()[1], np.int32)[column.offset : column.offset + n + 1].astype(np.int64)
    text = np.frombuffer(column.buffers()[2] or b"", np.uint8)[offsets[0] : offsets[-1]]
    offsets -= offsets[0]
    starts, ends = _numbers(text, offsets)
    first = np.searchsorted(starts, offsets)
    digits = text - np.uint8(_ZERO)
    length = ends - starts
    value = digits[ends - 1].astype(np.int32)
    value += np.where(length >= 2, digits[np.maximum(ends - 2, 0)], 0) * 10
    value += np.where(length >= 3, digits[np.maximum(ends - 3, 0)], 0) * 100
    foreign = (digits > 9) & (text != _SPACE)
    wrong = np.zeros(n, bool)
    wrong |= np.diff(first) != _PIXELS
    for positions in (np.flatnonzero(foreign), starts[(length > 3) | (value > 255)]):
        wrong[np.searchsorted(offsets, positions, side="right") - 1] = True
    if wrong.any():
        i = int(wrong.argmax())
        _explain_pixels(path, bytes(text[offsets[i] : offsets[i + 1]]), done + i)
    return value.astype(np.uint8).reshape(n, _PIXELS)


def _numbers(text: NDArray[np.uint8], offsets: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Start and end of every run of non-spaces; a run also ends where a row does."""
    solid = text != _SPACE
    begins, stops = solid.copy(), solid.copy()
    begins[1:] &= ~solid[:-1]
    stops[:-1] &= ~solid[1:]
    filled = offsets[:-1][np.diff(offsets) > 0]
    begins[filled] = solid[filled]
    last = offsets[1:][np.diff(offsets) > 0] - 1
    stops[last] = solid[last]
    return np.flatnonzero(begins), np.flatnonzero(stops) + 1


def _explain_pixels(path: Path, text: bytes, row: int) -> NoReturn:
    words = text.decode("utf-8", "replace").split()
    for position, word in enumerate(words, 1):
        if not (word.isascii() and word.isdigit()):
            _fail(path, row, f"pixel {position} is {word[:20]!r}, not a whole number")
        if int(word[:20]) > 255:
            _fail(path, row, f"pixel {position} is {word[:20]}, expected 0–255")
    if len(words) != _PIXELS:
        _fail(path, row, f"{len(words)} pixels instead of {_PIXELS} ({SIZE}×{SIZE})")
    _fail(path, row, "the pixels must be numbers of at most three digits, separated by single spaces")


def _parse_emotions(path: Path, column: Any, done: int) -> NDArray[np.int8]:
    names = {str(i): i for i in range(len(FER2013))}
    known = ", ".join(f"{i} {name}" for i, name in enumerate(FER2013.names))
    return np.array(_lookup(path, column, done, names, "emotion", known), np.int8)


def _parse_usages(path: Path, column: Any, done: int) -> NDArray[np.str_]:
    return np.array(_lookup(path, column, done, USAGES, "Usage", ", ".join(USAGES)), np.str_)


def _lookup(path: Path, column: Any, done: int, names: dict[str, Any], what: str, known: str) -> list[Any]:
    values = [names.get(text.strip()) if text is not None else None for text in column.to_pylist()]
    if None in values:
        i = values.index(None)
        _fail(path, done + i, f"unknown {what} {str(column[i].as_py())[:30]!r}; expected one of {known}")
    return values


def _fail(path: Path, row: int, problem: str) -> NoReturn:
    """Raise for data row ``row``, counted from 0."""
    raise RowLocation(path, row + 1, row + 2).error(problem, advice=_ADVICE, code=DAMAGED)
