"""Inputs → shards. The same inputs and the same shard size give the same plan, which makes a run resumable."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mien.batch.containers import NoPicturesError, check_tar, import_pyarrow, row_group_sizes
from mien.batch.inputs import PARQUET_SUFFIXES, TAR_SUFFIXES, list_inputs, suffix_of
from mien.batch.storage import is_address
from mien.batch.types import InputFile, Shard, shard_json
from mien.defaults import SHARD_SIZE
from mien.errors import InputError, MienError, MissingFileError
from mien.media.paths import VIDEO_SUFFIXES
from mien.results.columns import readable

_FOOTER_READERS = 16
"""Footers of Parquet files read at once: behind an address each takes a while."""


@dataclass(frozen=True, slots=True)
class ShardPlan:
    """What there is to analyse.

    Attributes:
        source: what the call named.
        shards: in order; number i is at index i.
        size: photos in a shard at most.
        digest: SHA-256 over the shards, with size and modification time of every file where they are known.
        skipped: one error for each Parquet file without pictures.
    """

    source: str
    shards: tuple[Shard, ...] = field(repr=False)
    size: int
    digest: str
    skipped: tuple[MienError, ...] = field(default=(), compare=False)

    @property
    def inputs(self) -> int | None:
        """Photos and videos in all; None where tar files are among them, whose number is known only after reading."""
        total = 0
        for shard in self.shards:
            if shard.inputs is None:
                return None
            total += shard.inputs
        return total

    def describe(self) -> dict[str, Any]:
        """JSON-ready: what a run that resumes must share."""
        return {"source": self.source, "shard_size": self.size, "shards": len(self.shards), "sha256": self.digest}


def make_plan(source: str, *, size: int = SHARD_SIZE, column: str | None = None) -> ShardPlan:
    """List the inputs and divide them.

    Picture files are taken ``size`` at a time in the order of their paths. A Parquet file is divided into ranges of at
    most ``size`` rows, which do not cross row groups where these are larger. A tar file and a video are a shard each.

    Args:
        source: see `mien.batch.inputs.list_inputs`.
        size: photos in a shard at most.
        column: column of Parquet files that holds the pictures; by default it is detected by its name and type.

    Raises:
        MissingFileError: there is nothing to analyse.
        InputError, DataError: a source that cannot be read, or only Parquet files without pictures.
    """
    if size < 1:
        raise InputError(f"a shard holds at least one photo, got {size}")
    files = list_inputs(source)
    tables = [file for file in files if suffix_of(file.path) in PARQUET_SUFFIXES]
    ranges, errors = _read_footers(tables, size, column, alone=len(files) == 1)
    shards = tuple(_number_shards(_make_shards(files, ranges, size)))
    if not shards:
        raise errors[0] if errors else MissingFileError("the Parquet files in it hold no rows", path=source)
    if len(files) == 1 and shards[0].kind == "tar":
        check_tar(files[0].path)
    digest = hashlib.sha256()
    for shard in shards:
        digest.update(shard_json(shard).encode() + b"\n")
    for file in files:
        digest.update(f"{file.size} {file.stamp}\n".encode())
    where = source if is_address(source) else str(Path(source).absolute())
    return ShardPlan(where, shards, size, digest.hexdigest(), tuple(errors))


def encode_plan(plan: ShardPlan) -> bytes:
    """The plan as a Parquet file: one row per shard."""
    pa, pq = import_pyarrow()
    columns = {
        "shard": pa.array([shard.number for shard in plan.shards], pa.int32()),
        "kind": pa.array([shard.kind for shard in plan.shards], pa.string()),
        "files": pa.array([list(map(readable, shard.files)) for shard in plan.shards], pa.list_(pa.string())),
        "start": pa.array([shard.start for shard in plan.shards], pa.int64()),
        "stop": pa.array([shard.stop for shard in plan.shards], pa.int64()),
        "bytes": pa.array([shard.size for shard in plan.shards], pa.int64()),
    }
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out, compression="zstd")
    return out.getvalue()


_RowRanges = dict[str, list[tuple[int, int, str]]]
"""Path of a Parquet file → (first row, row after the last, column) of each of its shards."""


def _read_footers(
    tables: Sequence[InputFile], size: int, column: str | None, *, alone: bool
) -> tuple[_RowRanges, list[MienError]]:
    ranges: _RowRanges = {}
    errors: list[MienError] = []

    def read(file: InputFile) -> tuple[list[int], str] | MienError:
        try:
            return row_group_sizes(file.path, column)
        except MienError as error:
            return error

    with ThreadPoolExecutor(_FOOTER_READERS) as pool:
        for file, footer in zip(tables, pool.map(read, tables), strict=True):
            if isinstance(footer, tuple):
                ranges[file.path] = [(start, stop, footer[1]) for start, stop in _row_ranges(footer[0], size)]
            elif isinstance(footer, NoPicturesError):
                errors.append(footer)  # a table of labels beside the pictures
            elif alone:
                raise footer
            else:
                ranges[file.path] = [(0, 0, "")]  # its shard is one row with the error
    return ranges, errors


def _row_ranges(groups: Sequence[int], size: int) -> Iterator[tuple[int, int]]:
    """Small row groups together up to ``size``, large ones in pieces: reading a piece decodes its groups only."""
    start = row = 0
    for rows in groups:
        if row > start and row + rows - start > size:
            yield start, row
            start = row
        row += rows
        while row - start > size or (rows > size and row > start):
            yield start, min(start + size, row)
            start = min(start + size, row)
    if row > start:
        yield start, row


def _make_shards(files: Iterable[InputFile], ranges: _RowRanges, size: int) -> Iterator[Shard]:
    photos: list[InputFile] = []
    for file in files:
        suffix = suffix_of(file.path)
        if suffix in PARQUET_SUFFIXES:
            parts = ranges.get(file.path, [])
            for start, stop, column in parts:
                share = None if file.size is None else file.size * (stop - start) // max(parts[-1][1], 1)
                yield Shard(0, "parquet", (file.path,), start, stop if column else None, column or None, share)
        elif suffix in TAR_SUFFIXES:
            yield Shard(0, "tar", (file.path,), size=file.size)
        elif suffix in VIDEO_SUFFIXES:
            yield Shard(0, "video", (file.path,), size=file.size)
        else:
            photos.append(file)
            if len(photos) == size:
                yield _photo_shard(photos)
                photos = []
    if photos:
        yield _photo_shard(photos)


def _photo_shard(files: Sequence[InputFile]) -> Shard:
    sizes = [file.size for file in files if file.size is not None]
    return Shard(0, "photos", tuple(file.path for file in files), size=sum(sizes) if len(sizes) == len(files) else None)


def _number_shards(shards: Iterable[Shard]) -> Iterator[Shard]:
    for number, shard in enumerate(shards):
        yield Shard(number, shard.kind, shard.files, shard.start, shard.stop, shard.column, shard.size)
