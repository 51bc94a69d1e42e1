"""Parquet files as Hugging Face writes them.

``image`` is a ``struct{bytes, path}``; labels are text, or numbers named in the schema's metadata (``ClassLabel``).
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.datasets.arrow import import_parquet, read_schema, unreadable_error
from mien.datasets.dataset import SPLIT_NAMES, Dataset, DatasetInfo
from mien.datasets.image_codec import gray_if_colourless, load_images
from mien.datasets.image_folders import label_indices, smallest_taxonomy
from mien.datasets.row_location import DAMAGED, RowLocation
from mien.errors import DataError, InputError, MissingFileError
from mien.labels import canonical

IMAGE_COLUMNS = ("image", "img", "img_bytes")
_EMBED = "export the dataset with its images embedded"

LABEL_COLUMNS = ("label", "labels", "emotion", "emotions")

ParquetPaths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


def read_hugging_face(path: ParquetPaths, labels: Sequence[str] | None = None, size: int | None = None) -> Dataset:
    """Read emotions from Hugging Face Parquet files.

    Args:
        path: a file, several, or a folder that holds them. A file's split is in its name (``train-00000-of-…``) or in
            that of its folder.
        labels: names of the labels 0, 1, …; required where the files do not name them, and used instead where they do.
        size: side in pixels to resize to; None keeps the size, which must then be the same for all images.

    Returns:
        Images in the order of the files, gray where all of them are gray; ``row`` counts over all files. ``emotion`` is
        in the order of `mien.labels.FER2013`, or of `mien.labels.FERPLUS` where contempt is among the labels.

    Raises:
        MissingFileError: no such file, or none in the folder.
        DataError: no image or label column, no split in a name, an unknown label, or an unreadable image.
    """
    blobs: list[NDArray[np.uint8]] = []
    locations: list[RowLocation] = []
    names: list[str] = []
    splits: list[str] = []
    files = parquet_files(path)
    for file in files:
        table = read_table(file)
        column = pick_column(file, table, LABEL_COLUMNS, "label")
        texts = label_texts(file, table, column, labels)
        names += [_canonical(RowLocation(file, i), text) for i, text in enumerate(texts, 1)]
        blobs += image_bytes(file, table)
        locations += [RowLocation(file, i + 1) for i in range(len(table))]
        splits += [split_from_name(file)] * len(table)
    if not blobs:
        raise DataError("the files hold no rows", path=files[0], advice="get them again")
    taxonomy = smallest_taxonomy(names)
    return Dataset(
        images=gray_if_colourless(load_images(locations, blobs.__getitem__, size)),
        split=np.array(splits),
        row=np.arange(len(blobs), dtype=np.int32),
        emotion=label_indices(names, taxonomy),
        info=DatasetInfo("hf", taxonomy=taxonomy.name, source="Hugging Face Parquet"),
    )


def parquet_files(path: ParquetPaths) -> list[Path]:
    """The given Parquet files, and those in given folders (searched recursively, sorted by path)."""
    given = [path] if isinstance(path, (str, os.PathLike)) else list(path)
    files: list[Path] = []
    for item in map(Path, given):
        if item.is_dir():
            files += sorted(p for p in item.rglob("*.parquet") if not p.name.startswith("."))
        elif item.is_file():
            files.append(item)
        else:
            raise MissingFileError(
                "no such file or folder", path=item, advice="give Parquet files or the folder that holds them"
            )
    if not files:
        raise MissingFileError("no .parquet file in it", path=", ".join(map(str, given)))
    return files


def split_from_name(path: Path) -> str:
    """The split in a file's name, or else in its folder's; raises `DataError` when neither has one."""
    for name in (path.stem, path.parent.name):
        splits = {SPLIT_NAMES[word] for word in re.split(r"[^a-z]+", name.lower()) if word in SPLIT_NAMES}
        if len(splits) == 1:
            return splits.pop()
        if splits:
            break
    raise DataError(
        "the name does not contain one split",
        path=path,
        advice="rename the file to train….parquet, validation….parquet or test….parquet",
    )


def read_table(path: Path) -> Any:
    """One file as an Arrow table; raises `DataError` for a file that is not Parquet."""
    pa, pq = import_parquet("reading Parquet")
    read_schema(path)
    try:
        # hive partitioning off: a folder named a=b must not become a column
        table = pq.read_table(path, partitioning=None)
        table.validate(full=True)  # Parquet does not check that text is text
    except (pa.ArrowException, OSError) as error:
        raise unreadable_error(path, error) from None
    stated = pq.read_metadata(path).num_rows
    if len(table) != stated:
        # Arrow stops without an error where every column holds less than its row group states
        raise DataError(
            f"holds {len(table):,} rows and states {stated:,}",
            path=path,
            advice="the file is damaged, get it again",
            code=DAMAGED,
            details={"rows": len(table), "stated": stated},
        )
    return table


def pick_column(path: Path, table: Any, candidates: Sequence[str], what: str) -> str:
    """The first of ``candidates`` that the table has; raises `DataError` with both lists."""
    for name in candidates:
        if name in table.column_names:
            return name
    raise DataError(
        f"no {what} column: expected one of {', '.join(candidates)}, found {', '.join(table.column_names)}", path=path
    )


def image_bytes(path: Path, table: Any) -> list[NDArray[np.uint8]]:
    """The encoded bytes of every image as uint8 views on Arrow's memory; raises `DataError` where one is missing."""
    pa, _ = import_parquet("reading Parquet")
    column = table.column(pick_column(path, table, IMAGE_COLUMNS, "image"))
    if pa.types.is_struct(column.type):
        if column.type.get_field_index("bytes") < 0:
            raise DataError("the image column holds no bytes", path=path, advice=_EMBED)
        chunks = [chunk.field("bytes") for chunk in column.chunks]
    else:
        chunks = column.chunks
    if chunks and not (pa.types.is_binary(chunks[0].type) or pa.types.is_large_binary(chunks[0].type)):
        raise DataError(
            f"images must be binary, this column is {chunks[0].type}", path=path, advice="export them as encoded images"
        )
    values = [value for chunk in chunks for value in chunk]
    for i, value in enumerate(values, 1):
        if not value.is_valid:
            raise RowLocation(path, i).error("no image bytes", advice=_EMBED)
    return [np.frombuffer(value.as_buffer(), np.uint8) for value in values]


