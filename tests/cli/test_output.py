"""`mien.cli.output`: names of files, consoles."""

from __future__ import annotations

from mien.cli.output import table_console
from mien.files import unique_name


def test_names_that_are_used_get_a_number() -> None:
    used: set[str] = set()
    assert [unique_name("face", ".jpg", used) for _ in range(3)] == ["face.jpg", "face-2.jpg", "face-3.jpg"]
    assert unique_name("face", ".png", used) == "face.png"


def test_a_pipe_gets_tables_of_a_fixed_width() -> None:
    assert table_console(140).width == 140
