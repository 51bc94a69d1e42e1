"""HTML pages from Jinja templates: every page extends ``base.html``, escapes its variables, and loads nothing.

A template is a file of the package, named by its path below ``mien``, such as "draw/video_page.html"; it is in the
folder of the module that fills it.
"""

from __future__ import annotations

import base64
import os
from functools import lru_cache
from importlib.metadata import version
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from mien.draw.clock import clock, duration
from mien.text import number, percent, short_percent

if TYPE_CHECKING:
    from jinja2 import Environment


def render(template: str, **values: Any) -> str:
    """Fill a template.

    Args:
        template: path below the package, such as "draw/video_page.html".
        values: its variables. Text is escaped, unless the template marks it as ``| safe``, as it does our own SVG.
    """
    return _environment().get_template(template).render(values)


def data_uri(content: bytes, kind: str) -> str:
    """Bytes as a data URI, such as ``data:image/png;base64,…``."""
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


@lru_cache(maxsize=1)
def _environment() -> Environment:
    # drawing needs no templates: they are loaded with the first page
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    environment = Environment(
        loader=FunctionLoader(_source),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals["version"] = version("mien")
    environment.filters |= {
        "address": _address,
        "clock": clock,
        "duration": duration,
        "number": number,
        "percent": percent,
        "short_percent": short_percent,
        "thousands": "{:,.0f}".format,
    }
    return environment


def _address(name: str) -> str:
    """A file name in a link: its bytes, which need not be valid text."""
    return quote(os.fsencode(name))


def _source(name: str) -> str | None:
    """The text of a template; None, which Jinja reports, where there is none."""
    file = files("mien").joinpath(name)
    return file.read_text(encoding="utf-8") if file.is_file() else None
