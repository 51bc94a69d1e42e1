"""The prepared file that training reads: lossless images and labels in one Parquet file.

Columns: ``image`` (binary, a lossless PNG or WebP), ``split`` (string), ``row`` (int32, row in the source) and the
labels that the dataset has: ``emotion`` (int8), ``votes`` (10 × int8), ``age`` (int8), ``gender`` and ``race``
(dictionary of strings), ``found`` (bool); then one column per feature, ``feature_NAME`` (fixed-size list of float32),
such as ``feature_hog`` of 72. The schema's metadata key ``mien.dataset`` holds a JSON description with the SHA-256 of
the decoded pixels and labels, which is verified on load.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.datasets.arrow import import_parquet, read_schema, unreadable_error
from mien.datasets.dataset import LABEL_COLUMNS, Dataset, DatasetInfo
from mien.datasets.image_codec import decode_images, encode_images
from mien.datasets.row_location import DAMAGED
from mien.errors import DataError, InputError, MienError, MissingFileError
from mien.files import atomic_path
from mien.labels import FERPLUS_COLUMNS

METADATA_KEY = b"mien.dataset"
FEATURE_PREFIX = "feature_"
"""Prefix of the names of feature columns."""
VERSION = 1
"""Version of the file's layout, not of the dataset."""
_WHAT = "a prepared dataset"
_NAME, _ADVICE = "prepared dataset", "give a file that `mien data prepare` wrote, or prepare it again"
_ROW_GROUP = 8192
_LARGEST = 1 << 14
"""Maximum side of an image, pixels."""


def write_prepared(dataset: Dataset, path: str | os.PathLike[str]) -> Path:
    """Write the prepared file: equal input gives equal bytes, and an interrupted run leaves no partial file.

    Args:
        dataset: the dataset.
        path: the file; parent folders are made.

    Returns:
        The path.

    Examples:
        >>> write_prepared(dataset, "copy.parquet").read_bytes() == Path("made.parquet").read_bytes()
        True
    """
    pa, pq = import_parquet(_WHAT)
    width, height = dataset.size
    document = {
        "name": dataset.info.name,
        "version": VERSION,
        "taxonomy": dataset.info.taxonomy,
        **({"classes": list(dataset.info.classes)} if dataset.info.classes else {}),
        "size": [width, height],
        "channels": dataset.channels,
        "images": len(dataset),
        "source": dataset.info.source,
        "notes": list(dataset.info.notes),
        "dropped": [{"reason": reason, "count": count} for reason, count in dataset.info.dropped],
        "sha256": dataset.sha256(),
    }
    columns: dict[str, Any] = {
        "image": pa.array(encode_images(dataset.images), pa.binary()),
        "split": pa.array(dataset.split.tolist(), pa.string()),
        "row": pa.array(dataset.row, pa.int32()),
    }
    for name, values in dataset.labels().items():
        columns[name] = _to_arrow(pa, name, values)
    for name in sorted(dataset.features):
        vectors = dataset.features[name]
        flat = pa.array(vectors.reshape(-1), pa.float32())
        columns[FEATURE_PREFIX + name] = pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])
    metadata = {METADATA_KEY: json.dumps(document, ensure_ascii=False, sort_keys=True).encode()}
    table = pa.table(columns).replace_schema_metadata(metadata)
    small = [name for name in columns if name != "image" and not name.startswith(FEATURE_PREFIX)]
    target = Path(path)
    with atomic_path(target) as temporary:
        pq.write_table(
            table,
            temporary,
            row_group_size=_ROW_GROUP,
            # images are compressed already, and their statistics would repeat two whole images in the footer
            compression={name: "NONE" if name == "image" else "ZSTD" for name in columns} | {"votes": "ZSTD"},
            use_dictionary=[name for name in small if name != "votes"],
            write_statistics=[name for name in small if name != "votes"],
        )
    return target


def is_prepared(path: Path) -> bool:
    """Whether a file is a prepared one, by its metadata; False for a damaged file."""
    try:
        return METADATA_KEY in (read_schema(path).metadata or {})
    except DataError:
        return False


