"""Every page and notebook that shows code runs as printed, and prints what it shows."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from helpers.page_blocks import PageError, compare, missing, read_blocks, run_page
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


@pytest.mark.parametrize("page", [*PAGES, *NOTEBOOKS], ids=lambda page: page.stem)
def test_a_page_runs_as_printed(page: Path, folder: Path, tmp_path: Path) -> None:
    if absent := missing(page):
        pytest.skip(f"needs {', '.join(absent)}")
    programs = tmp_path / "programs"
    programs.mkdir()
    assert run_page(page, folder, programs=programs) > 0


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
