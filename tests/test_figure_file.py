"""Figures as files: the format by the name, and the same bytes every time."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import mien
from mien.errors import OutputError
from mien.figure_file import FIGURE_SUFFIXES, figure_suffix, save_figure


@pytest.mark.parametrize("suffix", FIGURE_SUFFIXES)
def test_the_same_figure_gives_the_same_bytes(suffix: str, tmp_path: Path) -> None:
    figures = pytest.importorskip("matplotlib.figure")
    written = []
    for name in "ab":
        figure = figures.Figure(figsize=(2, 1))
        figure.subplots().plot([0, 1], [1, 0], label="x")
        written.append(save_figure(figure, tmp_path / f"{name}{suffix}", suffix, dpi=50).read_bytes())
    assert written[0] == written[1]
    assert written[0].startswith({".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}[suffix])
    with pytest.raises(OutputError):
        save_figure(figure, tmp_path / f"a{suffix}" / f"b{suffix}", suffix, dpi=50)
    if Path("/dev/full").exists():
        with pytest.raises(OutputError, match="No space left"):
            save_figure(figure, Path("/dev/full"), suffix, dpi=50)


def test_the_suffix_is_that_of_the_name_and_png_for_devices(tmp_path: Path) -> None:
    target = tmp_path / "target.svg"
    link = tmp_path / "link.PDF"
    link.symlink_to(target)
    assert figure_suffix(link, target) == ".pdf"
    assert figure_suffix(tmp_path / "bare", tmp_path / "bare") == ""
    if Path("/dev/null").exists():
        assert figure_suffix("/dev/null", Path("/dev/null")) == ".png"


def test_every_legend_has_its_place_so_that_a_slow_machine_prints_no_warning() -> None:
    # where none is given matplotlib searches for one, and warns when that takes a second
    calls = [
        (path.name, match[0])
        for path in Path(mien.__file__).parent.rglob("*.py")
        for match in re.finditer(r"\.legend\([^)]*\)", path.read_text(encoding="utf-8"))
    ]
    assert len(calls) > 5
    assert [call for call in calls if "loc=" not in call[1]] == []
