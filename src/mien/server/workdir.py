"""A folder that only the user of the service can read, and that goes with it."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

_PREFIX, _LOCK = "mien-serve-", "lock"


@contextlib.contextmanager
def temporary_workdir() -> Iterator[Path]:
    """A new folder, mode 0700, in the system's temporary one; removed at the end. Those of killed services go too."""
    _remove_stale(Path(tempfile.gettempdir()))
    root = Path(tempfile.mkdtemp(prefix=_PREFIX))
    lock = (root / _LOCK).open("w")
    try:
        _try_lock(lock)
        yield root
    finally:
        lock.close()
        shutil.rmtree(root, ignore_errors=True)


def _remove_stale(parent: Path) -> None:
    """Remove the folders of ours that no running service holds the lock of."""
    if os.name != "posix":
        return
    for old in parent.glob(f"{_PREFIX}*"):
        try:
            if old.is_symlink() or old.stat().st_uid != os.getuid():
                continue
            with (old / _LOCK).open("r+") as lock:
                if _try_lock(lock):
                    shutil.rmtree(old, ignore_errors=True)
        except OSError:
            continue  # it has just been made, or has just gone


def _try_lock(lock: IO[str]) -> bool:
    """Take the lock; False where another process has it. The system lets it go when a process dies."""
    try:
        import fcntl
    except ImportError:  # Windows, where an open file cannot be removed anyway
        return True
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
