"""Write the recipe that conda-forge builds Mien from, with the facts of pyproject.toml and the SHA-256 of an sdist.

    python -m build --sdist
    python tools/conda_recipe.py dist/mien-0.1.0.tar.gz --maintainer ACCOUNT > recipe.yaml

The form is recipe.yaml of rattler-build (schema 1). Core dependencies have the same names on conda-forge as on PyPI.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from project_file import read_project_file

_TEMPLATE = """\
# yaml-language-server: $schema=https://raw.githubusercontent.com/prefix-dev/recipe-format/main/schema.json
schema_version: 1

context:
  version: {version}
  python_min: {python_min}

package:
  name: {name}
  version: ${{{{ version }}}}

source:
  url: https://pypi.org/packages/source/{initial}/{name}/{name}-${{{{ version }}}}.tar.gz
  sha256: {sha256}

build:
  number: 0
  noarch: python
  script: ${{{{ PYTHON }}}} -m pip install . -vv --no-deps --no-build-isolation
  python:
    entry_points:
{entry_points}

requirements:
  host:
    - python ${{{{ python_min }}}}.*
    - pip
{build}
  run:
    - python >=${{{{ python_min }}}}
{run}

tests:
  - python:
      imports:
        - {name}
      pip_check: true
      python_version: ${{{{ python_min }}}}.*
  - script:
      - {name} --version
      - {name} demo --out demo.png

about:
  homepage: https://pypi.org/project/{name}
  summary: {summary}
  license: {licence}
  license_file:
{license_files}

extra:
  recipe-maintainers:
{maintainers}
"""


def _list(values: list[str], indent: int) -> str:
    return "\n".join(f"{' ' * indent}- {value}" for value in values)


def conda_requirement(text: str) -> str:
    """A requirement without extras and markers as conda writes it: a space between name and versions.

    Raises:
        ValueError: it has extras, a marker or an address, which a conda requirement cannot express.
    """
    if any(mark in text for mark in "[;@"):
        raise ValueError(f"{text!r} has no form in a conda recipe")
    name_end = next((n for n, letter in enumerate(text) if letter in "<>=!~ "), len(text))
    return f"{text[:name_end]} {text[name_end:].replace(' ', '')}".strip()


def recipe(tables: dict[str, Any], sha256: str, maintainers: list[str]) -> str:
    """Text of recipe.yaml from the tables of pyproject.toml and the SHA-256 of the sdist of that version."""
    project = tables["project"]
    return _TEMPLATE.format(
        name=project["name"],
        initial=project["name"][0],
        version=json.dumps(project["version"]),
        python_min=json.dumps(project["requires-python"].removeprefix(">=")),
        sha256=sha256,
        entry_points=_list([f"{key} = {value}" for key, value in project["scripts"].items()], 6),
        build=_list([conda_requirement(one) for one in tables["build-system"]["requires"]], 4),
        run=_list([conda_requirement(one) for one in project["dependencies"]], 4),
        summary=json.dumps(project["description"]),
        licence=project["license"],
        license_files=_list(project["license-files"], 4),
        maintainers=_list(maintainers, 4),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sdist", type=Path)
    parser.add_argument("--maintainer", action="append", required=True, help="account on conda-forge; may be repeated")
    options = parser.parse_args()
    sha256 = hashlib.sha256(options.sdist.read_bytes()).hexdigest()
    sys.stdout.write(recipe(read_project_file(), sha256, options.maintainer))


if __name__ == "__main__":
    main()
