"""`mien.cli.output`: names of files, consoles."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

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


_SMALL_DISK = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
from mien.__main__ import main
sys.argv = ["mien", "schema"]
main()
"""


@pytest.mark.skipif(os.name != "posix", reason="limits of POSIX")
@pytest.mark.parametrize("options", [[], ["-u"]], ids=["buffered", "unbuffered"])
def test_output_that_is_cut_by_a_full_disk_is_no_success(options: list[str], tmp_path: Path) -> None:
    """Unbuffered, as PYTHONUNBUFFERED makes it in containers, Python drops what the last write leaves over."""
    assert signal.getsignal(signal.SIGXFSZ) == signal.SIG_IGN  # of Python, so that the disk seems full
    # measured, the child would have a file of coverage cut, too
    unmeasured = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_PROCESS")}
    command = [sys.executable, *options, "-c", _SMALL_DISK]
    with (tmp_path / "out").open("wb") as file:
        child = subprocess.run(
            command, stdout=file, stderr=subprocess.PIPE, text=True, timeout=240, env=unmeasured, check=False
        )
    assert child.returncode == 1
    assert child.stderr.strip() == "mien: standard output: cannot be written: File too large"
