"""The work folder: private, and removed with its service."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from helpers.serving import workdirs


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary folder of its own, so that what is left in it can be seen."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_folders_of_killed_services_go_with_the_next_start(temporary: Path) -> None:
    from mien.server.workdir import temporary_workdir

    dead = temporary / "mien-serve-dead"
    (dead / "x").mkdir(parents=True)
    (dead / "lock").touch()
    other = temporary / "mien-serve-other"
    other.mkdir()
    with temporary_workdir() as mine:
        assert not dead.exists()
        with temporary_workdir() as second:
            assert mine.is_dir()
            assert second.is_dir()
    assert workdirs(temporary) == [other]
