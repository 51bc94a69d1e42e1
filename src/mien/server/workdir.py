"""A folder that only the user of the service can read, removed with the service."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from mien.file_lock import FileLock

_PREFIX, _LOCK = "mien-serve-", "lock"


@contextlib.contextmanager
def temporary_workdir() -> Iterator[Path]:
    """A new folder, mode 0700, in the system's temporary one; removed at the end, as are those of killed services."""
    _remove_stale(Path(tempfile.gettempdir()))
    root = Path(tempfile.mkdtemp(prefix=_PREFIX))
    lock = FileLock(root / _LOCK)
    try:
        lock.acquire()
        yield root
    finally:
        lock.release()  # Windows removes no open file
        shutil.rmtree(root, ignore_errors=True)


def _remove_stale(parent: Path) -> None:
    """Remove the folders of services whose lock no running service holds."""
    if os.name != "posix":
        return
    for old in parent.glob(f"{_PREFIX}*"):
        try:
            if old.is_symlink() or old.stat().st_uid != os.getuid():
                continue
            lock = FileLock(old / _LOCK, create=False)
            # where the disk has no locks, the service may still run
            if lock.acquire(unsupported=False):
                shutil.rmtree(old, ignore_errors=True)
                lock.release()
        except OSError:
            continue  # it has just been made, or has just been removed
