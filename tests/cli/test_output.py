"""`mien.cli.output`: files that are written, names of files, consoles."""

from __future__ import annotations

from pathlib import Path

import pytest

from mien.cli.output import table_console, unique_name, write_text
from mien.errors import InputError, OutputError


def test_a_file_is_written_whole_with_its_folders(tmp_path: Path) -> None:
    write_text(tmp_path / "new" / "figures.json", "é\n")
    assert (tmp_path / "new" / "figures.json").read_bytes() == "é\n".encode()
    assert len(list((tmp_path / "new").iterdir())) == 1


def test_a_file_that_cannot_be_written_is_an_error_of_mien(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written"):
        write_text(tmp_path / "file" / "figures.json", "")
    with pytest.raises(InputError, match="is a folder"):
        write_text(tmp_path, "")


def test_names_that_are_used_get_a_number() -> None:
    used: set[str] = set()
    assert [unique_name("face", ".jpg", used) for _ in range(3)] == ["face.jpg", "face-2.jpg", "face-3.jpg"]
    assert unique_name("face", ".png", used) == "face.png"


def test_a_pipe_gets_tables_of_a_fixed_width() -> None:
    assert table_console(140).width == 140
