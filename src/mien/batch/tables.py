"""The tables of a batch as Parquet files. Faces and frames have the columns of `mien analyze --parquet`."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from mien.batch.containers import pyarrow
from mien.batch.types import Counts, Item
from mien.errors import DataError, MienError
from mien.results.video import readable

if TYPE_CHECKING:
    from mien.pipeline.analyzer import Analyzer
    from mien.pipeline.video import VideoStream
    from mien.results.faces import Faces

SCHEMA = 1
"""Version of the tables' columns and of the manifest; higher where one is taken away or changes its meaning."""
TABLES = ("faces", "frames", "inputs")
"""In the order of writing: a shard is done when its part of the last one is there."""
_KEY = b"mien.batch"


@dataclass(frozen=True, slots=True)
class InputRow:
    """A row of the table of inputs.

    Attributes:
        source: name of the input, the key of the other tables.
        file: path or URL of the file that it is, or lies in.
        member: row number or member name in a container, None for a file of its own.
        kind: "photo" or "video"; "file" for a container of which something could not be read.
        width: pixels, of the upright picture; None where there is none.
        height: pixels.
        faces: faces found in a photo, tracks in a video.
        frames: frames of a video that were analysed.
        seconds: length of what was analysed of a video.
        lost: frames of a video that could not be decoded.
        problems: what went wrong with a part of a video.
        error: why the input could not be analysed; None where it was.
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

    @classmethod
    def failed(cls, item: Item, error: str) -> InputRow:
        """An input that could not be analysed; why is one printable line."""
        return cls(item.source, item.file, item.member, item.kind, error=str(MienError(error)))

    @classmethod
    def photo(cls, item: Item, faces: Faces) -> InputRow:
        """A photo and how many faces it shows."""
        width, height = faces.image_size
        return cls(item.source, item.file, item.member, item.kind, width, height, len(faces))

    @classmethod
    def video(cls, item: Item, stream: VideoStream) -> InputRow:
        """A video that was analysed to its end."""
        told, (width, height) = stream.coverage, stream.done.size
        return cls(
            item.source,
            item.file,
            item.member,
            item.kind,
            width or None,
            height or None,
            len(stream.tracks()),
            told.frames,
            round(told.seconds, 3),
            told.lost,
            "; ".join(told.problems) or None,
        )


def encode_faces(results: Iterable[Faces], analyzer: Analyzer) -> bytes:
    """One row a face; a photo without one has its row in the table of inputs."""
    from mien.results.tables import Columns, parquet_bytes

    columns = Columns(analyzer.emotion_labels, analyzer.age_bins)
    return parquet_bytes((faces for faces in results if faces), columns)


def encode_inputs(rows: Sequence[InputRow], shard: int, counts: Counts) -> bytes:
    """One row an input, in order; the file's metadata tells what the shard holds."""
    pa, pq = pyarrow()
    kinds = {"width": pa.int32(), "height": pa.int32(), "faces": pa.int32(), "frames": pa.int64()}
    kinds |= {"seconds": pa.float64(), "lost": pa.int64()}
    schema = pa.schema([("shard", pa.int32()), *((f.name, kinds.get(f.name, pa.string())) for f in fields(InputRow))])
    told = json.dumps({"schema": SCHEMA, "shard": shard, **counts.to_dict()})
    table = pa.Table.from_pylist([{"shard": shard} | _readable(asdict(row)) for row in rows], schema=schema)
    out = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({_KEY: told.encode()}), out, compression="zstd")
    return out.getvalue()


def counts_of(part: bytes, shard: int, name: str) -> Counts:
    """What a part of the table of inputs says that its shard holds; ``name`` is for the message.

    Raises:
        DataError: it is damaged, or another shard's.
    """
    pa, pq = pyarrow()
    try:
        about = pq.read_metadata(io.BytesIO(part))
        told = json.loads(about.metadata[_KEY])
        counts = [told[field.name] for field in fields(Counts)]
        if not all(type(count) is int and count >= 0 for count in counts):
            raise ValueError(counts)
        if (told["schema"], told["shard"], counts[0]) != (SCHEMA, shard, about.num_rows):
            raise ValueError(told)
        return Counts(*counts)
    except (pa.ArrowException, OSError, LookupError, TypeError, ValueError, RecursionError):
        raise DataError(f"{name}: is damaged: remove it, and --resume analyses its shard again") from None


def _readable(row: dict[str, Any]) -> dict[str, Any]:
    return {key: readable(value) if isinstance(value, str) else value for key, value in row.items()}
