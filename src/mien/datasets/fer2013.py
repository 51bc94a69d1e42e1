"""FER2013 (Goodfellow et al. 2013, https://arxiv.org/abs/1307.0414) from its CSV: ``emotion,pixels,Usage``.

35,887 gray faces of 48×48 pixels with one of seven labels; Training (28,709), PublicTest (3,589), PrivateTest (3,589).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from mien.datasets.arrow import import_csv
from mien.datasets.dataset import SPLIT_NAMES, Dataset, DatasetInfo
from mien.datasets.label_names import emotion_numbers
from mien.datasets.resplit import make_splits
from mien.datasets.row_location import DAMAGED, RowLocation
from mien.datasets.text_tables import SEPARATORS, open_table, read_header
from mien.errors import DataError, MissingFileError
from mien.labels import ALIASES, FER2013, Taxonomy

SIZE = 48
"""Width and height of every image in pixels."""
COLUMNS = ("emotion", "pixels", "Usage")
FILES = ("fer2013.csv", "icml_face_data.csv", "fer2013.tar.gz", "fer2013.csv.gz", "fer2013.csv.zip", "fer2013.zip")
"""Names under which it is distributed, the ones that are read first in front."""

_PIXELS = SIZE * SIZE
_BLOCK_BYTES = 16 << 20
_LONGEST_ROW = 64 << 20
_SPACE = 32
_ZERO = 48
_EMPTY_LINES = " \t\r\n" + "".join(SEPARATORS)
"""What lines without content consist of."""
_ADVICE = "the file is damaged or was edited; get it again"


def read_fer2013(path: str | os.PathLike[str], labels: Sequence[str] | None = None) -> Dataset:
    """Read FER2013's CSV, or another with its columns: plain or packed (.gz, .zip, .tar.gz as it is distributed).

    The columns may be in any order, separated by commas, semicolons or tabs, with further ones between them. Rows keep
    the order of the file, by which FER+ votes are joined. Without a column Usage new splits are made, see
    `mien.datasets.resplit.make_splits`.

    Args:
        path: the file.
        labels: names of the labels 0, 1, … where they are not FER2013's; see `mien.datasets.label_names`.

    Returns:
        Gray images ``(n, 48, 48, 1)`` with ``emotion`` in the order of `mien.labels.FER2013`.

    Raises:
        MissingFileError: no such file.
        DataError: another layout, or a row with a wrong number of pixels, something that is no whole number from 0 to
            255, an unknown label or an unknown Usage; ``details`` holds the data row (from 1) and the line of the file.
    """
    source = Path(path)
    if not source.is_file():
        raise MissingFileError("no such file", path=source, advice="give fer2013.csv, plain or packed as .gz or .zip")
    taxonomy, numbers = emotion_numbers(FER2013.names if labels is None else labels)
    images, emotions, splits = [], [], []
    has_splits = True
    done = 0
    for emotion, pixels, usage in _batches(source):
        images.append(_parse_pixels(source, pixels, done))
        emotions.append(_parse_emotions(source, emotion, done, taxonomy, numbers))
        has_splits = usage is not None
        splits.append(_parse_usages(source, usage, done) if has_splits else np.full(len(emotion), "train"))
        done += len(emotion)
    if not done:
        raise DataError("no rows below the header", path=source, advice=_ADVICE, code=DAMAGED)
    data = Dataset(
        images=np.concatenate(images).reshape(done, SIZE, SIZE, 1),
        split=np.concatenate(splits),
        row=np.arange(done, dtype=np.int32),
        emotion=np.concatenate(emotions),
        info=DatasetInfo("fer2013", taxonomy=taxonomy.name, source="FER2013, CSV layout"),
    )
    return data if has_splits else make_splits(data)


def open_text(path: Path) -> AbstractContextManager[IO[bytes]]:
    """The text of the CSV; of an archive that holds several, the one that all of FER2013 is in."""
    return open_table(path, FILES)


def has_columns(path: Path) -> bool:
    """Whether a CSV has columns of emotions and pixels."""
    with open_text(path) as stream:
        return {"emotion", "pixels"} <= set(read_header(stream)[0])


def _batches(path: Path) -> Iterator[tuple[Any, Any, Any]]:
    """Arrow arrays (emotion, pixels, usage) of a few thousand rows each, as strings; None for an absent usage."""
    pa, pc = import_csv("reading fer2013.csv")
    done = 0
    with open_text(path) as stream:
        names, separator = _header(path, stream)
        for block in _blocks(path, stream):
            short: list[Any] = []

            def refuse(row: Any, short: list[Any] = short) -> str:
                short.append(row)
                return "error"

            try:
                # from memory: Arrow reads ahead from a file of Python on a thread of its own, which a program that
                # ends meanwhile does not survive
                table = pc.read_csv(
                    pa.BufferReader(block),
                    read_options=pc.ReadOptions(column_names=names, block_size=len(block) + 1, use_threads=False),
                    parse_options=pc.ParseOptions(
                        delimiter=separator, invalid_row_handler=refuse, ignore_empty_lines=False
                    ),
                    convert_options=pc.ConvertOptions(
                        column_types={name: pa.binary() if name == "pixels" else pa.string() for name in names},
                        include_columns=[name.lower() for name in COLUMNS if name.lower() in names],
                    ),
                ).combine_chunks()
            except pa.ArrowInvalid as error:
                if short and short[0].number is not None:
                    row = done + int(short[0].number) - 1
                    _fail(path, row, f"{short[0].actual_columns} columns instead of {len(names)}")
                reason = f"not the CSV of FER2013 ({str(error)[:120]})"
                raise DataError(reason, path=path, advice=_ADVICE, code=DAMAGED) from None
            for batch in table.to_batches():
                usage = batch.column("usage") if "usage" in names else None
                yield batch.column("emotion"), batch.column("pixels"), usage
            done += len(table)


def _blocks(path: Path, stream: IO[bytes]) -> Iterator[bytes]:
    """Whole lines of the file, some megabytes at once, without empty lines at its end."""
    rest = b""
    while chunk := stream.read(_BLOCK_BYTES):
        text = rest + chunk
        # lines that may be the empty ones at the end wait for what follows
        solid = len(text.rstrip(_EMPTY_LINES.encode()))
        end = (text.find(b"\n", solid) + 1 or text.rfind(b"\n") + 1) if solid else 0
        if not end and len(text) > _LONGEST_ROW:
            raise DataError("holds no line ends", path=path, advice=_ADVICE, code=DAMAGED)
        if end:
            yield text[:end]
        rest = text[end:]
    if rest.strip(_EMPTY_LINES.encode()):
        yield rest


def _header(path: Path, stream: IO[bytes]) -> tuple[list[str], str]:
    """The names of the columns in small letters, and what separates them."""
    names, separator = read_header(stream)
    wanted = f"FER2013's CSV has the columns {','.join(COLUMNS)}"
    missing = [name for name in COLUMNS[:2] if name not in names]
    if missing == ["emotion"]:
        raise DataError(
            "has pixels and no column 'emotion', so nothing can be learnt from it",
            path=path,
            advice=f"{wanted}; Kaggle's test.csv has no labels, icml_face_data.csv holds all of them",
        )
    if missing:
        header = separator.join(names)[:60]
        raise DataError(f"no column {missing[0]!r} in the header {header!r}", path=path, advice=wanted)
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise DataError(f"has two columns {', '.join(map(repr, repeated))}", path=path, advice=wanted)
    return names, separator


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


def _parse_emotions(
    path: Path, column: Any, done: int, taxonomy: Taxonomy, numbers: Mapping[int, int]
) -> NDArray[np.int8]:
    # names in the place of numbers mean the same
    names = {alias: taxonomy.index[name] for alias, name in ALIASES.items() if name in taxonomy.index}
    names |= {**taxonomy.index, **{str(number): index for number, index in numbers.items()}}
    known = ", ".join(f"{number} {taxonomy.names[index]}" for number, index in numbers.items())
    advice = f"{_ADVICE}, or give the names of other labels in their order (--labels)"
    return np.array(_lookup(path, column, done, names, ("emotion", known, advice)), np.int8)


def _parse_usages(path: Path, column: Any, done: int) -> NDArray[np.str_]:
    known = "Training, PublicTest, PrivateTest"
    return np.array(_lookup(path, column, done, SPLIT_NAMES, ("Usage", known, _ADVICE)), np.str_)


def _lookup(path: Path, column: Any, done: int, names: Mapping[str, Any], texts: tuple[str, str, str]) -> list[Any]:
    """Names of what is in a column, of what is known, and advice are in ``texts``."""
    values = [None if text is None else names.get(text.strip().lower()) for text in column.to_pylist()]
    if None in values:
        i = values.index(None)
        what, known, advice = texts
        cell = str(column[i].as_py())[:30].strip()
        _fail(path, done + i, f"unknown {what} {cell!r}; expected one of {known}", advice)
    return values


def _fail(path: Path, row: int, problem: str, advice: str = _ADVICE) -> NoReturn:
    """Raise for data row ``row``, counted from 0."""
    raise RowLocation(path, row + 1, row + 2).error(problem, advice=advice, code=DAMAGED)
