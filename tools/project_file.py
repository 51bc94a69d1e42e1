"""The content of pyproject.toml, for tools that need a fact of it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]


def read_project_file() -> dict[str, Any]:
    """All tables of pyproject.toml by name."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
