"""Inputs of a batch, and its tables read back."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq


def table(part: bytes) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(io.BytesIO(part)).to_pylist()
    return rows


def contents(photos: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(photos.glob("p*.jpg"))]


def to_parquet(photos: Path, path: Path, kind: str = "struct") -> Path:
    found = contents(photos)
    column = pa.array([{"bytes": c, "path": f"{i}.jpg"} for i, c in enumerate(found)])
    if kind != "struct":
        column = pa.array(found, pa.large_binary() if kind == "large" else pa.binary())
    pq.write_table(pa.table({"label": list(range(len(found))), "image": column}), path, row_group_size=3)
    return path


def to_tar(photos: Path, path: Path) -> Path:
    with tarfile.open(path, "w:gz" if path.suffix != ".tar" else "w") as tar:
        for i, content in enumerate(contents(photos)):
            for name, data in ((f"{i:05}.jpg", content), (f"{i:05}.cls", b"3")):
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    return path
