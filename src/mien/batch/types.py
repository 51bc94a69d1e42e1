"""The values that cross the stages of a batch: entry → shard → item → finished shard. Frozen, quick to pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Kind = Literal["photos", "parquet", "tar", "video"]
"""What a shard holds: picture files, rows of a Parquet file, members of a tar file, one video."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file that the source names.

    Attributes:
        path: absolute path, or URL.
        size: bytes; None where the listing does not tell.
        stamp: what changes when the file does (time of change, ETag); empty where the listing does not tell.
    """

    path: str
    size: int | None = None
    stamp: str = ""


@dataclass(frozen=True, slots=True)
class Shard:
    """What one worker analyses at a time and what is written at once; a killed run does it again from its start.

    Attributes:
        number: its place in the plan, from 0; the name of its files follows from it.
        kind: what it holds.
        files: the pictures, or the one Parquet file, tar file or video.
        start: first row of a Parquet file.
        stop: row after the last one; None for all.
        column: column of a Parquet file that holds the pictures.
        size: bytes of its files, None where not known.
    """

    number: int
    kind: Kind
    files: tuple[str, ...]
    start: int = 0
    stop: int | None = None
    column: str | None = None
    size: int | None = None

    @property
    def inputs(self) -> int | None:
        """How many photos or videos; None for a tar file, which tells only when it is read."""
        if self.kind == "photos":
            return len(self.files)
        if self.kind == "video":
            return 1
        return None if self.stop is None else self.stop - self.start


@dataclass(frozen=True, slots=True)
class Item:
    """One input of a shard.

    Attributes:
        position: its place in the shard, from 0.
        source: its name in the tables: path or URL, with ``#row`` or ``#member`` of a container.
        file: path or URL of the file that it is, or lies in.
        member: row number or member name in a container, None for a file of its own.
        content: the encoded picture; None for a video, and where ``error`` says why there is none.
        error: why it could not be read.
        kind: "photo" or "video"; "file" for a container of which something could not be read.
    """

    position: int
    source: str
    file: str
    member: str | None = None
    content: bytes | None = field(default=None, repr=False)
    error: str | None = None
    kind: Literal["photo", "video", "file"] = "photo"


@dataclass(frozen=True, slots=True)
class Counts:
    """How much a shard, or a run, holds.

    Attributes:
        inputs: rows of the table of inputs.
        errors: of these, those that could not be analysed.
        faces: faces found in photos.
        frames: frames of videos analysed.
    """

    inputs: int = 0
    errors: int = 0
    faces: int = 0
    frames: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.inputs + other.inputs,
            self.errors + other.errors,
            self.faces + other.faces,
            self.frames + other.frames,
        )

    def to_dict(self) -> dict[str, int]:
        """JSON-ready values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Finished:
    """What became of a shard: the files to write, as bytes, and what they hold.

    Attributes:
        shard: its number.
        tables: name of a table → content of this shard's Parquet file.
        counts: of the shard.
        deaths: worker processes that died on the way.
    """

    shard: int
    tables: Mapping[str, bytes] = field(repr=False)
    counts: Counts
    deaths: int = 0


def line(shard: Shard) -> str:
    """A shard as one line of JSON, for the plan's digest."""
    values: dict[str, Any] = asdict(shard)
    return json.dumps(values, sort_keys=True, ensure_ascii=True)
