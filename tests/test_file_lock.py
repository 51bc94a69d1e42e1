"""One process at a time; killed ones do not count."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import pytest

from mien import file_lock
from mien.errors import InputError
from mien.file_lock import FileLock

HOLD = """
import sys
from mien.file_lock import FileLock
lock = FileLock(sys.argv[1])
print(lock.acquire(), flush=True)
sys.stdin.read()
"""


def test_one_lock_at_a_time(tmp_path: Path) -> None:
    first, second = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    assert first.acquire()
    assert first.acquire(), "again by the one that has it"
    assert not second.acquire()
    first.release()
    first.release()
    assert second.acquire()
    del second
    assert first.acquire(), "an object that is gone has no lock"


def test_a_killed_process_holds_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "True\n"
        assert not FileLock(path).acquire()
        other.kill()
        other.wait()
    assert FileLock(path).acquire()


def test_a_held_lock_is_an_error_with_fields(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with FileLock(path):
        with pytest.raises(InputError, match="another process has locked it; wait for it, or end it") as caught:
            FileLock(path).__enter__()
        assert (caught.value.code, caught.value.path) == ("file-locked", str(path))
    with FileLock(path):
        pass


def test_a_file_is_made_only_where_it_may_be(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        FileLock(tmp_path / "lock", create=False).acquire()
    with pytest.raises(FileNotFoundError):
        FileLock(tmp_path / "nowhere" / "lock").acquire()
    (tmp_path / "lock").write_text("kept")
    assert FileLock(tmp_path / "lock", create=False).acquire()
    assert (tmp_path / "lock").read_text() == "kept"


@pytest.mark.parametrize("unsupported", [True, False])
def test_on_a_disk_without_locks_the_caller_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unsupported: bool
) -> None:
    def refuse(_: int) -> bool:
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr(file_lock, "_lock", refuse)
    lock = FileLock(tmp_path / "lock")
    assert lock.acquire(unsupported=unsupported) is unsupported
    lock.release()
