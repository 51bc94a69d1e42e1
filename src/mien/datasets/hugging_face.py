"""Parquet files as Hugging Face writes them, and the Arrow files of ``Dataset.save_to_disk``.

``image`` is a ``struct{bytes, path}``; labels are text, or numbers named in the schema's metadata (``ClassLabel``).
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.datasets.arrow import import_parquet, read_schema, unreadable_error
from mien.datasets.dataset import SPLIT_NAMES, Dataset, DatasetInfo, split_of
from mien.datasets.image_codec import CropFunction, gray_if_colourless, load_faces
from mien.datasets.label_names import (
    label_from_name,
    label_indices,
    number_names,
    own_taxonomy,
    smallest_taxonomy,
)
from mien.datasets.prepared_file import is_prepared
from mien.datasets.resplit import make_splits
from mien.datasets.row_location import DAMAGED, RowLocation
from mien.errors import DataError, InputError, MissingFileError

SUFFIXES = frozenset({".parquet", ".arrow"})
IMAGE_COLUMNS = ("image", "img", "img_bytes", "images")
_EMBED = "export the dataset with its images embedded"

LABEL_COLUMNS = ("label", "labels", "emotion", "emotions", "expression")
SPLIT_COLUMN = "split"

ParquetPaths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


def read_hugging_face(
    path: ParquetPaths,
    labels: Sequence[str] | None = None,
    size: int | None = None,
    *,
    own: bool = False,
    crop: CropFunction | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Dataset:
    """Read emotions from Hugging Face Parquet or Arrow files.

    Args:
        path: a file, several, or a folder that holds them. A file's split is in its column "split", in its name
            (``train-00000-of-…``) or in that of its folder; where no file has one, new splits are made, see
            `mien.datasets.resplit.make_splits`.
        labels: names of the labels 0, 1, …; required where the files do not name them, and used instead where they do.
        size: side in pixels to resize to; None keeps the size, which must then be the same for all images.
        own: whether the labels are classes of the dataset's own, whatever they are, instead of emotions.
        crop: crops the face of each image, see `mien.datasets.image_codec.load_faces`; needs ``size``.
        progress: called with (images done, images in all) while cropping.

    Returns:
        Images in the order of the files, gray where all of them are gray; ``row`` counts over all files. ``emotion`` is
        in the order of `mien.labels.FER2013`, of `mien.labels.FERPLUS` where contempt is among the labels, or of the
        names of its own classes.

    Raises:
        MissingFileError: no such file, or none in the folder.
        DataError: no image or label column, no split in a name, an unknown label, or an unreadable image.
    """
    blobs: list[NDArray[np.uint8]] = []
    locations: list[RowLocation] = []
    names: list[str] = []
    splits: list[str | None] = []
    files = parquet_files(path)
    for file in files:
        table = read_table(file)
        column = pick_column(file, table, LABEL_COLUMNS, "label")
        texts = label_texts(file, table, column, labels, own=own)
        names += texts if own else [_canonical(RowLocation(file, i), text) for i, text in enumerate(texts, 1)]
        blobs += image_bytes(file, table)
        locations += [RowLocation(file, i + 1) for i in range(len(table))]
        splits += table_splits(file, table)
    if not blobs:
        raise DataError("the files hold no rows", path=files[0], advice="get them again")
    taxonomy = own_taxonomy(names) if own else smallest_taxonomy(names)
    images, found = load_faces(locations, blobs.__getitem__, size, crop, progress)
    data = Dataset(
        images=gray_if_colourless(images),
        split=known_splits(splits, locations),
        row=np.arange(len(blobs), dtype=np.int32),
        emotion=label_indices(names, taxonomy),
        found=found,
        info=DatasetInfo(
            "hf", taxonomy=taxonomy.name, source="Hugging Face Parquet", classes=taxonomy.names if own else ()
        ),
    )
    return data if any(splits) else make_splits(data)


def parquet_files(path: ParquetPaths) -> list[Path]:
    """The given Parquet and Arrow files, and those in given folders (searched recursively, sorted by path)."""
    given = [path] if isinstance(path, (str, os.PathLike)) else list(path)
    files: list[Path] = []
    for item in map(Path, given):
        if item.is_dir():
            files += find_tables(item)
        elif item.is_file():
            files.append(item)
        else:
            raise MissingFileError(
                "no such file or folder", path=item, advice="give Parquet files or the folder that holds them"
            )
    if not files:
        raise MissingFileError("no .parquet file in it", path=", ".join(map(str, given)))
    return files


def find_tables(folder: Path) -> list[Path]:
    """The Parquet files in and below a folder, or where there is none its Arrow files, sorted by path.

    Prepared files among them are results, not a part of the dataset.
    """
    for suffix in (".parquet", ".arrow"):
        files = sorted(p for p in folder.rglob(f"*{suffix}") if not p.name.startswith((".", "cache-")))
        files = [path for path in files if suffix != ".parquet" or not is_prepared(path)]
        if files:
            return files
    return []


def split_from_name(path: Path) -> str | None:
    """The split in a file's name, or else in its folder's; None where neither has one, `DataError` for several."""
    folder = path.parent.name.lower().removeprefix("partial-")
    # the folder of a file may be any folder of the user's: its whole name must be that of a split
    for name in (path.stem, folder if folder in SPLIT_NAMES else ""):
        split = split_of(name)
        if split is not None:
            return split
        if re.search(r"train|test|valid", name.lower()) and len(_split_words(name)) > 1:
            raise DataError(
                "the name contains several splits",
                path=path,
                advice="rename the file to train….parquet, validation….parquet or test….parquet",
            )
    return None


def table_splits(path: Path, table: Any) -> list[str | None]:
    """The split of each row: of the column "split", or of the file's name; None where neither has one."""
    if SPLIT_COLUMN not in table.column_names:
        return [split_from_name(path)] * len(table)
    splits: list[str | None] = []
    for i, value in enumerate(table.column(SPLIT_COLUMN).to_pylist(), 1):
        split = split_of(str(value))
        if split is None:
            raise RowLocation(path, i).error(f"unknown split {value!r}", advice="expected train, validation or test")
        splits.append(split)
    return splits