def read_prepared(path: str | os.PathLike[str]) -> Dataset:
    """Read a prepared file and verify its hash.

    Raises:
        MissingFileError: no such file.
        DataError: not a prepared dataset, one of another version, or a damaged one.

    Examples:
        >>> read_prepared("made.parquet").sha256() == dataset.sha256()
        True
    """
    table, document = _open(Path(path), columns=True)
    try:
        width, height = (_side(side) for side in document["size"])
        info = _info(document)
        images = decode_images(_buffers(table.column("image")), (height, width, document["channels"]))
        dataset = Dataset(
            images=images,
            split=np.array(table.column("split").to_pylist(), "<U10").reshape(len(images)),
            row=table.column("row").to_numpy().astype(np.int32, copy=True),
            info=info,
            features={
                name.removeprefix(FEATURE_PREFIX): _vectors(table.column(name))
                for name in table.column_names
                if name.startswith(FEATURE_PREFIX)
            },
            **{name: _from_arrow(name, table.column(name)) for name in LABEL_COLUMNS if name in table.column_names},
        )
        expected = document["sha256"]
    except (InputError, DataError, KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        reason = error.reason if isinstance(error, MienError) else str(error)
        raise DataError(f"damaged prepared dataset ({reason})", path=path, advice=_ADVICE, code=DAMAGED) from None
    if dataset.sha256() != expected:
        raise DataError(
            "pixels or labels differ from those that were written (SHA-256 mismatch)",
            path=path,
            advice=_ADVICE,
            code=DAMAGED,
        )
    return dataset


def read_prepared_info(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The description in a prepared file (name, version, taxonomy, size, dropped, sha256, …), no pixels read.

    Raises:
        MissingFileError: no such file.
        DataError: not a prepared dataset or one of another version.

    Examples:
        >>> read_prepared_info("made.parquet")["taxonomy"]
        'fer2013'
    """
    return _open(Path(path), columns=False)[1]


def read_column_names(path: str | os.PathLike[str]) -> tuple[str, ...]:
    """The columns of a prepared file, no pixels read.

    Raises:
        MissingFileError: no such file.
        DataError: not a prepared dataset or one of another version.
    """
    read_prepared_info(path)
    pq = import_parquet(_WHAT)[1]
    return tuple(pq.read_schema(path).names)


def _open(path: Path, *, columns: bool) -> tuple[Any, dict[str, Any]]:
    pa, pq = import_parquet(_WHAT)
    if not path.is_file():
        raise MissingFileError(
            "no such file", path=path, advice=f"make it with `mien data prepare SOURCE --out {path}`"
        )
    try:
        schema = read_schema(path, _NAME, _ADVICE)
        text = (schema.metadata or {}).get(METADATA_KEY)
        if text is None:
            raise DataError(
                "Parquet, but not a prepared dataset", path=path, advice="make one with `mien data prepare`"
            )
        document = json.loads(text)
        if not isinstance(document, dict) or document.get("version") != VERSION:
            raise DataError(
                f"not of layout version {VERSION}, which this release reads",
                path=path,
                advice=_ADVICE,
                code="dataset-version",
            )
        return (pq.read_table(path) if columns else None), document
    except DataError:
        raise
    except (pa.ArrowException, OSError, ValueError, RecursionError) as error:
        raise unreadable_error(path, error, _NAME, _ADVICE) from None


def _side(value: Any) -> int:
    """Memory is allocated for what a file states, so it has to be plausible."""
    if not isinstance(value, int) or not 1 <= value <= _LARGEST:
        raise DataError(f"images of {value!r} pixels a side")
    return value


def _info(document: dict[str, Any]) -> DatasetInfo:
    return DatasetInfo(
        name=document["name"],
        taxonomy=document["taxonomy"],
        source=document["source"],
        dropped=tuple((str(item["reason"]), int(item["count"])) for item in document["dropped"]),
        notes=tuple(document["notes"]),
        classes=tuple(document.get("classes", ())),
    )


def _to_arrow(pa: Any, name: str, values: NDArray[Any]) -> Any:
    if name == "votes":
        return pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1), pa.int8()), len(FERPLUS_COLUMNS))
    if name in ("gender", "race"):
        return pa.array(values.tolist(), pa.string()).dictionary_encode()
    return pa.array(values)


def _from_arrow(name: str, column: Any) -> NDArray[Any]:
    if name == "votes":
        flat: NDArray[np.int8] = column.combine_chunks().flatten().to_numpy(zero_copy_only=False).astype(np.int8)
        return flat.reshape(-1, len(FERPLUS_COLUMNS))
    if name in ("gender", "race"):
        return np.array(column.to_pylist(), np.str_)
    return np.array(column.to_numpy(), np.bool_ if name == "found" else np.int8)


def _vectors(column: Any) -> NDArray[np.float32]:
    flat = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return np.asarray(flat, np.float32).reshape(len(column), -1)


def _buffers(column: Any) -> list[NDArray[np.uint8]]:
    """The bytes of every value as views on Arrow's memory, no copy."""
    return [np.frombuffer(value.as_buffer(), np.uint8) for chunk in column.chunks for value in chunk]
