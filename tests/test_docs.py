"""The README's examples run as printed; generated pages are current; examples run."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from helpers.clips import Pan, clip, side_by_side
from helpers.pictures import astronaut, hopper

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    Image.fromarray(astronaut()).save(tmp_path / "photo.jpg", quality=95)
    Image.fromarray(hopper()).save(tmp_path / "other.jpg", quality=95)
    draw = side_by_side(*(make((160, 144), eye_distance=30.0) for make in (Pan.astronaut, Pan.hopper)))
    clip(tmp_path / "clip.mp4", frames=25, draw=draw, audio=1.0)
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "clip.mp4").write_bytes((tmp_path / "clip.mp4").read_bytes())
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("code", blocks("python"), ids=lambda code: code.strip().splitlines()[0])
def test_python_examples(code: str, folder: Path) -> None:
    run = subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=folder, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert "happy" in run.stdout or "photo.jpg" in run.stdout


def test_shell_examples(folder: Path) -> None:
    lines = [line for block in blocks("sh") for line in block.splitlines() if line.startswith("mien ")]
    analysing = [line for line in lines if line.split()[1] in ("analyze", "models") and ".onnx" not in line]
    assert len(analysing) >= 4
    for line in analysing:
        run = subprocess.run(
            [sys.executable, "-m", *shlex.split(line, comments=True)], cwd=folder, capture_output=True, text=True
        )
        assert run.returncode == 0, f"{line}: {run.stderr}"
    assert (folder / "faces.csv").is_file()
    visible = [path.name for path in (folder / "annotated").iterdir() if not path.name.startswith(".")]
    assert sorted(visible) == ["other.jpg", "photo.jpg"]
    assert (folder / "annotated.mp4").stat().st_size > 5000
    assert (folder / "reports" / "clip" / "report.html").is_file()


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
    command = [sys.executable, str(ROOT / "examples" / "folder_to_csv.py"), str(folder), "faces.csv"]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines()[0].split()[1] == "photo.jpg"
    assert len((folder / "faces.csv").read_text().splitlines()) == 3