def label_texts(path: Path, table: Any, column: str, names: Sequence[str] | None = None) -> list[str]:
    """A label column as text: text as it is, numbers through ``names`` or the names in the schema's metadata.

    Raises:
        DataError: numbers without names, a number out of range, or an empty cell.
    """
    pa, _ = import_parquet("reading Parquet")
    values = table.column(column).to_pylist()
    numbers = pa.types.is_integer(table.column(column).type)
    known = list(names) if names is not None else class_names(table, column)
    if numbers and known is None:
        raise DataError(
            f"column {column!r} holds numbers and the file does not name them",
            path=path,
            advice="give the label order",
            code="labels-unnamed",
        )
    texts: list[str] = []
    for i, value in enumerate(values, 1):
        if value is None:
            raise RowLocation(path, i).error(f"no {column}", advice="remove the row or get the file again")
        if not numbers or known is None:
            texts.append(str(value))
        elif 0 <= value < len(known):
            texts.append(known[value])
        else:
            raise RowLocation(path, i).error(f"{column} is {value}, expected 0–{len(known) - 1} ({', '.join(known)})")
    return texts


def class_names(table: Any, column: str) -> list[str] | None:
    """Names of the labels 0, 1, … that ``ClassLabel`` leaves in the metadata, None where there are none."""
    text = (table.schema.metadata or {}).get(b"huggingface")
    if text is None:
        return None
    try:
        feature = json.loads(text)["info"]["features"][column]
        names = feature.get("names")
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return None
    return [str(name) for name in names] if isinstance(names, list) else None


def _canonical(location: RowLocation, text: str) -> str:
    try:
        return canonical(text)
    except InputError as error:
        raise location.error(
            error.reason,
            advice=f"{error.advice}; give the label order if the file has other names for its labels",
        ) from None
