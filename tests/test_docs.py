"""What the README links to and which commands it names; generated pages are current; examples run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from helpers.pictures import astronaut, hopper

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


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


def test_the_tests_that_the_page_of_faults_names_exist() -> None:
    page = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")
    file = ""
    for path, name in re.findall(r"`([\w/.]*\.py|)(?:::(\w+))?`", page):
        file = path or file
        found = [folder / file for folder in (ROOT / "tests", ROOT) if (folder / file).is_file()]
        assert found, f"no file {file}"
        if name:
            assert f"def {name}(" in found[0].read_text(encoding="utf-8"), f"{file} has no {name}"


def test_generated_pages_are_current() -> None:
    run = subprocess.run([sys.executable, ROOT / "tools" / "generate.py", "--check"], capture_output=True, text=True)
    assert run.returncode == 0, f"{run.stdout}{run.stderr}: run `python tools/generate.py`"


def test_every_result_below_its_published_figure_is_explained() -> None:
    from mien.published.reproduction.deviations import DEVIATIONS
    from mien.published.reproduction.published_results import ROWS
    from mien.published.reproduction.report_page import is_below_published
    from mien.published.reproduction.results import read_results

    assert set(DEVIATIONS) <= set(ROWS)
    lower = [
        name
        for name, one in read_results(ROOT / "docs/results/reproduction").items()
        if is_below_published(ROWS[name], one)
    ]
    assert not [name for name in lower if name not in DEVIATIONS]


def test_example(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for name, pixels in (("photo.jpg", astronaut()), ("other.jpg", hopper())):
        Image.fromarray(pixels).save(tmp_path / "photos" / name, quality=95)
    command = [sys.executable, str(ROOT / "examples" / "folder_to_csv.py"), "photos", "faces.csv"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines()[0].split()[1] == "photo.jpg"
    assert len((tmp_path / "faces.csv").read_text().splitlines()) == 3
