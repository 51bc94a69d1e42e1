"""The files of the page, without a browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.resources import files

import pytest
from fastapi.testclient import TestClient

from helpers.serving import service
from mien.draw.palette import PLAIN

STATIC = files("mien.web") / "static"


NAMES = sorted(entry.name for entry in STATIC.iterdir())


SCRIPTS = [name for name in NAMES if name.endswith(".js")]


def test_the_plain_colour_is_that_of_the_annotated_pictures() -> None:
    text = (STATIC / "palette.js").read_text(encoding="utf-8")
    assert f'PLAIN = "#{bytes(PLAIN).hex()}"' in text


def test_nothing_inline_and_nothing_from_elsewhere() -> None:
    html = (STATIC / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"<style|<script(?![^>]*\bsrc=)|\sstyle=|\son\w+=", html)
    named = re.findall(r'(?:src|href)="([^"#]+)"', html)
    assert {name for name in named if name.startswith("static/")} <= {f"static/{name}" for name in NAMES}
    assert [name for name in named if "//" in name] == []
    css = (STATIC / "style.css").read_text(encoding="utf-8")
    assert "url(" not in css
    assert "@import" not in css


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_find_what_they_import_and_name(name: str) -> None:
    text = (STATIC / name).read_text(encoding="utf-8")
    for names, module in re.findall(r"import \{([^}]*)\} from \"\./([^\"]+)\"", text):
        exported = set(
            re.findall(r"export (?:async )?(?:const|function|class) ([\w$]+)", (STATIC / module).read_text("utf-8"))
        )
        imported = {one.strip() for one in names.split(",")}
        assert imported <= exported, module
        unused = [one for one in imported if text.count(one) < 2]
        assert unused == [], module
    html = (STATIC / "index.html").read_text(encoding="utf-8")
    assert set(re.findall(r'\$\("([\w-]+)"\)', text)) <= set(re.findall(r'id="([\w-]+)"', html))
    assert not re.search(r"innerHTML|insertAdjacentHTML|document\.write|\beval\(", text)


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with service() as client:
        yield client


def test_the_page_and_its_files(client: TestClient) -> None:
    page = client.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    again = client.get("/", headers={"If-None-Match": page.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert client.get("/docs").text.count("<h2>") >= 10
