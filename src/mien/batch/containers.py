"""Parquet files and tar files of pictures, read as `ShardInput` values."""

from __future__ import annotations

import io
import lzma
import tarfile
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from tarfile import HeaderError, ReadError
from typing import Any

from mien.batch.storage import open_stream
from mien.batch.types import Shard, ShardInput
from mien.errors import DataError, MienError, MissingExtraError
from mien.files import can_hold
from mien.media.image import image_suffixes

IMAGE_COLUMNS = ("image", "img", "img_bytes", "image_bytes", "bytes", "jpg", "jpeg", "png", "webp")
"""Names of columns of pictures; the first one that a file has is used. Hugging Face datasets write ``image``."""
MAX_PICTURE_BYTES = 1 << 30
"""Largest picture in a tar file, bytes; more than the pixels that `mien.media.image` accepts can take."""
_BATCH_ROWS = 64
"""Rows decoded at once."""
_LONG_HEADERS = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE, b"X")
_MAX_HEADER_BYTES = 1 << 20
"""Bytes of the names and attributes of a member, which tarfile reads at once."""
_TAR_ERRORS = (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, ValueError, TypeError, LookupError)
"""What reading a damaged tar file raises besides `OSError`."""
_GET_AGAIN = "get it again"


class NoPicturesError(DataError):
    """A Parquet file of something else, such as labels."""

    default_code = "no-pictures"


