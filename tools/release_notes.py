"""Print the notes of a release: the section of a version in CHANGELOG.md.

python tools/release_notes.py                    # the version of pyproject.toml
python tools/release_notes.py 0.1.0 --dated      # refuses a section that has no date yet
"""

from __future__ import annotations

import argparse
import re
import sys

from project_file import ROOT, read_project_file

_HEADING = re.compile(r"^## (?P<version>\S+)(?: – (?P<date>.*))?$", re.MULTILINE)
_DATE = re.compile(r"\d{4}-\d\d-\d\d")


def release_notes(changelog: str, version: str, dated: bool = False) -> str:
    """Text below the heading of a version, without the heading.

    Args:
        changelog: text of the changelog, headings `## VERSION – DATE`.
        version: the version as in the heading, without a leading v.
        dated: also require that the heading holds a date (YYYY-MM-DD).

    Raises:
        ValueError: no section, more than one, an empty one, or one without a date where one is required.
    """
    headings = list(_HEADING.finditer(changelog))
    own = [n for n, heading in enumerate(headings) if heading["version"] == version]
    if len(own) != 1:
        raise ValueError(f"CHANGELOG.md has {len(own)} sections of version {version}, expected one")
    (n,) = own
    if dated and not _DATE.fullmatch(headings[n]["date"] or ""):
        raise ValueError(f"the section of version {version} in CHANGELOG.md has no date: ## {version} – YYYY-MM-DD")
    end = headings[n + 1].start() if n + 1 < len(headings) else len(changelog)
    text = changelog[headings[n].end() : end].strip()
    if not text:
        raise ValueError(f"the section of version {version} in CHANGELOG.md is empty")
    return f"{text}\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("version", nargs="?", help="default: the version of pyproject.toml")
    parser.add_argument("--dated", action="store_true", help="refuse a section without a date")
    options = parser.parse_args()
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    version = options.version or read_project_file()["project"]["version"]
    try:
        text = release_notes(changelog, version, options.dated)
    except ValueError as error:
        sys.exit(f"release_notes: {error}")
    sys.stdout.reconfigure(encoding="utf-8")
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
