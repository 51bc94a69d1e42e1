"""Each extra of pyproject.toml brings what the code asks for in its name."""

from __future__ import annotations

import re
from pathlib import Path

import mien
from mien.extras import DATA, MACHINES, NETWORKS, PACKAGES

SRC = Path(mien.__file__).parent
PYPROJECT = (Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8")
_SECTION = PYPROJECT.split("[project.optional-dependencies]")[1].split("\n[project.")[0]
EXTRAS = {
    name: re.findall(r'"([^"]+)"', re.sub("#.*", "", requirements))
    for name, requirements in re.findall(r"^([\w-]+) = \[(.*?)\](?:  #.*?)?$", _SECTION, re.MULTILINE | re.DOTALL)
}
"""Extra → its requirements."""


def test_extras_bring_the_packages_that_commands_check() -> None:
    for extra, modules in {
        "data": DATA,
        "train": {*NETWORKS, *MACHINES},
        "audit": DATA,
        "tune": NETWORKS,
        "explain": NETWORKS,
    }.items():
        assert {PACKAGES.get(module, module) for module in modules} <= packages_of(extra), extra


def test_every_extra_can_be_resolved() -> None:
    # pip installs nothing at all where one extra names another one that is not defined
    assert {extra: packages_of(extra) for extra in EXTRAS}.keys() >= {"all", "dev", "train"}


def packages_of(extra: str) -> set[str]:
    """Names of the packages that an extra of pyproject.toml brings, with those of the extras that it includes."""
    names = set()
    for text in EXTRAS[extra]:
        found = re.match(r"([\w.-]+)(?:\[([\w,-]+)\])?", text)
        assert found is not None
        if found[1] == "mien":
            names |= {name for part in found[2].split(",") for name in packages_of(part)}
        else:
            names.add(found[1])
    return names


def test_every_extra_that_a_message_names_brings_the_package_it_names() -> None:
    calls = re.compile(r'MissingExtraError\(\s*(?:error\.name or )?"([\w-]+)", "([\w-]+)"')
    found = [match.groups() for path in SRC.rglob("*.py") for match in calls.finditer(path.read_text(encoding="utf-8"))]
    assert len(found) > 20
    assert [(package, extra) for package, extra in found if package not in packages_of(extra)] == []
