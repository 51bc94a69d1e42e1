"""A lock between processes on a file or a folder, which the system releases when the process that holds it ends.

The package filelock was not taken: on a disk without locks it falls back to a marker file, which outlives a killed run
and keeps the next one out.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from mien.errors import InputError

_WINDOWS_LOCK = ".mien-lock"
"""File that stands for a folder where the system locks no folders."""
_LOCKED_BYTE = 1 << 30
"""Position of the byte that is locked on Windows: behind the content, which others may read."""


def lock_descriptor(descriptor: int) -> bool:
    """Lock an open file until it is closed, without waiting; False where another one holds the lock.

    On a disk without locks, such as some network disks, it is True.
    """
    try:
        return _lock(descriptor)
    except OSError:
        return True


def lock_folder(folder: str | os.PathLike[str]) -> FileLock:
    """The lock on a folder that exists; nothing is left in it when it is released.

    Raises:
        InputError: with the code "output-locked": another run holds it.
        OSError: the folder cannot be opened.
    """
    on_windows = os.name == "nt"
    lock = FileLock(Path(folder) / _WINDOWS_LOCK if on_windows else folder, create=on_windows, temporary=on_windows)
    if not lock.acquire():
        raise output_locked_error(folder)
    return lock


def output_locked_error(path: str | os.PathLike[str]) -> InputError:
    """The error of a second run that would write where another one writes."""
    return InputError(
        "another run is writing to it",
        path=path,
        advice="wait until that run ends, or choose another output",
        code="output-locked",
    )


class FileLock:
    """An exclusive lock; the file stays, empty, when it is released.

    As a context manager it raises `InputError` with the code ``file-locked`` where another process holds the lock.

    Args:
        path: the file to lock.
        create: make the file where there is none; its folder must exist.
        temporary: the system removes the file when the lock is released (Windows).
    """

    def __init__(self, path: str | os.PathLike[str], *, create: bool = True, temporary: bool = False) -> None:
        self.path = Path(path)
        self._flags = os.O_RDONLY if self.path.is_dir() else os.O_RDWR
        self._flags |= (os.O_CREAT if create else 0) | (getattr(os, "O_TEMPORARY", 0) if temporary else 0)
        self._descriptor = -1

    def acquire(self, *, unsupported: bool = True) -> bool:
        """Take the lock without waiting.

        Args:
            unsupported: what to return on a disk without locks, such as some network disks.

        Returns:
            Whether this object now has the lock; False while another one, of this process or another, has it.

        Raises:
            OSError: the file cannot be opened.
        """
        if self._descriptor >= 0:
            return True
        descriptor = os.open(self.path, self._flags, 0o666)
        locked = False
        try:
            locked = _lock(descriptor)
        except OSError:
            locked = unsupported
        finally:
            if locked:
                self._descriptor = descriptor
            else:
                os.close(descriptor)
        return locked

    def release(self) -> None:
        """Let others take the lock; without effect where it is not held."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __enter__(self) -> FileLock:
        if not self.acquire():
            raise InputError(
                "another process has locked it", path=self.path, advice="wait for it, or end it", code="file-locked"
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def __del__(self) -> None:
        with suppress(AttributeError, OSError):
            self.release()


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> bool:
        """Lock one byte; False where it is locked. `OSError` on a disk without locks."""
        position = os.lseek(descriptor, 0, os.SEEK_CUR)
        os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        finally:
            os.lseek(descriptor, position, os.SEEK_SET)
        return True

else:
    import fcntl

    def _lock(descriptor: int) -> bool:
        """Lock the file; False where it is locked. `OSError` on a disk without locks."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):  # some file systems report the second
            return False
        return True
