"""What all HTML pages share: one base, escaped values, nothing loaded."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from jinja2 import TemplateNotFound, UndefinedError

import mien
from mien.draw.overview_page import write_overview
from mien.draw.pages import data_uri, render
from mien.files import write_text
from mien.results.face_columns import FaceTable
from mien.results.video import Coverage, VideoReport

PACKAGE = Path(mien.__file__).parent
PAGES = sorted(
    str(file.relative_to(PACKAGE).as_posix())
    for file in PACKAGE.rglob("*.html")
    if "{%" in file.read_text(encoding="utf-8") and file.name != "base.html"
)
NO_ROWS = FaceTable.empty({}, None, video=True)


def test_there_are_pages() -> None:
    assert {"draw/video_page.html", "draw/overview_page.html", "datasets/audit/report_page.html"} <= set(PAGES)


@pytest.mark.parametrize("page", PAGES)
def test_every_page_extends_the_base(page: str) -> None:
    text = (PACKAGE / page).read_text(encoding="utf-8")
    assert text.startswith('{% extends "draw/base.html" %}\n')
    assert "<script" not in text
    assert "<html" not in text


def test_values_are_escaped() -> None:
    video = {
        "source": "<b>&\"'.mp4",
        "tracks": [],
        "coverage": {"seconds": 1, "frames": 1200, "without_face": 0, "lost": 0},
    }
    text = render("draw/overview_page.html", videos=[("a b#1", video)])
    assert "&lt;b&gt;&amp;&#34;&#39;.mp4" in text
    assert 'href="a%20b%231/report.html"' in text
    assert '<td class="n">1,200</td>' in text


def test_a_link_holds_the_bytes_of_a_folder_that_is_not_text(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9")
    folder = tmp_path / name
    write_text(folder / "summary.json", VideoReport(f"{name}.mp4", (8, 8), (), NO_ROWS, Coverage(1, 1)).to_json())
    write_overview(tmp_path, [folder / "summary.json"])
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert 'href="caf%E9/report.html">caf\\udce9.mp4<' in page


def test_a_page_needs_its_values_and_its_template() -> None:
    with pytest.raises(UndefinedError, match="'videos' is undefined"):
        render("draw/overview_page.html")
    with pytest.raises(TemplateNotFound, match=r"draw/none\.html"):
        render("draw/none.html")


def test_bytes_stand_inside_a_page() -> None:
    assert data_uri(b"\x89PNG", "image/png") == "data:image/png;base64,iVBORw=="


def test_templates_are_loaded_with_the_first_page_only() -> None:
    code = "import sys, mien.draw.video_page; sys.exit('jinja2' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