def known_splits(splits: Sequence[str | None], locations: Sequence[RowLocation]) -> NDArray[np.str_]:
    """``(n,)`` str: the splits, "train" where no row has one; `DataError` where some have one and some do not."""
    if any(splits) and not all(splits):
        raise locations[splits.index(None)].error(
            "no split in the name of its file, while others have one",
            advice="rename the file to train….parquet, validation….parquet or test….parquet",
        )
    return np.array([split or "train" for split in splits])


def _split_words(name: str) -> set[str]:
    return {SPLIT_NAMES[word] for word in re.split(r"[^a-z]+", name.lower()) if word in SPLIT_NAMES}


def read_table(path: Path) -> Any:
    """One file as an Arrow table; raises `DataError` for a file that is neither Parquet nor Arrow."""
    pa, pq = import_parquet("reading Parquet")
    if path.suffix.lower() == ".arrow":
        return _read_arrow(path)
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


def _read_arrow(path: Path) -> Any:
    """An Arrow file, as a stream or with a footer."""
    pa, _ = import_parquet("reading Arrow files")
    try:
        with pa.OSFile(str(path), "rb") as source:
            opener = pa.ipc.open_file if source.read(6) == b"ARROW1" else pa.ipc.open_stream
            source.seek(0)
            with opener(source) as reader:
                table = reader.read_all()
        table.validate(full=True)
    except (pa.ArrowException, OSError) as error:
        raise unreadable_error(path, error, "Arrow file") from None
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


def label_texts(
    path: Path, table: Any, column: str, names: Sequence[str] | None = None, *, own: bool = False
) -> list[str]:
    """A label column as text: text as it is, numbers through ``names`` or the names in the schema's metadata.

    With ``own`` numbers without names are names themselves.

    Raises:
        DataError: numbers without names, a number out of range, or an empty cell.
    """
    pa, _ = import_parquet("reading Parquet")
    values = table.column(column).to_pylist()
    numbers = pa.types.is_integer(table.column(column).type)
    known = class_names(table, column) if names is None else number_names(names)
    if numbers and known is None and not own:
        raise DataError(
            f"column {column!r} holds numbers and the file does not name them",
            path=path,
            advice="give the names in their order, such as --labels angry,disgust,fear",
            code="labels-unnamed",
        )
    texts: list[str] = []
    for i, value in enumerate(values, 1):
        if value is None:
            raise RowLocation(path, i).error(f"no {column}", advice="remove the row or get the file again")
        if not numbers or known is None:
            texts.append(str(value))
        elif value in known:
            texts.append(known[value])
        else:
            shown = ", ".join(f"{number} {name}" for number, name in known.items())
            raise RowLocation(path, i).error(f"{column} is {value}, expected one of {shown}")
    return texts


def class_names(table: Any, column: str) -> dict[int, str] | None:
    """Number → name of the labels, as ``ClassLabel`` leaves them in the metadata; None where there are none."""
    text = (table.schema.metadata or {}).get(b"huggingface")
    if text is None:
        return None
    try:
        feature = json.loads(text)["info"]["features"][column]
        names = feature.get("names")
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return None
    return {i: str(name) for i, name in enumerate(names)} if isinstance(names, list) else None


def _canonical(location: RowLocation, text: str) -> str:
    try:
        return label_from_name(text)
    except InputError as error:
        raise location.error(
            error.reason,
            advice=f"{error.advice}; give the names in their order (--labels) if the file has others, or --labels own "
            "for classes of your own",
        ) from None
