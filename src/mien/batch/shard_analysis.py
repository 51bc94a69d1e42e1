"""A shard in, its tables out: the pure function that every engine drives. No global state, nothing is written."""

from __future__ import annotations

import io
import itertools
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mien.batch.containers import parquet_items, tar_items
from mien.batch.settings import Settings
from mien.batch.storage import local_copy, read_files
from mien.batch.tables import InputRow, encode_faces, encode_inputs
from mien.batch.types import Counts, Finished, Item, Shard
from mien.errors import MienError

if TYPE_CHECKING:
    from mien.media.frame import Frame
    from mien.pipeline.analyzer import Analyzer
    from mien.results.faces import Faces

BATCH = 16
"""Photos in memory and analysed at once."""
At = Callable[[int], None]
"""Told of the position of the input that comes next, so that one that kills the process can be named."""


@dataclass(frozen=True, slots=True)
class Care:
    """What is known of inputs that killed a worker process.

    Attributes:
        one_by_one: take inputs one at a time and tell each before it is touched.
        dead: position → what happened to the process; these inputs are not touched again.
        end: position from which on nothing is touched any more; None for none.
    """

    one_by_one: bool = False
    dead: Mapping[int, str] = field(default_factory=dict)
    end: int | None = None


def analyse_shard(
    analyzer: Analyzer,
    settings: Settings,
    shard: Shard,
    *,
    items: Iterable[Item] | None = None,
    care: Care | None = None,
    at: At | None = None,
) -> Finished:
    """Analyse one shard.

    Args:
        analyzer: as `Prepared.analyzer` makes it.
        settings: which frames of videos are taken, and how faces are followed.
        shard: what to analyse.
        items: its inputs where they were read before; by default they are read here.
        care: what to take care of, after deaths.
        at: told of progress; see `At`.

    Returns:
        The tables "inputs", and "faces" of photos or "frames" of a video, as Parquet files. An input that cannot be
        analysed is a row of "inputs" with an error.
    """
    care, at = care or Care(), at or _ignore
    if shard.kind == "video":
        return _video(analyzer, settings, shard, care, at)
    rows: list[InputRow] = []
    results: list[Faces] = []
    given = read_items(shard, care, at) if items is None else items
    for batch in _batches(given, 1 if care.one_by_one else BATCH):
        at(batch[0].position)
        mine, found = _photos(analyzer, [_spared(item, care) for item in batch])
        rows += mine
        results += found
    return _finished(shard, rows, {"faces": encode_faces(results, analyzer)}, sum(map(len, results)))


def read_items(shard: Shard, care: Care | None = None, at: At | None = None) -> Iterator[Item]:
    """The inputs of a shard of photos, in order, with the bytes of each or why there are none."""
    care, tell = care or Care(), at or _ignore
    if shard.kind == "parquet":
        found = parquet_items(shard)
    elif shard.kind == "tar":
        found = tar_items(shard, care.dead)
    else:
        found = _files(shard, care)
    position = 0
    while care.end is None or position < care.end:
        if care.one_by_one:
            tell(position)
        item = next(found, None)
        if item is None:
            return
        yield item
        position = item.position + 1
    yield from _untouched(shard, position, care)


def _files(shard: Shard, care: Care) -> Iterator[Item]:
    read = [path for i, path in enumerate(shard.files) if i not in care.dead]
    contents = read_files(read, ahead=1) if care.one_by_one else read_files(read)
    for i, path in enumerate(shard.files):
        content = b"" if i in care.dead else next(contents)
        if isinstance(content, MienError):
            yield Item(i, path, path, error=str(content))
        else:
            yield Item(i, path, path, content=content)


def _untouched(shard: Shard, position: int, care: Care) -> Iterator[Item]:
    """Rows for what is not touched any more, because too many inputs before it killed the process."""
    said = f"not analysed: {care.dead.get(position, 'too many inputs of this shard killed the worker process')}"
    if shard.kind == "photos":
        for i in range(position, len(shard.files)):
            yield Item(i, shard.files[i], shard.files[i], error=said)
    elif shard.inputs is not None:
        for i in range(position, shard.inputs):
            row = str(shard.start + i)
            yield Item(i, f"{shard.files[0]}#{row}", shard.files[0], row, error=said)
    else:
        yield Item(position, shard.files[0], shard.files[0], error=said, kind="file")


def _spared(item: Item, care: Care) -> Item:
    if item.position in care.dead and item.error is None:
        return replace(item, content=None, error=f"{item.source}: {care.dead[item.position]}")
    return item


def _photos(analyzer: Analyzer, items: Sequence[Item]) -> tuple[list[InputRow], list[Faces]]:
    frames: list[Frame] = []
    rows: list[InputRow | Item] = []
    for item in items:
        if item.error is not None or item.content is None:
            rows.append(InputRow.failed(item, item.error or f"{item.source}: nothing was read"))
            continue
        try:
            frames.append(_decoded(item.content, item.source, analyzer.reduction))
            rows.append(item)
        except MienError as error:
            rows.append(InputRow.failed(item, str(error)))
    found = iter(analyzer.analyze_batch(frames))
    results: list[Faces] = []
    told: list[InputRow] = []
    for row in rows:
        if isinstance(row, Item):
            faces = next(found)
            results.append(faces)
            told.append(InputRow.photo(row, faces))
        else:
            told.append(row)
    return told, results


def _decoded(content: bytes, source: str, reduce: Literal[1, 2, 4, 8]) -> Frame:
    from mien.media.image import load_image

    return load_image(_Named(content, source), reduce=reduce)


class _Named(io.BytesIO):
    """Bytes with a name, which messages and results then tell."""

    def __init__(self, content: bytes, name: str) -> None:
        super().__init__(content)
        self.name = name


def _video(analyzer: Analyzer, settings: Settings, shard: Shard, care: Care, at: At) -> Finished:
    from mien.media.video import open_video
    from mien.pipeline.video import FollowOptions
    from mien.results.row_writers import ParquetRows

    path = shard.files[0]
    item = Item(0, path, path, kind="video")
    options = FollowOptions(
        detect_every=settings.detect_every, time_constant=settings.time_constant, window=settings.window
    )
    at(0)
    if dead := care.dead.get(0):
        return _finished(shard, [InputRow.failed(item, f"{path}: {dead}")], {})
    with tempfile.TemporaryDirectory(prefix="mien-") as folder:
        table = Path(folder) / "rows.parquet"
        try:
            with (
                local_copy(path) as copy,
                open_video(
                    copy, every=settings.every, fps=settings.fps, start=settings.start, end=settings.end
                ) as source,
                analyzer.stream(source, every=settings.every, fps=settings.fps, options=options) as stream,
                ParquetRows(table) as writer,
            ):
                writer.write(replace(stream.rows([]), source=path))
                for batch in stream.batches():
                    writer.write(replace(stream.rows(batch), source=path))
                    at(0)
                row = InputRow.video(item, stream)
        except MienError as error:
            return _finished(shard, [InputRow.failed(item, str(error))], {})
        return _finished(shard, [row], {"frames": table.read_bytes()}, frames=row.frames or 0)


def _finished(
    shard: Shard, rows: Sequence[InputRow], tables: Mapping[str, bytes], faces: int = 0, frames: int = 0
) -> Finished:
    counts = Counts(len(rows), sum(row.error is not None for row in rows), faces, frames)
    return Finished(shard.number, {**tables, "inputs": encode_inputs(rows, shard.number, counts)}, counts)


def _batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    rest = iter(items)
    while batch := list(itertools.islice(rest, size)):
        yield batch


def _ignore(position: int) -> None:
    """Tell nobody."""
