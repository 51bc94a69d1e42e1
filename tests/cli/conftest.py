"""Calls of the command line in this process."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from helpers.commands import CommandRun
from helpers.pictures import astronaut, noise
from mien.cli import main


@pytest.fixture
def mien(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., CommandRun]:
    """``mien(*arguments)`` as from a shell."""

    def call(*arguments: object) -> CommandRun:
        monkeypatch.setattr(sys, "argv", ["mien", *map(str, arguments)])
        # or it would end the tests
        monkeypatch.setattr("mien.cli._exit_at_once", sys.exit)
        with pytest.raises(SystemExit) as stopped:
            main()
        captured = capfd.readouterr()
        return CommandRun(int(stopped.value.code or 0), captured.out, captured.err)

    return call


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder with one picture of a face and one without."""
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.fromarray(astronaut()).save(folder / "face.jpg", quality=95)
    Image.fromarray(noise(120, 160, blur=5)).save(folder / "none.png")
    return folder
