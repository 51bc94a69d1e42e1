"""The one place that imports pyarrow for datasets, so that its absence gives one clear line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mien.errors import DataError, MissingExtraError

ROWS_A_BYTE = 8
"""Rows that a Parquet file may state for each of its bytes: not even a row without a picture is less than a bit, and
memory and time are taken for as many rows as the file states."""


def parquet(what: str) -> tuple[Any, Any]:
    """``(pyarrow, pyarrow.parquet)``; raises `MissingExtraError` saying that ``what`` needs them."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise MissingExtraError("pyarrow", "train", what) from None
    return pa, pq


def csv(what: str) -> tuple[Any, Any]:
    """``(pyarrow, pyarrow.csv)``; raises `MissingExtraError` saying that ``what`` needs them."""
    try:
        import pyarrow as pa
        import pyarrow.csv as pc
    except ImportError:
        raise MissingExtraError("pyarrow", "train", what) from None
    return pa, pc


def checked_schema(path: Path, what: str = "Parquet file", cure: str = "get it again") -> Any:
    """The Arrow schema of a Parquet file that a user gives, before anything else of it is read.

    Raises:
        DataError: no Parquet, column names that are no text, or more rows stated than a file of this size holds.
    """
    pa, pq = parquet("reading Parquet")
    try:
        about = pq.read_metadata(path)
        schema = about.schema.to_arrow_schema()
        _ = schema.names  # decoded only now
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise unreadable(path, error, what, cure) from None
    # the two need not agree, and it is the groups that are read
    rows = max(about.num_rows, sum(about.row_group(i).num_rows for i in range(about.num_row_groups)))
    size = path.stat().st_size
    if rows > ROWS_A_BYTE * size:
        raise DataError(f"{path}: states {rows:,} rows in {size:,} bytes; the file is damaged, {cure}")
    return schema


def unreadable(path: Path, error: Exception, what: str = "Parquet file", cure: str = "get it again") -> DataError:
    """What is said of a file that is no such file."""
    reason = str(error).splitlines()[0][:300] if str(error) else type(error).__name__
    return DataError(f"{path}: not a readable {what} ({reason}); {cure}")
