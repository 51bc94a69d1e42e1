"""A shard in, its tables out: the pure function that every engine drives. No global state, nothing is written."""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from mien.batch.containers import parquet_items, tar_items
from mien.batch.settings import AnalysisSettings
from mien.batch.storage import local_copy, read_files
from mien.batch.tables import InputRow, encode_faces, encode_inputs
from mien.batch.types import ResultCounts, Shard, ShardInput, ShardResult
from mien.errors import DataError, MienError, OutputError
from mien.files import temporary_folder

if TYPE_CHECKING:
    from mien.media.frame import Frame
    from mien.pipeline.analyzer import Analyzer
    from mien.results.faces import Faces

BATCH = 16
"""Photos in memory and analysed at once."""
PositionCallback = Callable[[int], None]
"""Called with the position of the input that comes next, so that one that kills the process can be named."""
_KILLED = "worker-killed"
"""Code of the error of an input at which the worker process died."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How a shard is analysed again after a worker process died on it.

    Attributes:
        one_by_one: analyse inputs one at a time and report each before it is read.
        deaths: position → how the process died there; these inputs are not analysed again.
        stop: position from which on nothing is analysed; None for none.
    """

    one_by_one: bool = False
    deaths: Mapping[int, str] = field(default_factory=dict)
    stop: int | None = None


def analyse_shard(
    analyzer: Analyzer,
    settings: AnalysisSettings,
    shard: Shard,
    *,
    items: Iterable[ShardInput] | None = None,
    retry: RetryPolicy | None = None,
    on_position: PositionCallback | None = None,
) -> ShardResult:
    """Analyse one shard.

    Args:
        analyzer: as `AnalysisSetup.analyzer` makes it.
        settings: which frames of videos are taken, and how faces are tracked.
        shard: what to analyse.
        items: its inputs where they were read before; by default they are read here.
        retry: what to skip, after deaths of worker processes.
        on_position: reports progress; see `PositionCallback`.

    Returns:
        The tables "inputs", and "faces" of photos or "frames" of a video, as Parquet files. An input that cannot be
        analysed is a row of "inputs" with an error.
    """
    retry, on_position = retry or RetryPolicy(), on_position or _ignore
    if shard.kind == "video":
        return _analyse_video(analyzer, settings, shard, retry, on_position)
    rows: list[InputRow] = []
    results: list[Faces] = []
    inputs = read_items(shard, retry, on_position) if items is None else items
    for batch in _batches(inputs, 1 if retry.one_by_one else BATCH):
        on_position(batch[0].position)
        batch_rows, batch_results = _analyse_photos(analyzer, [_without_killer(item, retry) for item in batch])
        rows += batch_rows
        results += batch_results
    return _shard_result(shard, rows, {"faces": encode_faces(results, analyzer)}, sum(map(len, results)))


def read_items(
    shard: Shard, retry: RetryPolicy | None = None, on_position: PositionCallback | None = None
) -> Iterator[ShardInput]:
    """The inputs of a shard of photos, in order, with the bytes of each or the error why there are none."""
    retry, on_position = retry or RetryPolicy(), on_position or _ignore
    if shard.kind == "parquet":
        items = parquet_items(shard)
    elif shard.kind == "tar":
        items = tar_items(shard, retry.deaths)
    else:
        items = _photo_items(shard, retry)
    position = 0
    while retry.stop is None or position < retry.stop:
        if retry.one_by_one:
            on_position(position)
        item = next(items, None)
        if item is None:
            return
        yield item
        position = item.position + 1
    yield from _given_up_items(shard, position, retry)


def _photo_items(shard: Shard, retry: RetryPolicy) -> Iterator[ShardInput]:
    paths = [path for i, path in enumerate(shard.files) if i not in retry.deaths]
    contents = read_files(paths, ahead=1) if retry.one_by_one else read_files(paths)
    for i, path in enumerate(shard.files):
        content = b"" if i in retry.deaths else next(contents)
        if isinstance(content, MienError):
            yield ShardInput(i, path, path, error=content)
        else:
            yield ShardInput(i, path, path, content=content)


