"""The one place that imports pyarrow for datasets, so that its absence gives one clear line."""

from __future__ import annotations

from typing import Any

from mien.errors import MissingExtraError


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
