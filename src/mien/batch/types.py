"""The values that cross the stages of a batch: input file → shard → input → result. Frozen, quick to pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from mien.errors import MienError

ShardKind = Literal["photos", "parquet", "tar", "video"]
"""What a shard holds: picture files, rows of a Parquet file, members of a tar file, one video."""


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file that the source names.

    Attributes:
        path: absolute path, or URL.
        size: bytes; None where the listing does not include it.
        stamp: what changes when the file does (modification time, ETag); empty where the listing does not include it.
    """

    path: str
    size: int | None = None
    stamp: str = ""


@dataclass(frozen=True, slots=True)
class Shard:
    """What one worker analyses at a time and what is written at once; a killed run analyses it again from its start.

    Attributes:
        number: its position in the plan, from 0; the names of its files follow from it.
        kind: what it holds.
        files: the pictures, or the one Parquet file, tar file or video.
        start: first row of a Parquet file.
        stop: row after the last one; None for all.
        column: column of a Parquet file that holds the pictures.
        size: bytes of its files, None where unknown.
    """

    number: int
    kind: ShardKind
    files: tuple[str, ...]
    start: int = 0
    stop: int | None = None
    column: str | None = None
    size: int | None = None

    @property
    def inputs(self) -> int | None:
        """Number of photos or videos; None for a tar file, where it is known only after reading."""
        if self.kind == "photos":
            return len(self.files)
        if self.kind == "video":
            return 1
        return None if self.stop is None else self.stop - self.start


@dataclass(frozen=True, slots=True)
class ShardInput:
    """One input of a shard.

    Attributes:
        position: its position in the shard, from 0.
        source: its name in the tables: path or URL, with ``#row`` or ``#member`` of a container.
        file: path or URL of the file that it is, or lies in.
        member: row number or member name in a container, None for a file of its own.
        content: the encoded picture; None for a video, and where there is an ``error``.
        error: why it could not be read.
        kind: "photo" or "video"; "file" for a container of which something could not be read.
    """

    position: int
    source: str
    file: str
    member: str | None = None
    content: bytes | None = field(default=None, repr=False)
    error: MienError | None = None
    kind: Literal["photo", "video", "file"] = "photo"


@dataclass(frozen=True, slots=True)
class ResultCounts:
    """How much a shard, or a run, holds.

    Attributes:
        inputs: rows of the table of inputs.
        errors: of these, those that could not be analysed.
        faces: faces detected in photos.
        frames: frames of videos analysed.

    Examples:
        >>> ResultCounts(inputs=2, faces=3).to_dict()["faces"]
        3
    """

    inputs: int = 0
    errors: int = 0
    faces: int = 0
    frames: int = 0

    def __add__(self, other: ResultCounts) -> ResultCounts:
        return ResultCounts(
            self.inputs + other.inputs,
            self.errors + other.errors,
            self.faces + other.faces,
            self.frames + other.frames,
        )

    def to_dict(self) -> dict[str, int]:
        """JSON-ready values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class ShardResult:
    """The result of analysing a shard: the files to write, as bytes, and their counts.

    Attributes:
        shard: its number.
        tables: name of a table → content of this shard's Parquet file.
        counts: of the shard.
        deaths: worker processes that died during the analysis.

    Examples:
        >>> from mien.batch.run import BatchRun
        >>> [result] = BatchRun("photo.jpg", "one", workers=1).results()
        >>> result.shard, sorted(result.tables), result.counts.faces
        (0, ['faces', 'inputs'], 1)
    """

    shard: int
    tables: Mapping[str, bytes] = field(repr=False)
    counts: ResultCounts
    deaths: int = 0


def shard_json(shard: Shard) -> str:
    """A shard as one line of JSON, for the plan's digest."""
    values: dict[str, Any] = asdict(shard)
    return json.dumps(values, sort_keys=True, ensure_ascii=True)
