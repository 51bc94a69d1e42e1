"""`mien.cli.output`: names of files, consoles."""

from __future__ import annotations

import os

from mien.cli.output import table_console
from mien.files import unique_name


def test_names_that_are_used_get_a_number() -> None:
    used: set[str] = set()
    assert [unique_name("face", ".jpg", used) for _ in range(3)] == ["face.jpg", "face-2.jpg", "face-3.jpg"]
    assert unique_name("face", ".png", used) == "face.png"


def test_a_pipe_gets_tables_of_a_fixed_width() -> None:
    assert table_console(140).width == 140


def test_names_fit_the_file_system() -> None:
    used: set[str] = set()
    for letter in ("n", "é", "\udce9"):
        names = [unique_name(letter * 255, ".png", used, room=5) for _ in range(12)]
        assert len(set(names)) == 12
        assert all(len(os.fsencode(name)) <= 250 and name.endswith(".png") for name in names)
        assert len(os.fsencode(names[0])) >= 249
