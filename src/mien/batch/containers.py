"""Parquet files and tar files of pictures: what they hold, and one `Item` after the other."""

from __future__ import annotations

import lzma
import tarfile
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import Any

from mien.batch.places import opened
from mien.batch.values import Item, Shard
from mien.errors import DataError, MienError, MissingExtraError
from mien.sources.image import image_suffixes, shown

IMAGE_COLUMNS = ("image", "img", "img_bytes", "image_bytes", "bytes", "jpg", "jpeg", "png", "webp")
"""Names of columns of pictures, the first that a file has is taken: Hugging Face datasets write ``image``."""
_ROWS = 64
"""Rows decoded at once."""
_TAR_DAMAGE = (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, ValueError)
"""What reading a damaged tar file raises besides `OSError`."""


class NoPicturesError(DataError):
    """A Parquet file of something else, such as labels."""


def pyarrow() -> tuple[Any, Any]:
    """``(pyarrow, pyarrow.parquet)``; `MissingExtraError` where it is not installed."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise MissingExtraError("pyarrow", "batch", "a batch") from None
    return pa, pq


def row_groups(path: str, column: str | None = None) -> tuple[list[int], str]:
    """Rows of every row group of a Parquet file, and the column that holds its pictures.

    Args:
        path: the file.
        column: its name, where that is known.

    Raises:
        DataError: not a readable Parquet file, or no column of pictures in it.
    """
    with _parquet(path) as file:
        name = _image_column(path, file.schema_arrow, column)
        return [file.metadata.row_group(i).num_rows for i in range(file.metadata.num_row_groups)], name


def parquet_items(shard: Shard) -> Iterator[Item]:
    """The rows of a shard of a Parquet file; where reading fails, one item that says so ends them."""
    path, position = shard.files[0], 0
    pa, _ = pyarrow()
    try:
        with _parquet(path) as file:
            for row, content in _rows(file, shard):
                member = str(row)
                error = None if content is not None else f"{shown(path)}: row {row} holds no picture"
                yield Item(position, f"{path}#{member}", path, member, content, error)
                position += 1
    except (MienError, OSError, pa.ArrowException) as error:
        yield _broken(position, path, error)


def _rows(file: Any, shard: Shard) -> Iterator[tuple[int, bytes | None]]:
    """Row numbers and contents from ``start`` to ``stop``; only row groups that hold some of them are read."""
    first, wanted = 0, []
    skipped: int | None = None
    for group in range(file.metadata.num_row_groups):
        rows = file.metadata.row_group(group).num_rows
        if first + rows > shard.start and (shard.stop is None or first < shard.stop):
            wanted.append(group)
            skipped = first if skipped is None else skipped
        first += rows
    row = skipped or 0
    if not wanted:
        return
    column = _image_column(shard.files[0], file.schema_arrow, shard.column)
    for batch in file.iter_batches(batch_size=_ROWS, row_groups=wanted, columns=[column]):
        if shard.stop is not None and row >= shard.stop:
            return
        if row + len(batch) > shard.start:
            for i, content in enumerate(_contents(batch.column(0)), row):
                if i >= shard.start and (shard.stop is None or i < shard.stop):
                    yield i, content
        row += len(batch)


def _contents(column: Any) -> list[bytes | None]:
    pa, _ = pyarrow()
    if not pa.types.is_struct(column.type):
        return list(column.to_pylist())
    return [None if value is None else value.get("bytes") for value in column.to_pylist()]


def _image_column(path: str, schema: Any, column: str | None) -> str:
    pa, _ = pyarrow()
    candidates = IMAGE_COLUMNS if column is None else (column,)
    for name in candidates:
        if name not in schema.names:
            continue
        kind = schema.field(name).type
        if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
            kind = kind.field("bytes").type
        if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
            return name
    wanted, there = ", ".join(candidates), ", ".join(schema.names)
    raise NoPicturesError(
        f"{shown(path)}: no column of encoded pictures (looked for {wanted}; it has {there}): name it with --column"
    )


@contextmanager
def _parquet(path: str) -> Iterator[Any]:
    pa, pq = pyarrow()
    with opened(path) as stream:
        try:
            file = pq.ParquetFile(stream)
        except (pa.ArrowException, OSError) as error:
            raise DataError(
                f"{shown(path)}: not a readable Parquet file ({_first_line(error)}): get it again"
            ) from None
        yield file


def check_tar(path: str) -> None:
    """`DataError` where a file is no tar file at all."""
    try:
        with opened(path) as stream, tarfile.open(fileobj=stream, mode="r|*"):
            pass
    except (*_TAR_DAMAGE, OSError) as error:
        raise DataError(f"{shown(path)}: not a readable tar file ({_first_line(error)}): get it again") from None


def tar_items(shard: Shard, skip: Collection[int] = ()) -> Iterator[Item]:
    """The pictures of a tar file, such as a WebDataset shard, read from its start to its end.

    Members that are no pictures (labels, texts) are passed over. Where reading fails, one item that says so ends them.
    """
    path, position = shard.files[0], 0
    suffixes = image_suffixes()
    try:
        # a stream of blocks: no seeking, so that a remote file is fetched once
        with opened(path) as stream, tarfile.open(fileobj=stream, mode="r|*") as tar:
            for member in tar:
                name = PurePosixPath(member.name)
                if not member.isreg() or name.suffix.lower() not in suffixes or name.name.startswith("."):
                    continue
                content = None
                if position not in skip:
                    file = tar.extractfile(member)
                    content = b"" if file is None else file.read()
                yield Item(position, f"{path}#{member.name}", path, member.name, content)
                position += 1
    except (*_TAR_DAMAGE, OSError, MienError) as error:
        yield _broken(position, path, error)
        return
    if position == 0:
        yield Item(0, path, path, error=f"{shown(path)}: holds no picture", kind="file")


def _broken(position: int, path: str, error: Exception) -> Item:
    if isinstance(error, MienError):
        said = str(error)
    else:
        after = f"after {position:,} pictures " if position else ""
        said = f"{shown(path)}: cannot be read {after}({_first_line(error)}): get the file again"
    return Item(position, path, path, error=said, kind="file")


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