def import_pyarrow() -> tuple[Any, Any]:
    """``(pyarrow, pyarrow.parquet)``; `MissingExtraError` where it is not installed."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise MissingExtraError("pyarrow", "batch", "a batch") from None
    return pa, pq


def row_group_sizes(path: str, column: str | None = None) -> tuple[list[int], str]:
    """Number of rows of every row group of a Parquet file, and the column that holds its pictures.

    Args:
        path: the file.
        column: its name, where that is known.

    Raises:
        DataError: not a readable Parquet file, or no column of pictures in it.
    """
    with _open_parquet(path) as file:
        name = _image_column(path, file.schema_arrow, column)
        return _row_counts(file), name


def parquet_items(shard: Shard) -> Iterator[ShardInput]:
    """The rows of a shard of a Parquet file; where reading fails, the last one is an input with the error."""
    path, position = shard.files[0], 0
    pa, _ = import_pyarrow()
    try:
        with _open_parquet(path) as file:
            for row, content in _read_rows(file, shard):
                member = str(row)
                error = None if content is not None else DataError(f"row {row} holds no picture", path=path)
                yield ShardInput(position, f"{path}#{member}", path, member, content, error)
                position += 1
    except (MienError, OSError, ValueError, pa.ArrowException) as error:
        yield _unreadable_input(position, path, error)


def _read_rows(file: Any, shard: Shard) -> Iterator[tuple[int, bytes | None]]:
    """Row numbers and contents from ``start`` to ``stop``; only row groups that hold some of them are read."""
    path, end = shard.files[0], shard.stop
    column, first = _image_column(path, file.schema_arrow, shard.column), 0
    for group, rows in enumerate(_row_counts(file)):
        row, after = first, first + rows
        first = after
        if after <= shard.start or (end is not None and row >= end):
            continue
        for batch in file.iter_batches(batch_size=_BATCH_ROWS, row_groups=[group], columns=[column]):
            if end is not None and row >= end:
                return
            if row + len(batch) > shard.start:
                for i, content in enumerate(_cell_contents(batch.column(0)), row):
                    if i >= shard.start and (end is None or i < end):
                        yield i, content
            row += len(batch)
        if row < after:
            # Arrow ends silently where a column holds fewer values than its row group declares
            reason = f"{after - row} of {rows} rows are missing before row {after}"
            raise DataError(reason, path=path, advice=_GET_AGAIN)


def _cell_contents(column: Any) -> list[bytes | None]:
    pa, _ = import_pyarrow()
    if pa.types.is_struct(column.type):
        # the fields beside the bytes need not even be text
        column = column.flatten()[column.type.get_field_index("bytes")]
    return list(column.to_pylist())


def _row_counts(file: Any) -> list[int]:
    return [file.metadata.row_group(i).num_rows for i in range(file.metadata.num_row_groups)]


def _image_column(path: str, schema: Any, column: str | None) -> str:
    pa, _ = import_pyarrow()
    candidates = IMAGE_COLUMNS if column is None else (column,)
    for name in candidates:
        if schema.names.count(name) != 1:
            continue
        kind = schema.field(name).type
        if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
            kind = kind.field("bytes").type
        if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
            return name
    raise NoPicturesError(
        f"no column of encoded pictures (expected {', '.join(candidates)}; it has {', '.join(schema.names)})",
        path=path,
        advice="name the column with --column",
        details={"columns": list(schema.names)},
    )


@contextmanager
def _open_parquet(path: str) -> Iterator[Any]:
    pa, pq = import_pyarrow()
    with open_stream(path) as stream:
        try:
            size = stream.seek(0, io.SEEK_END)
            file = pq.ParquetFile(stream)
            rows = _row_counts(file)
            _ = file.schema_arrow.names  # decoded only now
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            reason = f"not a readable Parquet file ({_first_line(error)})"
            raise DataError(reason, path=path, advice=_GET_AGAIN) from None
        if not can_hold(size, rows):
            raise DataError(f"is damaged: {sum(rows):,} rows in {size:,} bytes", path=path, advice=_GET_AGAIN)
        yield file


class _CheckedMember(tarfile.TarInfo):
    """A member of a tar file that raises for a damaged header; tarfile itself would take it for the end of the file."""

    @classmethod
    def fromtarfile(cls, tarfile: tarfile.TarFile) -> _CheckedMember:
        """See `tarfile.TarInfo.fromtarfile`."""
        try:
            return super().fromtarfile(tarfile)
        except HeaderError as error:
            kind = type(error).__name__
            if kind == "EOFHeaderError":
                raise  # the end-of-archive mark
            if kind == "EmptyHeaderError":
                raise ReadError("no end-of-archive mark; it may be truncated") from None
            raise ReadError(str(error)) from None

    def _proc_member(self, tarfile: tarfile.TarFile) -> _CheckedMember:
        if self.type in _LONG_HEADERS and not 0 <= self.size <= _MAX_HEADER_BYTES:
            raise ReadError(f"a header of {self.size:,} bytes")
        whole: _CheckedMember = super()._proc_member(tarfile)  # type: ignore[misc]
        return whole


class _EndOfFileGuard:
    """A stream that raises when it is read past its end: tarfile skips what a header declares piece by piece."""

    def __init__(self, stream: Any) -> None:
        self._stream, self._empty_reads_left = stream, 8

    def read(self, size: int) -> bytes:
        """The next bytes."""
        content: bytes = self._stream.read(size)
        self._empty_reads_left -= not content
        if not self._empty_reads_left:
            raise EOFError("ends too early")
        return content


def check_tar(path: str) -> None:
    """`DataError` where a file is no tar file at all."""
    try:
        with open_stream(path) as stream, _open_tar(stream):
            pass
    except (*_TAR_ERRORS, OSError) as error:
        reason = f"not a readable tar file ({_first_line(error)})"
        raise DataError(reason, path=path, advice=_GET_AGAIN) from None


def tar_items(shard: Shard, skip: Collection[int] = ()) -> Iterator[ShardInput]:
    """The pictures of a tar file, such as a WebDataset shard, read from its start to its end.

    Members that are no pictures (labels, texts) are skipped. Where reading fails, the last one is an input with the
    error.
    """
    path, position = shard.files[0], 0
    suffixes = image_suffixes()
    try:
        with open_stream(path) as stream, _open_tar(stream) as tar:
            for member in tar:
                name = PurePosixPath(member.name)
                if not member.isreg() or name.suffix.lower() not in suffixes or name.name.startswith("."):
                    continue
                content, error, source = None, None, f"{path}#{member.name}"
                if member.size > MAX_PICTURE_BYTES:
                    reason = f"declares {member.size:,} bytes, more than any picture has"
                    error = DataError(reason, path=source)
                elif position not in skip:
                    file = tar.extractfile(member)
                    content = b"" if file is None else file.read()
                yield ShardInput(position, source, path, member.name, content, error)
                position += 1
    except (*_TAR_ERRORS, OSError, MienError) as error:
        yield _unreadable_input(position, path, error)
        return
    if position == 0:
        yield ShardInput(0, path, path, error=DataError("holds no picture", path=path), kind="file")


def _open_tar(stream: Any) -> tarfile.TarFile:
    # a stream of blocks: no seeking, so that a remote file is fetched once
    guarded: Any = _EndOfFileGuard(stream)
    return tarfile.open(fileobj=guarded, mode="r|*", tarinfo=_CheckedMember)


def _unreadable_input(position: int, path: str, error: Exception) -> ShardInput:
    if not isinstance(error, MienError):
        after = f"after {position:,} pictures " if position else ""
        error = DataError(f"cannot be read {after}({_first_line(error)})", path=path, advice=_GET_AGAIN)
    return ShardInput(position, path, path, error=error, kind="file")


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:300] if str(error) else type(error).__name__
