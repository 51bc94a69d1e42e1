"""Files: written so that an interrupted run leaves no half one, and believed no further than their size goes."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from mien.errors import InputError, MienError, OutputError


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str], *, folder: Path | None = None) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; on success it is moved into place, on any error it is removed.

    The temporary name keeps the suffix, because encoders choose the format by it. Parent folders are made. A kill
    leaves the temporary file; ``folder``, which must be on the same disk, puts it where it will be found and removed.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    where = target.parent if folder is None else folder
    handle, name = tempfile.mkstemp(prefix=f".{target.stem}-", suffix=target.suffix, dir=where)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp makes files private; a result has the permissions any new file of the user has
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def writing(path: str | os.PathLike[str]) -> Iterator[None]:
    """What the system says while ``path`` is written (disk full, no permission) becomes one `OutputError`."""
    try:
        yield
    except MienError:
        raise
    except OSError as error:
        name = os.fspath(path).encode("utf-8", "backslashreplace").decode("utf-8")
        why = error.strerror or str(error)
        raise OutputError(f"{name}: cannot be written: {why}; what was written before is kept") from None


def output_file(path: str | os.PathLike[str]) -> Path:
    """The path of a file to be written; `InputError` where it is a folder."""
    target = Path(path)
    if target.is_dir():
        raise InputError(f"{target}: is a folder: give the name of a file in it")
    return target


def sync(path: str | os.PathLike[str]) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    if os.name != "posix" and Path(path).is_dir():
        return  # only POSIX opens folders
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def discard(folder: Path) -> None:
    """Remove a folder so that it is never seen half empty."""
    doomed = folder.with_name(f".{folder.name}.done")
    shutil.rmtree(doomed, ignore_errors=True)
    if folder.is_dir():
        with writing(folder):
            folder.rename(doomed)
        shutil.rmtree(doomed, ignore_errors=True)


class Appended:
    """A file that grows at its end. What a failed or interrupted `append` left of its data is taken back."""

    def __init__(self, path: Path, keep: int = 0) -> None:
        """Open ``path`` for appending after its first ``keep`` bytes; what lies beyond them is thrown away."""
        self._path = path
        self._end = keep
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._handle = os.open(path, os.O_WRONLY | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
            # a pipe or a terminal can be written too, but neither cut nor synchronised
            self._regular = stat.S_ISREG(os.fstat(self._handle).st_mode)
            self._cut()
            if self._regular:
                sync(path.parent)

    def append(self, data: bytes) -> None:
        """Write all of ``data``, or, with an `OutputError`, none of it."""
        rest = memoryview(data)
        try:
            with writing(self._path):
                while rest:
                    rest = rest[os.write(self._handle, rest) :]
        except BaseException:
            with contextlib.suppress(OSError):
                self._cut()
            raise
        self._end += len(data)

    def sync(self) -> None:
        """Wait until everything is on the disk."""
        if self._regular:
            with writing(self._path):
                os.fsync(self._handle)

    def close(self) -> None:
        """Close the file; once is enough, more do no harm."""
        if self._handle >= 0:
            handle, self._handle = self._handle, -1
            with writing(self._path):
                os.close(handle)

    def _cut(self) -> None:
        if self._regular:
            os.ftruncate(self._handle, self._end)
            os.lseek(self._handle, self._end, os.SEEK_SET)


def is_file(path: str | os.PathLike[str]) -> bool:
    """Whether there is such a file; a name that no file can have, such as one that is too long, names none."""
    return os.path.isfile(path)  # noqa: PTH113 - that of Path raises for names from a damaged list


def can_hold(size: int, rows: Sequence[int]) -> bool:
    """Whether a Parquet file of ``size`` bytes can hold row groups of so many rows: no row is less than a bit.

    Memory and time are taken for as many rows as a file states, so that it has to be believable.
    """
    return all(count >= 0 for count in rows) and sum(rows) <= 8 * size
