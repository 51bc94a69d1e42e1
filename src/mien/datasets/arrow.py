"""The one place that imports pyarrow for datasets, so that its absence gives one clear line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mien.datasets.row_location import DAMAGED
from mien.errors import DataError, MissingExtraError
from mien.files import can_hold


def import_parquet(what: str) -> tuple[Any, Any]:
    """``(pyarrow, pyarrow.parquet)``; raises `MissingExtraError` with ``what`` as its subject."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise MissingExtraError("pyarrow", "data", what) from None
    return pa, pq


def import_csv(what: str) -> tuple[Any, Any]:
    """``(pyarrow, pyarrow.csv)``; raises `MissingExtraError` with ``what`` as its subject."""
    try:
        import pyarrow as pa
        import pyarrow.csv as pc
    except ImportError:
        raise MissingExtraError("pyarrow", "data", what) from None
    return pa, pc


def read_schema(path: Path, what: str = "Parquet file", advice: str = "get it again") -> Any:
    """The Arrow schema of a Parquet file from a user, before anything else of it is read.

    Raises:
        DataError: no Parquet, column names that are not text or not unique, or more rows stated than a file of this
            size can hold.
    """
    pa, pq = import_parquet("reading Parquet")
    try:
        about = pq.read_metadata(path)
        schema = about.schema.to_arrow_schema()
        _ = schema.names  # decoded only now
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise unreadable_error(path, error, what, advice) from None
    # the two need not agree, and the groups are what is read
    rows = [about.row_group(i).num_rows for i in range(about.num_row_groups)]
    size = path.stat().st_size
    if not (can_hold(size, rows) and can_hold(size, [about.num_rows])):
        most = max(about.num_rows, *rows, 0)
        raise DataError(
            f"states {most:,} rows in {size:,} bytes",
            path=path,
            advice=f"the file is damaged, {advice}",
            code=DAMAGED,
            details={"rows": most, "bytes": size},
        )
    repeated = sorted({name for name in schema.names if schema.names.count(name) > 1})
    if repeated:
        raise DataError(f"has two columns {', '.join(map(repr, repeated))}", path=path, advice=advice)
    return schema


def unreadable_error(
    path: Path, error: Exception, what: str = "Parquet file", advice: str = "get it again"
) -> DataError:
    """The error about a file that is not of the expected kind."""
    reason = str(error).splitlines()[0][:300] if str(error) else type(error).__name__
    return DataError(f"not a readable {what} ({reason})", path=path, advice=advice, code=DAMAGED)
