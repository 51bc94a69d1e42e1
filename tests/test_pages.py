"""The README and every page and notebook that shows code run as printed, and print what they show."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers.clips import Pan, clip, side_by_side
from helpers.command_server import CommandServer
from helpers.page_blocks import MIEN, PageError, compare, missing, read_blocks, run_page
from helpers.pictures import astronaut, hopper

ROOT = Path(__file__).parents[1]
PAGES = sorted([*(ROOT / "docs" / "tutorials").glob("*.md"), *(ROOT / "docs" / "how-to").glob("*.md")])
NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="shell blocks are for bash")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A reader's folder: two photos."""
    here = tmp_path / "reader"
    here.mkdir()
    Image.fromarray(astronaut()).save(here / "photo.jpg", quality=95)
    Image.fromarray(hopper()).save(here / "other.jpg", quality=95)
    monkeypatch.chdir(here)
    return here


@pytest.fixture(scope="module")
def server() -> Iterator[CommandServer]:
    """One import of torch for all pages."""
    with CommandServer() as server:
        yield server


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    folder = tmp_path / "programs"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("page", [*PAGES, *NOTEBOOKS], ids=lambda page: page.stem)
def test_a_page_runs_as_printed(page: Path, folder: Path, programs: Path, server: CommandServer) -> None:
    if absent := missing(page):
        pytest.skip(f"needs {', '.join(absent)}")
    assert run_page(page, folder, programs=programs, mien=server.command) > 0


@pytest.mark.slow
def test_the_readme_runs_as_printed(folder: Path, programs: Path, server: CommandServer) -> None:
    (folder / "clips").mkdir()
    draw = side_by_side(*(make((160, 144), eye_distance=30.0) for make in (Pan.astronaut, Pan.hopper)))
    clip(folder / "clip.mp4", frames=15, draw=draw, audio=1.0)
    (folder / "clips" / "clip.mp4").write_bytes((folder / "clip.mp4").read_bytes())
    rng = np.random.default_rng(0)
    for name, light in (("bright", 180), ("dark", 40)):
        (folder / "pictures" / name).mkdir(parents=True)
        for i in range(20):
            pixels = rng.integers(light - 30, light + 30, (48, 48), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / "pictures" / name / f"{i}.png")
    assert run_page(ROOT / "README.md", folder, programs=programs, mien=server.command) >= 7
    assert (folder / "annotated.png").stat().st_size > 5000
    assert len((folder / "faces.csv").read_text().splitlines()) == 3
    assert (folder / "reports" / "index.html").is_file()
    assert (folder / "report.html").is_file()
    assert (folder / "faces" / "manifest.json").is_file()


def test_a_command_of_the_server_is_that_of_a_shell(tmp_path: Path, server: CommandServer) -> None:
    def run(command: Sequence[str], *arguments: str) -> tuple[int, str, str]:
        done = subprocess.run(
            [*command, *arguments], cwd=tmp_path, env=os.environ | {"COLUMNS": "70"}, capture_output=True, text=True
        )
        return done.returncode, done.stdout, done.stderr

    for arguments in (("models",), ("analyze", "absent.jpg"), ("analyze", "--nonsense"), ("train", "--list")):
        assert run(server.command, *arguments) == run(MIEN, *arguments)


@pytest.mark.skipif(shutil.which("nginx") is None, reason="needs nginx")
def test_nginx_takes_the_configuration_of_the_page(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "how-to" / "proxy.md").read_text(encoding="utf-8")
    location = page.split("```nginx\n")[1].split("```")[0]
    config = tmp_path / "nginx.conf"
    own = f"error_log {tmp_path}/error.log; pid {tmp_path}/pid; events {{}}"
    config.write_text(f"{own} http {{ access_log off; server {{ listen 127.0.0.1:18000; {location} }} }}")
    run = subprocess.run(["nginx", "-t", "-c", config], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def test_a_page_that_prints_something_else_is_reported(tmp_path: Path, folder: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Page\n\n```python\nprint('two faces', 0.97)\n```\n\n```text\ntwo faces 0.51\n```\n")
    with pytest.raises(PageError, match=r"page.md, line 4: the page shows 'two faces 0.51'"):
        run_page(page, folder, programs=tmp_path)
    page.write_text("# Page\n\n```sh\ntrue\nfalse\n```\n")
    with pytest.raises(PageError, match="line 4: exit code 1"):
        run_page(page, folder, programs=tmp_path)
    page.write_text("```sh\npip install 'mien[nonsense]'\n```\n")
    with pytest.raises(PageError, match="no extra nonsense"):
        run_page(page, folder, programs=tmp_path)


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        ("happy 0.97", "happy   0.96\n", True),
        ("happy 0.97", "sad 0.97", False),
        ("happy 0.97", "happy 0.80", False),
        ("1 face", "2 face", False),
        ("box 179, 60", "box 181, 61", True),
        ("first\n…\nlast", "first\nsecond\nthird\nlast", True),
        ("first\nlast", "first\nsecond\nlast", False),
        ("first", "first\nlast", False),
        ("first\n…", "first\nlast", True),
        ("took … s", "took 12.5 s", True),
        ("a\nb", "a", False),
    ],
)
def test_what_is_shown_is_compared_with_what_is_printed(shown: str, printed: str, same: bool) -> None:
    assert (compare(shown, printed) == "") is same


def test_every_block_of_a_page_is_read() -> None:
    for page in PAGES:
        fences = re.findall(r"^```(?:sh|bash|python|r)$", page.read_text(encoding="utf-8"), re.MULTILINE)
        assert len(read_blocks(page)) == len(fences), page.name
