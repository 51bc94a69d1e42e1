"""Inputs → shards. The same inputs and the same shard size give the same plan, which is what makes a run resumable."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mien.batch.containers import NoPicturesError, check_tar, pyarrow, row_groups
from mien.batch.inputs import PARQUET_SUFFIXES, TAR_SUFFIXES, list_inputs, suffix_of
from mien.batch.storage import is_address
from mien.batch.types import Entry, Shard, line
from mien.errors import InputError, MienError, MissingFileError
from mien.errors import display_path as shown
from mien.media.paths import VIDEO_SUFFIXES
from mien.results.video import readable

SHARD_SIZE = 500
"""Photos in a shard; about the work of ten to twenty seconds."""
_READERS = 16
"""Footers of Parquet files read at once: behind an address each takes a while."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done.

    Attributes:
        source: what the call named.
        shards: in order; number i is at place i.
        size: photos in a shard at most.
        digest: SHA-256 over the shards, with size and time of change of every file where they are known.
        left_out: one line for each file that holds no pictures.
    """

    source: str
    shards: tuple[Shard, ...] = field(repr=False)
    size: int
    digest: str
    left_out: tuple[str, ...] = ()

    @property
    def inputs(self) -> int | None:
        """Photos and videos in all; None where tar files are among them, which tell only when they are read."""
        total = 0
        for shard in self.shards:
            if shard.inputs is None:
                return None
            total += shard.inputs
        return total

    def describe(self) -> dict[str, Any]:
        """JSON-ready: what a run that resumes must share."""
        return {"source": self.source, "shard_size": self.size, "shards": len(self.shards), "sha256": self.digest}


def make_plan(source: str, *, size: int = SHARD_SIZE, column: str | None = None) -> Plan:
    """List the inputs and divide them.

    Picture files are taken ``size`` at a time in the order of their paths; a Parquet file is cut into stretches of at
    most ``size`` rows that do not cross row groups where these are larger; a tar file and a video are a shard each.

    Args:
        source: see `mien.batch.inputs.list_inputs`.
        size: photos in a shard at most.
        column: column of Parquet files that holds the pictures; by default it is looked for.

    Raises:
        MissingFileError: there is nothing to analyse.
        InputError, DataError: a source that cannot be read, or only Parquet files without pictures.
    """
    if size < 1:
        raise InputError(f"a shard holds at least one photo, got {size}")
    entries = list_inputs(source)
    tables = [entry for entry in entries if suffix_of(entry.path) in PARQUET_SUFFIXES]
    stretches, errors = _read_footers(tables, size, column, alone=len(entries) == 1)
    shards = tuple(_numbered(_divided(entries, stretches, size)))
    if not shards:
        raise errors[0] if errors else MissingFileError(f"{shown(source)}: the Parquet files in it hold no rows")
    if len(entries) == 1 and shards[0].kind == "tar":
        check_tar(entries[0].path)
    digest = hashlib.sha256()
    for shard in shards:
        digest.update(line(shard).encode() + b"\n")
    for entry in entries:
        digest.update(f"{entry.size} {entry.stamp}\n".encode())
    where = source if is_address(source) else str(Path(source).absolute())
    return Plan(where, shards, size, digest.hexdigest(), tuple(map(str, errors)))


def encode_plan(plan: Plan) -> bytes:
    """The plan as a Parquet file: one row a shard."""
    pa, pq = pyarrow()
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


_Stretches = dict[str, list[tuple[int, int, str]]]
"""Path of a Parquet file → (first row, row after the last, column) of each of its shards."""


def _read_footers(
    tables: Sequence[Entry], size: int, column: str | None, *, alone: bool
) -> tuple[_Stretches, list[MienError]]:
    stretches: _Stretches = {}
    errors: list[MienError] = []

    def read(entry: Entry) -> tuple[list[int], str] | MienError:
        try:
            return row_groups(entry.path, column)
        except MienError as error:
            return error

    with ThreadPoolExecutor(_READERS) as pool:
        for entry, found in zip(tables, pool.map(read, tables), strict=True):
            if isinstance(found, tuple):
                stretches[entry.path] = [(a, b, found[1]) for a, b in _stretches(found[0], size)]
            elif isinstance(found, NoPicturesError):
                errors.append(found)  # a table of labels beside the pictures
            elif alone:
                raise found
            else:
                stretches[entry.path] = [(0, 0, "")]  # its shard is one row with the error
    return stretches, errors


def _stretches(groups: Sequence[int], size: int) -> Iterator[tuple[int, int]]:
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


def _divided(entries: Iterable[Entry], stretches: _Stretches, size: int) -> Iterator[Shard]:
    photos: list[Entry] = []
    for entry in entries:
        suffix = suffix_of(entry.path)
        if suffix in PARQUET_SUFFIXES:
            mine = stretches.get(entry.path, [])
            for start, stop, column in mine:
                share = None if entry.size is None else entry.size * (stop - start) // max(mine[-1][1], 1)
                yield Shard(0, "parquet", (entry.path,), start, stop if column else None, column or None, share)
        elif suffix in TAR_SUFFIXES:
            yield Shard(0, "tar", (entry.path,), size=entry.size)
        elif suffix in VIDEO_SUFFIXES:
            yield Shard(0, "video", (entry.path,), size=entry.size)
        else:
            photos.append(entry)
            if len(photos) == size:
                yield _photos(photos)
                photos = []
    if photos:
        yield _photos(photos)


def _photos(entries: Sequence[Entry]) -> Shard:
    known = [entry.size for entry in entries if entry.size is not None]
    return Shard(0, "photos", tuple(e.path for e in entries), size=sum(known) if len(known) == len(entries) else None)


def _numbered(shards: Iterable[Shard]) -> Iterator[Shard]:
    for number, shard in enumerate(shards):
        yield Shard(number, shard.kind, shard.files, shard.start, shard.stop, shard.column, shard.size)
