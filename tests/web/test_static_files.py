"""The scripts and the markup of the page, without a browser: with a service, and without one."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

from mien.draw.palette import PLAIN
from mien.web.site import SERVER_ONLY, device_page

STATIC, DEVICE = files("mien.web") / "static", files("mien.web") / "device"
NAMES = sorted(entry.name for entry in STATIC.iterdir())
OWN = sorted(entry.name for entry in DEVICE.iterdir())
SCRIPTS = [(name, False) for name in NAMES if name.endswith(".js")]
SCRIPTS += [(name, True) for name in sorted({*NAMES, *OWN} - SERVER_ONLY) if name.endswith(".js")]


def read(name: str, *, on_device: bool) -> str:
    """A script as the page with or without a service has it."""
    folder = DEVICE if on_device and name in OWN else STATIC
    return (folder / name).read_text(encoding="utf-8")


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


@pytest.mark.parametrize(("name", "on_device"), SCRIPTS)
def test_scripts_find_what_they_import_and_name(name: str, on_device: bool) -> None:
    text = read(name, on_device=on_device)
    for names, module in re.findall(r"import \{([^}]*)\} from \"\./([^\"]+)\"", text):
        source = read(module, on_device=on_device)
        exported = set(re.findall(r"export (?:async )?(?:const|let|function|class) ([\w$]+)", source))
        imported = {one.strip() for one in names.split(",") if one.strip()}
        assert imported <= exported, module
        unused = [one for one in imported if text.count(one) < 2]
        assert unused == [], module
    html = (STATIC / "index.html").read_text(encoding="utf-8")
    html = device_page(html) if on_device else re.sub(r"<!-- device: .*? -->", "", html, flags=re.DOTALL)
    assert set(re.findall(r'\$\("([\w-]+)"\)', text)) <= set(re.findall(r'id="([\w-]+)"', html))
    assert not re.search(r"innerHTML|insertAdjacentHTML|document\.write|\beval\(", text)


def test_the_page_without_a_service_has_nothing_of_it() -> None:
    html = device_page((STATIC / "index.html").read_text(encoding="utf-8"))
    assert "<!--" not in html
    assert not re.search(r'id="(view-camera|view-clip|key-form)"|href="docs"', html)
    assert "stay on this device" in html
    assert html.count("<section") == html.count("</section>")
