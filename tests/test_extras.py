"""Each extra of pyproject.toml brings what the code asks for in its name, and the locks hold all of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import mien
from mien.extras import DATA, MACHINES, NETWORKS, PACKAGES

SRC = Path(mien.__file__).parent
ROOT = Path(__file__).parents[1]
PYPROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
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


LOCKS = {"core.lock": ("core",), "dev.lock": ("core", "all", "dev")}


def locked(name: str) -> dict[str, list[tuple[str, str, int]]]:
    """Package of a lock → its versions, where each is for, and the number of its hashes."""
    text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
    found: dict[str, list[tuple[str, str, int]]] = {}
    for entry in re.split(r"\n(?=\S)", text.split("\n", 1)[1].strip()):
        first = re.match(r"([\w.-]+)==(\S+)(?: ; ([^\\]+?))? \\", entry)
        assert first is not None, entry[:80]
        found.setdefault(plain(first[1]), []).append((first[2], first[3] or "", entry.count("--hash=sha256:")))
    return found


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_has_what_pyproject_asks_for_in_the_pinned_versions_with_hashes(name: str) -> None:
    dependencies = re.findall(r'^    "([\w.-]+)', PYPROJECT.split("dependencies = [")[1].split("\n]")[0], re.MULTILINE)
    wanted = {plain(one) for one in dependencies} | {"hatchling"}
    for extra in LOCKS[name][1:]:
        wanted |= {plain(one) for one in packages_of(extra)}
    lock = locked(name)
    # it has a build per accelerator; the Makefile installs it beside the lock
    assert wanted - set(lock) == wanted & {"torch"}
    assert all(hashes for versions in lock.values() for _, _, hashes in versions)
    pins = re.findall(r"^([\w.-]+)==(\S+)", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)
    other = [
        (package, version, lock[plain(package)])
        for package, version in pins
        if plain(package) in lock and version not in {one for one, _, _ in lock[plain(package)]}
    ]
    assert not other, "run `make lock`"
