"""The files of the page: markup, style, scripts and pictures, from the folders ``static`` and ``device``."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path

_HERE = Path(__file__).parent
_FOLDERS = (_HERE / "static", _HERE / "device")


@functools.cache
def page_files() -> Mapping[str, bytes]:
    """Name → content; what the page shows lies in ``static``, what computes in the browser in ``device``."""
    return {path.name: path.read_bytes() for folder in _FOLDERS for path in sorted(folder.iterdir()) if path.is_file()}
