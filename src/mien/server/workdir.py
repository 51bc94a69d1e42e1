"""A folder that only the user of the service can read; it is removed with the service."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from mien.file_lock import FileLock
from mien.logger import get_logger

log = get_logger(__name__)

_PREFIX, _NEW_PREFIX, _LOCK = "mien-serve-", ".mien-serve-new-", "lock"
_NEW_SECONDS = 3600.0
"""Age at which a folder that has its first name, which should last for milliseconds, counts as left behind."""


class Workdir:
    """A folder in the system's temporary one, mode 0700, that other starts of the service do not remove.

    A folder gets the name that starts sweep only when its lock is held: so no start finds one that is not locked yet.

    Attributes:
        path: the folder.
        made_again: how often it had vanished and was made again.
    """

    def __init__(self) -> None:
        self.made_again = 0
        self.path, self._lock = _locked_folder()

    def ensure(self) -> None:
        """Make the folder again where something removed it, such as a cleaner of temporary files.

        Raises:
            OSError: it cannot be made.
        """
        if (self.path / _LOCK).exists():
            return
        self._lock.release()
        self.path, self._lock = _locked_folder()
        self.made_again += 1
        log.warning("the temporary folder had vanished and was made again; videos in it are lost")

    def remove(self) -> None:
        """Remove the folder and everything in it."""
        self._lock.release()  # Windows removes no open file
        shutil.rmtree(self.path, ignore_errors=True)


@contextlib.contextmanager
def temporary_workdir() -> Iterator[Workdir]:
    """A new folder, removed at the end; those of killed services are removed at the start."""
    _remove_stale(Path(tempfile.gettempdir()))
    workdir = Workdir()
    try:
        yield workdir
    finally:
        workdir.remove()


def _locked_folder() -> tuple[Path, FileLock]:
    new = Path(tempfile.mkdtemp(prefix=_NEW_PREFIX))
    lock = FileLock(new / _LOCK)
    lock.acquire()
    path = new.with_name(_PREFIX + new.name.removeprefix(_NEW_PREFIX))
    if os.name == "posix":
        new.rename(path)
        return path, lock
    return new, lock  # Windows renames no folder with an open file; there none is swept


def _remove_stale(parent: Path) -> None:
    """Remove the folders of services whose lock no running service holds."""
    if os.name != "posix":
        return
    stale = time.time() - _NEW_SECONDS
    for old in (*parent.glob(f"{_PREFIX}*"), *parent.glob(f"{_NEW_PREFIX}*")):
        try:
            status = old.lstat()
            is_new = old.name.startswith(_NEW_PREFIX)
            if old.is_symlink() or status.st_uid != os.getuid() or (is_new and status.st_mtime > stale):
                continue
            lock = FileLock(old / _LOCK, create=False)
            # where the disk has no locks, the service may still run
            if lock.acquire(unsupported=False):
                shutil.rmtree(old, ignore_errors=True)
                lock.release()
        except OSError:
            continue  # another start has just removed it
