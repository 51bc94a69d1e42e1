"""``mien web``: what is written, and what is refused."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from click.testing import CliRunner

from mien.cli.web import command
from mien.errors import MissingFileError
from mien.web import runtime


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with small files in the place of ONNX Runtime's."""
    contents = {runtime.SCRIPT: b"export {};\n", runtime.BINARY: bytes(100)}
    monkeypatch.setattr(runtime, "FILES", {name: hashlib.sha256(data).hexdigest() for name, data in contents.items()})
    folder = tmp_path / "dist"
    folder.mkdir()
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return folder


def test_a_folder_and_a_single_file(package: Path, tmp_path: Path) -> None:
    out, single = tmp_path / "site", tmp_path / "mien.html"
    run = CliRunner().invoke(command, [str(out), "--single", str(single), "--runtime", str(package)])
    assert run.exit_code == 0, run.output
    assert (out / "index.html").is_file()
    assert single.read_text().startswith("<!doctype html>")
    assert f"{out}: " in run.output
    assert f"{single}: " in run.output


def test_what_is_refused(package: Path, tmp_path: Path) -> None:
    run = CliRunner().invoke(command, [])
    assert run.exit_code == 2
    assert "give OUT" in run.output
    run = CliRunner().invoke(command, [str(tmp_path / "site"), "--runtime", str(tmp_path)])
    assert isinstance(run.exception, MissingFileError)
    assert not (tmp_path / "site").exists()