def _given_up_items(shard: Shard, position: int, retry: RetryPolicy) -> Iterator[ShardInput]:
    """Rows for inputs that are not analysed, because too many inputs before them killed the process."""
    why = retry.deaths.get(position, "too many inputs of this shard killed the worker process")
    error = OutputError(f"not analysed: {why}", code=_KILLED)
    if shard.kind == "photos":
        for i in range(position, len(shard.files)):
            yield ShardInput(i, shard.files[i], shard.files[i], error=error)
    elif shard.inputs is not None:
        for i in range(position, shard.inputs):
            row = str(shard.start + i)
            yield ShardInput(i, f"{shard.files[0]}#{row}", shard.files[0], row, error=error)
    else:
        yield ShardInput(position, shard.files[0], shard.files[0], error=error, kind="file")


def _without_killer(item: ShardInput, retry: RetryPolicy) -> ShardInput:
    """The input; without its content, but with an error, where the process died at it."""
    if item.position in retry.deaths and item.error is None:
        error = OutputError(retry.deaths[item.position], path=item.source, code=_KILLED)
        return replace(item, content=None, error=error)
    return item


def _analyse_photos(analyzer: Analyzer, items: Sequence[ShardInput]) -> tuple[list[InputRow], list[Faces]]:
    frames: list[Frame] = []
    pending: list[InputRow | ShardInput] = []
    for item in items:
        if item.error is not None or item.content is None:
            pending.append(InputRow.failed(item, item.error or DataError("nothing was read", path=item.source)))
            continue
        try:
            frames.append(_decode(item.content, item.source, analyzer.reduction))
            pending.append(item)
        except MienError as error:
            pending.append(InputRow.failed(item, error))
    detected = iter(analyzer.analyze_batch(frames))
    results: list[Faces] = []
    rows: list[InputRow] = []
    for row in pending:
        if isinstance(row, ShardInput):
            faces = next(detected)
            results.append(faces)
            rows.append(InputRow.photo(row, faces))
        else:
            rows.append(row)
    return rows, results


def _decode(content: bytes, source: str, reduce: Literal[1, 2, 4, 8]) -> Frame:
    from mien.media.image import load_image

    return load_image(_NamedBytes(content, source), reduce=reduce)


class _NamedBytes(io.BytesIO):
    """Bytes with a name, which messages and results then contain."""

    def __init__(self, content: bytes, name: str) -> None:
        super().__init__(content)
        self.name = name


def _analyse_video(
    analyzer: Analyzer,
    settings: AnalysisSettings,
    shard: Shard,
    retry: RetryPolicy,
    on_position: PositionCallback,
) -> ShardResult:
    from mien.media.video import open_video
    from mien.results.row_writers import ParquetRows

    path = shard.files[0]
    item = ShardInput(0, path, path, kind="video")
    on_position(0)
    if death := retry.deaths.get(0):
        return _shard_result(shard, [InputRow.failed(item, OutputError(death, path=path, code=_KILLED))], {})
    with temporary_folder() as folder:
        table = folder / "rows.parquet"
        try:
            with (
                local_copy(path) as copy,
                open_video(copy, settings.selection) as source,
                analyzer.stream(source, tracking=settings.tracking, smoothing=settings.smoothing) as stream,
                ParquetRows(table) as writer,
            ):
                writer.write(replace(stream.rows([]), source=path))
                for batch in stream.batches():
                    writer.write(replace(stream.rows(batch), source=path))
                    on_position(0)
                row = InputRow.video(item, stream)
        except MienError as error:
            return _shard_result(shard, [InputRow.failed(item, error)], {})
        return _shard_result(shard, [row], {"frames": table.read_bytes()}, frames=row.frames or 0)


def _shard_result(
    shard: Shard, rows: Sequence[InputRow], tables: Mapping[str, bytes], faces: int = 0, frames: int = 0
) -> ShardResult:
    counts = ResultCounts(len(rows), sum(row.error is not None for row in rows), faces, frames)
    return ShardResult(shard.number, {**tables, "inputs": encode_inputs(rows, shard.number, counts)}, counts)


def _batches(items: Iterable[ShardInput], size: int) -> Iterator[list[ShardInput]]:
    rest = iter(items)
    while batch := list(itertools.islice(rest, size)):
        yield batch


def _ignore(position: int) -> None:
    """Report nothing."""
