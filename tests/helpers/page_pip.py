"""`pip install` of the docs, without installing: the packages must be there, and the extras of Mien must exist."""

from __future__ import annotations

import re
import sys
from importlib.metadata import version
from pathlib import Path

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"


def _extras() -> set[str]:
    """The extras of this checkout."""
    section = PYPROJECT.read_text(encoding="utf-8").split("[project.optional-dependencies]")[1].split("\n[")[0]
    return set(re.findall(r"^([\w-]+) = \[", section, re.MULTILINE))


def main(command: str, *arguments: str) -> None:
    if command != "install":
        sys.exit(f"pip {command} is not known to the tests of the docs")
    words = iter(arguments)
    for word in words:
        if word in ("--index-url", "-c", "-r"):
            next(words)
        elif not word.startswith("-"):
            name, extras = re.fullmatch(r"([\w./-]+)(?:\[([\w,-]+)\])?(?:[<>=!~].*)?", word).groups()  # type: ignore[union-attr]
            package = "mien" if name == "." else name
            version(package)
            unknown = set((extras or "").split(",")) - {""} - (_extras() if package == "mien" else set())
            if unknown:
                sys.exit(f"{package} has no extra {', '.join(sorted(unknown))}")


main(*sys.argv[1:])
