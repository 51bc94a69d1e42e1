"""The files of the page, without a browser."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

from mien.draw.palette import COLOURS, PLAIN

STATIC = files("mien.server") / "static"
NAMES = sorted(entry.name for entry in STATIC.iterdir())
SCRIPTS = [name for name in NAMES if name.endswith(".js")]


def test_colours_are_those_of_the_annotated_pictures() -> None:
    text = (STATIC / "palette.js").read_text(encoding="utf-8")
    table = re.search(r"COLOURS = \{(.*?)\}", text, re.S)
    assert table is not None
    told = {name: tuple(bytes.fromhex(value)) for name, value in re.findall(r'(\w+): "#(\w{6})"', table[1])}
    assert told == dict(COLOURS)
    assert f'PLAIN = "#{bytes(PLAIN).hex()}"' in text


def test_nothing_inline_and_nothing_from_elsewhere() -> None:
    html = (STATIC / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"<style|<script(?![^>]*\bsrc=)|\sstyle=|\son\w+=", html)
    asked = re.findall(r'(?:src|href)="([^"#]+)"', html)
    assert {name for name in asked if name.startswith("static/")} <= {f"static/{name}" for name in NAMES}
    assert [name for name in asked if "//" in name] == []
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
        asked = {one.strip() for one in names.split(",")}
        assert asked <= exported, module
        unused = [one for one in asked if text.count(one) < 2]
        assert unused == [], module
    html = (STATIC / "index.html").read_text(encoding="utf-8")
    assert set(re.findall(r'\$\("([\w-]+)"\)', text)) <= set(re.findall(r'id="([\w-]+)"', html))
    assert not re.search(r"innerHTML|insertAdjacentHTML|document\.write|\beval\(", text)
