"""The tables of a batch as Parquet files. Faces and frames have the columns of `mien analyze --parquet`."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from mien.batch.containers import import_pyarrow
from mien.batch.types import ResultCounts, ShardInput
from mien.errors import DataError, MienError, one_line
from mien.results.columns import readable

if TYPE_CHECKING:
    from mien.pipeline.analyzer import Analyzer
    from mien.pipeline.video import VideoStream
    from mien.results.faces import Faces

SCHEMA_VERSION = 1
"""Version of the tables' columns and of the manifest; raised when one is removed or changes its meaning."""
TABLES = ("faces", "frames", "inputs")
"""In the order of writing: a shard is finished when its part of the last one exists."""
_METADATA_KEY = b"mien.batch"


@dataclass(frozen=True, slots=True)
class InputRow:
    """A row of the table of inputs.

    Attributes:
        source: name of the input, the key of the other tables.
        file: path or URL of the file that it is, or lies in.
        member: row number or member name in a container, None for a file of its own.
        kind: "photo" or "video"; "file" for a container of which something could not be read.
        width: of the upright picture, pixels; None where there is none.
        height: pixels.
        faces: faces detected in a photo, tracks in a video.
        frames: frames of a video that were analysed.
        seconds: length of what was analysed of a video.
        lost: frames of a video that could not be decoded.
        problems: what went wrong with a part of a video.
        error: why the input could not be analysed, as one line; None where it was.
        error_code: the code of that error, for programs; see `mien.errors`.
        error_reason: its reason, without the path and the advice.
    """

    source: str
    file: str
    member: str | None
    kind: str
    width: int | None = None
    height: int | None = None
    faces: int | None = None
    frames: int | None = None
    seconds: float | None = None
    lost: int | None = None
    problems: str | None = None
    error: str | None = None
    error_code: str | None = None
    error_reason: str | None = None

    @classmethod
    def failed(cls, item: ShardInput, error: MienError) -> InputRow:
        """An input that could not be analysed."""
        return cls(
            item.source,
            item.file,
            item.member,
            item.kind,
            error=str(error),
            error_code=error.code,
            error_reason=one_line(error.reason),
        )

    @classmethod
    def photo(cls, item: ShardInput, faces: Faces) -> InputRow:
        """A photo and how many faces it shows."""
        width, height = faces.image_size
        return cls(item.source, item.file, item.member, item.kind, width, height, len(faces))

    @classmethod
    def video(cls, item: ShardInput, stream: VideoStream) -> InputRow:
        """A video that was analysed to its end."""
        coverage, (width, height) = stream.coverage, stream.progress.size
        return cls(
            item.source,
            item.file,
            item.member,
            item.kind,
            width or None,
            height or None,
            len(stream.tracks()),
            coverage.frames,
            round(coverage.seconds, 3),
            coverage.lost,
            "; ".join(coverage.problems) or None,
        )


def encode_faces(results: Iterable[Faces], analyzer: Analyzer) -> bytes:
    """One row per face; a photo without one has its row in the table of inputs."""
    from mien.results.tables import parquet_bytes

    return parquet_bytes((faces for faces in results if faces), analyzer.heads)


def encode_inputs(rows: Sequence[InputRow], shard: int, counts: ResultCounts) -> bytes:
    """One row per input, in order; the file's metadata holds the counts of the shard."""
    pa, pq = import_pyarrow()
    kinds = {"width": pa.int32(), "height": pa.int32(), "faces": pa.int32(), "frames": pa.int64()}
    kinds |= {"seconds": pa.float64(), "lost": pa.int64()}
    schema = pa.schema([("shard", pa.int32()), *((f.name, kinds.get(f.name, pa.string())) for f in fields(InputRow))])
    metadata = json.dumps({"schema": SCHEMA_VERSION, "shard": shard, **counts.to_dict()})
    table = pa.Table.from_pylist([{"shard": shard} | _utf8(asdict(row)) for row in rows], schema=schema)
    out = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({_METADATA_KEY: metadata.encode()}), out, compression="zstd")
    return out.getvalue()


def read_counts(part: bytes, shard: int, name: str) -> ResultCounts:
    """The counts of a shard, from the metadata of its part of the table of inputs; ``name`` is for the message.

    Raises:
        DataError: it is damaged, or another shard's.
    """
    pa, pq = import_pyarrow()
    try:
        about = pq.read_metadata(io.BytesIO(part))
        metadata = json.loads(about.metadata[_METADATA_KEY])
        counts = [metadata[field.name] for field in fields(ResultCounts)]
        if not all(type(count) is int and count >= 0 for count in counts):
            raise ValueError(counts)
        if (metadata["schema"], metadata["shard"], counts[0]) != (SCHEMA_VERSION, shard, about.num_rows):
            raise ValueError(metadata)
        return ResultCounts(*counts)
    except (pa.ArrowException, OSError, LookupError, TypeError, ValueError, RecursionError):
        advice = "remove it, and --resume analyses its shard again"
        raise DataError("is damaged", path=name, advice=advice) from None


def _utf8(row: dict[str, Any]) -> dict[str, Any]:
    return {key: readable(value) if isinstance(value, str) else value for key, value in row.items()}
