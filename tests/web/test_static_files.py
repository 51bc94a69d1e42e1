"""The scripts and the markup of the page, without a browser: with a service, and without one."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

from mien.draw.palette import PLAIN
from mien.web.page_files import page_files
from mien.web.site import device_page

FILES = {name: content.decode() for name, content in page_files().items() if not name.endswith(".webp")}
SCRIPTS = sorted(name for name in FILES if name.endswith(".js"))
PAGE = FILES["index.html"]


def test_no_two_files_have_one_name() -> None:
    folders = [files("mien.web") / name for name in ("static", "device")]
    names = [entry.name for folder in folders for entry in folder.iterdir() if entry.is_file()]
    assert len(names) == len(set(names)) == len(page_files())


def test_the_plain_colour_is_that_of_the_annotated_pictures() -> None:
    text = FILES["palette.js"]
    assert f'PLAIN = "#{bytes(PLAIN).hex()}"' in text


def test_nothing_inline_and_nothing_from_elsewhere() -> None:
    assert not re.search(r"<style|<script(?![^>]*\bsrc=)|\sstyle=|\son\w+=", PAGE)
    named = re.findall(r'(?:src|href)="([^"#]+)"', PAGE)
    assert {name for name in named if name.startswith("static/")} <= {f"static/{name}" for name in page_files()}
    assert [name for name in named if "//" in name] == []
    css = FILES["style.css"]
    assert "url(" not in css
    assert "@import" not in css


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_find_what_they_import_and_name(name: str) -> None:
    text = FILES[name]
    for names, module in re.findall(r"import \{([^}]*)\} from \"\./([^\"]+)\"", text):
        source = FILES[module]
        exported = set(re.findall(r"export (?:async )?(?:const|let|function\*?|class) ([\w$]+)", source))
        imported = {one.strip().split(" as ")[0] for one in names.split(",") if one.strip()}
        assert imported <= exported, module
        used = {one.strip().split(" as ")[-1] for one in names.split(",") if one.strip()}
        unused = [one for one in used if text.count(one) < 2]
        assert unused == [], module
    assert set(re.findall(r'\$\("([\w-]+)"\)', text)) <= set(re.findall(r'id="([\w-]+)"', PAGE))
    assert not re.search(r"innerHTML|insertAdjacentHTML|document\.write|\beval\(", text)


def test_the_page_without_a_service_has_nothing_of_it() -> None:
    html = device_page(PAGE)
    assert "<!--" not in html
    assert not re.search(r'id="(place|place-reason|key-form)"|href="docs"', html)
    assert 'id="view-camera"' in html
    assert 'id="view-clip"' in html
    assert "stay on this device" in html
    assert html.count("<section") == html.count("</section>")
