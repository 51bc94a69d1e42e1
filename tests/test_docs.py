"""The README's examples run as printed; generated pages are current; examples run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers.clips import Pan, clip, side_by_side
from helpers.page_blocks import run_page
from helpers.pictures import astronaut, hopper

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    here = tmp_path / "reader"
    (here / "clips").mkdir(parents=True)
    Image.fromarray(astronaut()).save(here / "photo.jpg", quality=95)
    Image.fromarray(hopper()).save(here / "other.jpg", quality=95)
    draw = side_by_side(*(make((160, 144), eye_distance=30.0) for make in (Pan.astronaut, Pan.hopper)))
    clip(here / "clip.mp4", frames=15, draw=draw, audio=1.0)
    (here / "clips" / "clip.mp4").write_bytes((here / "clip.mp4").read_bytes())
    rng = np.random.default_rng(0)
    for name, light in (("bright", 180), ("dark", 40)):
        (here / "pictures" / name).mkdir(parents=True)
        for i in range(20):
            pixels = rng.integers(light - 30, light + 30, (48, 48), dtype=np.uint8)
            Image.fromarray(pixels).save(here / "pictures" / name / f"{i}.png")
    monkeypatch.chdir(here)
    return here


@pytest.mark.skipif(sys.platform == "win32", reason="shell blocks are for bash")
def test_the_readme_runs_as_printed(folder: Path, tmp_path: Path) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    assert run_page(ROOT / "README.md", folder, programs=programs) >= 7
    assert (folder / "annotated.png").stat().st_size > 5000
    assert len((folder / "faces.csv").read_text().splitlines()) == 3
    assert (folder / "reports" / "index.html").is_file()
    assert (folder / "report.html").is_file()
    assert (folder / "faces" / "manifest.json").is_file()


QUESTIONS = {
    "install": ("docs/install.md#what-is-installed", "pip install"),
    "first photo": ("docs/tutorials/first-photo.md#on-the-command-line", "mien analyze photo.jpg"),
    "from a clip to a table": ("docs/tutorials/clips.md#the-table", "read_csv"),
    "own classes": ("docs/tutorials/own-classes.md#train", "mien train finetune"),
    "train": ("docs/tutorials/train.md#train", "mien train"),
    "serve": ("docs/tutorials/serve.md#start-it", "mien serve"),
    "the page in a browser": ("docs/page.md#without-a-server", "mien web"),
    "add a detector": ("docs/how-to/own-detector.md#in-your-program", "def detect(self, rgb)"),
    "what the numbers mean": ("docs/tutorials/first-photo.md#how-certain-is-it", "confidence"),
    "licence": ("docs/licences.md#weights-and-their-data", "Apache-2.0"),
}
"""What a fresh reader asks → page and section that answer it, and what that section must hold."""


def _links(page: Path) -> set[str]:
    """Targets of a page's links to sections and pages of the repository, from its top."""
    found = re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    there = [link for link in found if "://" not in link]
    return {os.path.relpath(page.parent / link, ROOT) if not link.startswith("#") else link for link in there}


def _section(page: Path, anchor: str) -> str:
    """The text of a section, by the anchor that GitHub and the site give its heading."""
    parts = re.split(r"^(#+ .*)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    for heading, text in zip(parts[1::2], parts[2::2], strict=True):
        if re.sub(r"[^\w\- ]", "", heading.lstrip("# ").lower()).replace(" ", "-") == anchor:
            return text
    raise AssertionError(f"{page.name} has no section {anchor}")


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_fresh_reader_gets_from_the_readme_to_the_answer_within_two_clicks(question: str) -> None:
    target, words = QUESTIONS[question]
    first = _links(ROOT / "README.md")
    pages = {link.partition("#")[0] for link in first if link.partition("#")[0].endswith(".md")}
    second = set().union(*(_links(ROOT / page) for page in pages))
    assert target in first | second
    page, _, anchor = target.partition("#")
    assert words in _section(ROOT / page, anchor)


def test_make_targets_in_the_readme_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^make (\w+)", README, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)


def test_links_lead_somewhere() -> None:
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")):
        for link in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            if "://" not in link:
                assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_generated_pages_are_current() -> None:
    run = subprocess.run([sys.executable, ROOT / "tools" / "generate.py", "--check"], capture_output=True, text=True)
    assert run.returncode == 0, f"{run.stdout}{run.stderr}: run `python tools/generate.py`"


def test_every_result_below_its_published_figure_is_explained() -> None:
    from mien.published.reproduction.deviations import DEVIATIONS
    from mien.published.reproduction.report_page import is_below_published
    from mien.published.reproduction.results import read_results
    from mien.published.reproduction.rows import ROWS

    assert set(DEVIATIONS) <= set(ROWS)
    lower = [
        name
        for name, one in read_results(ROOT / "docs/results/reproduction").items()
        if is_below_published(ROWS[name], one)
    ]
    assert not [name for name in lower if name not in DEVIATIONS]


def test_example(folder: Path) -> None:
    (folder / "photos").mkdir()
    for name in ("photo.jpg", "other.jpg"):
        (folder / name).rename(folder / "photos" / name)
    command = [sys.executable, str(ROOT / "examples" / "folder_to_csv.py"), "photos", "faces.csv"]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines()[0].split()[1] == "photo.jpg"
    assert len((folder / "faces.csv").read_text().splitlines()) == 3
