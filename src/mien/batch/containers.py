"""Parquet files and tar files of pictures: what they hold, and one `Item` after the other."""

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

from mien.batch.storage import opened
from mien.batch.types import Item, Shard
from mien.errors import DataError, MienError, MissingExtraError
from mien.errors import display_path as shown
from mien.files import can_hold
from mien.media.image import image_suffixes

IMAGE_COLUMNS = ("image", "img", "img_bytes", "image_bytes", "bytes", "jpg", "jpeg", "png", "webp")
"""Names of columns of pictures, the first that a file has is taken: Hugging Face datasets write ``image``."""
_ROWS = 64
"""Rows decoded at once."""
LARGEST = 1 << 30
"""Bytes of a picture in a tar file; more than the pixels that `mien.media.image` takes make."""
_LONG_HEADS = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE, b"X")
_LONGEST_HEAD = 1 << 20
"""Bytes of the names and attributes of a member, which tarfile reads at once."""
_TAR_DAMAGE = (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, ValueError, TypeError, LookupError)
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
        return _row_counts(file), name


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
    except (MienError, OSError, ValueError, pa.ArrowException) as error:
        yield _broken(position, path, error)


def _rows(file: Any, shard: Shard) -> Iterator[tuple[int, bytes | None]]:
    """Row numbers and contents from ``start`` to ``stop``; only row groups that hold some of them are read."""
    path, end = shard.files[0], shard.stop
    column, first = _image_column(path, file.schema_arrow, shard.column), 0
    for group, rows in enumerate(_row_counts(file)):
        row, after = first, first + rows
        first = after
        if after <= shard.start or (end is not None and row >= end):
            continue
        for batch in file.iter_batches(batch_size=_ROWS, row_groups=[group], columns=[column]):
            if end is not None and row >= end:
                return
            if row + len(batch) > shard.start:
                for i, content in enumerate(_contents(batch.column(0)), row):
                    if i >= shard.start and (end is None or i < end):
                        yield i, content
            row += len(batch)
        if row < after:
            # Arrow ends without a word where a column holds less than its row group states
            raise DataError(f"{shown(path)}: {after - row} of {rows} rows are missing before row {after}: get it again")


def _contents(column: Any) -> list[bytes | None]:
    pa, _ = pyarrow()
    if pa.types.is_struct(column.type):
        # what stands beside the bytes need not even be text
        column = column.flatten()[column.type.get_field_index("bytes")]
    return list(column.to_pylist())


def _row_counts(file: Any) -> list[int]:
    return [file.metadata.row_group(i).num_rows for i in range(file.metadata.num_row_groups)]


def _image_column(path: str, schema: Any, column: str | None) -> str:
    pa, _ = pyarrow()
    candidates = IMAGE_COLUMNS if column is None else (column,)
    for name in candidates:
        if schema.names.count(name) != 1:
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
            size = stream.seek(0, io.SEEK_END)
            file = pq.ParquetFile(stream)
            rows = _row_counts(file)
            _ = file.schema_arrow.names  # decoded only now
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise DataError(
                f"{shown(path)}: not a readable Parquet file ({_first_line(error)}): get it again"
            ) from None
        if not can_hold(size, rows):
            raise DataError(f"{shown(path)}: is damaged: {sum(rows):,} rows in {size:,} bytes: get it again")
        yield file


class _Member(tarfile.TarInfo):
    """A member of a tar file, of which a damaged head is told: tarfile itself would take it for the end of the file."""

    @classmethod
    def fromtarfile(cls, tarfile: tarfile.TarFile) -> _Member:
        """See `tarfile.TarInfo.fromtarfile`."""
        try:
            return super().fromtarfile(tarfile)
        except HeaderError as error:
            kind = type(error).__name__
            if kind == "EOFHeaderError":
                raise  # the mark of the end
            if kind == "EmptyHeaderError":
                raise ReadError("ends without the mark of its end, so that it may be cut short") from None
            raise ReadError(str(error)) from None

    def _proc_member(self, tarfile: tarfile.TarFile) -> _Member:
        if self.type in _LONG_HEADS and not 0 <= self.size <= _LONGEST_HEAD:
            raise ReadError(f"a head of {self.size:,} bytes")
        whole: _Member = super()._proc_member(tarfile)  # type: ignore[misc]
        return whole


class _Ending:
    """A file of which the end is told: what a head states is skipped piece by piece, though the file ended long ago."""

    def __init__(self, stream: Any) -> None:
        self._stream, self._patience = stream, 8

    def read(self, size: int) -> bytes:
        """Bytes from where the last call ended."""
        content: bytes = self._stream.read(size)
        self._patience -= not content
        if not self._patience:
            raise EOFError("ends too early")
        return content


def check_tar(path: str) -> None:
    """`DataError` where a file is no tar file at all."""
    try:
        with opened(path) as stream, _tar(stream):
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
        with opened(path) as stream, _tar(stream) as tar:
            for member in tar:
                name = PurePosixPath(member.name)
                if not member.isreg() or name.suffix.lower() not in suffixes or name.name.startswith("."):
                    continue
                content, said = None, None
                if member.size > LARGEST:
                    what = f"{shown(path)}: {shown(member.name)}"
                    said = f"{what}: states {member.size:,} bytes, more than any picture has"
                elif position not in skip:
                    file = tar.extractfile(member)
                    content = b"" if file is None else file.read()
                yield Item(position, f"{path}#{member.name}", path, member.name, content, said)
                position += 1
    except (*_TAR_DAMAGE, OSError, MienError) as error:
        yield _broken(position, path, error)
        return
    if position == 0:
        yield Item(0, path, path, error=f"{shown(path)}: holds no picture", kind="file")


def _tar(stream: Any) -> tarfile.TarFile:
    # a stream of blocks: no seeking, so that a remote file is fetched once
    ending: Any = _Ending(stream)
    return tarfile.open(fileobj=ending, mode="r|*", tarinfo=_Member)


def _broken(position: int, path: str, error: Exception) -> Item:
    if isinstance(error, MienError):
        said = str(error)
    else:
        after = f"after {position:,} pictures " if position else ""
        said = f"{shown(path)}: cannot be read {after}({_first_line(error)}): get the file again"
    return Item(position, path, path, error=said, kind="file")


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:300] if str(error) else type(error).__name__
