"""The work folder: private, and removed with its service."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from helpers.serving import workdirs
from mien.server.workdir import temporary_workdir


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary folder of its own, so that what is left in it can be seen."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_folders_of_killed_services_go_with_the_next_start(temporary: Path) -> None:
    dead = temporary / "mien-serve-dead"
    (dead / "x").mkdir(parents=True)
    (dead / "lock").touch()
    other = temporary / "mien-serve-other"
    other.mkdir()
    new = temporary / ".mien-serve-new-just-made"
    new.mkdir()
    with temporary_workdir() as mine:
        assert not dead.exists()
        with temporary_workdir() as second:
            assert mine.path.is_dir()
            assert second.path.is_dir()
    assert workdirs(temporary) == [other]
    assert new.is_dir()  # another start may be about to lock it
    os.utime(new, (0, 0))
    (new / "lock").touch()
    os.utime(new, (0, 0))
    with temporary_workdir():
        assert not new.exists()


def test_starts_at_once_never_remove_each_other_s_folder(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another start sweeps at every moment at which a folder exists that is not locked yet."""
    from mien.file_lock import FileLock
    from mien.server import workdir

    acquire, swept = FileLock.acquire, 0

    def sweep_first(self: FileLock, *, unsupported: bool = True) -> bool:
        nonlocal swept
        if unsupported:  # the lock of a start, not one that a sweep tries
            self.path.touch()  # as if it were open already, and not locked
            swept += 1
            workdir._remove_stale(temporary)
        return acquire(self, unsupported=unsupported)

    monkeypatch.setattr(FileLock, "acquire", sweep_first)
    with temporary_workdir() as mine:
        workdir._remove_stale(temporary)
        assert mine.path.is_dir()
        (held,) = workdirs(temporary)
        assert held == mine.path
    assert swept == 1


def test_many_processes_that_start_at_once_keep_their_folders(temporary: Path) -> None:
    code = (
        "from mien.server.workdir import temporary_workdir\n"
        "for _ in range(40):\n"
        "    with temporary_workdir() as mine:\n"
        "        (mine.path / 'x').write_text('x')\n"
        "        assert (mine.path / 'x').exists()\n"
    )
    environment = os.environ | {"TMPDIR": str(temporary)}
    starts = [
        subprocess.Popen([sys.executable, "-c", code], env=environment, stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    assert [(one.communicate()[1], one.returncode) for one in starts] == [("", 0)] * 4
    assert list(temporary.iterdir()) == []


def test_a_folder_that_vanished_is_made_again(temporary: Path) -> None:
    with temporary_workdir() as workdir:
        before = workdir.path
        workdir.ensure()
        assert (workdir.path, workdir.made_again) == (before, 0)
        shutil.rmtree(before)
        workdir.ensure()
        assert workdir.path.is_dir()
        assert workdir.made_again == 1
        with temporary_workdir():
            assert workdir.path.is_dir()
        shutil.rmtree(temporary)
        with pytest.raises(OSError, match="No such file"):
            workdir.ensure()
        temporary.mkdir()
        workdir.ensure()
        assert workdir.made_again == 2
    assert workdirs(temporary) == []
