"""What a release is made of: one version, the notes of the changelog, the recipe for conda-forge, the workflow."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import mien
from test_extras import PYPROJECT

ROOT = Path(__file__).parents[1]
WORKFLOWS = ROOT / ".github" / "workflows"
_VERSION = re.search(r'^version = "([^"]+)"$', PYPROJECT, re.MULTILINE)
assert _VERSION is not None
VERSION = _VERSION[1]
MADE = """# Changelog

## 1.1.0 – unreleased

## 1.0.0 – 2026-03-01

- Second.

  ### Of it
- Third.

## 0.9.0 – 2026-01-01

- First.
"""


def tool(name: str, *arguments: str | Path, root: Path = ROOT) -> subprocess.CompletedProcess[str]:
    call = [sys.executable, root / "tools" / name, *arguments]
    return subprocess.run(call, capture_output=True, encoding="utf-8", timeout=240, check=False)


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A project with the changelog `MADE`, at version 1.0.0."""
    (tmp_path / "tools").mkdir()
    for name in ("release_notes.py", "project_file.py"):
        (tmp_path / "tools" / name).write_bytes((ROOT / "tools" / name).read_bytes())
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "1.0.0"\n')
    (tmp_path / "CHANGELOG.md").write_text(MADE, encoding="utf-8")
    return tmp_path


def test_every_file_that_names_the_version_names_that_of_pyproject() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert newest is not None
    assert (citation["version"], newest[1], mien.__version__) == (VERSION, VERSION, VERSION)


def test_the_version_is_written_nowhere_in_the_code() -> None:
    written = re.compile(rf"""version\w*["']?\s*[=:]\s*["']{re.escape(VERSION)}["']""")
    found = [path for path in Path(mien.__file__).parent.rglob("*.py") if written.search(path.read_text("utf-8"))]
    assert found == []


def test_notes_are_the_section_of_the_version(made: Path) -> None:
    assert tool("release_notes.py", root=made).stdout == "- Second.\n\n  ### Of it\n- Third.\n"
    assert tool("release_notes.py", "0.9.0", "--dated", root=made).stdout == "- First.\n"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["2.0.0"], "has 0 sections of version 2.0.0"),
        (["1.1.0"], "version 1.1.0 in CHANGELOG.md is empty"),
        (["1.1.0", "--dated"], "version 1.1.0 in CHANGELOG.md has no date"),
        # a part of a version is none
        (["1.0"], "has 0 sections of version 1.0,"),
    ],
)
def test_notes_that_are_not_there_are_an_error(made: Path, arguments: list[str], reason: str) -> None:
    run = tool("release_notes.py", *arguments, root=made)
    assert run.returncode == 1
    assert reason in run.stderr
    assert run.stdout == ""


def test_the_changelog_has_notes_of_the_version() -> None:
    run = tool("release_notes.py")
    assert run.returncode == 0, run.stderr
    assert run.stdout.count("\n- ") > 5


@pytest.fixture
def recipe(tmp_path: Path) -> dict[str, Any]:
    """The recipe for an sdist."""
    sdist = tmp_path / "mien.tar.gz"
    sdist.write_bytes(b"an sdist")
    run = tool("conda_recipe.py", sdist, "--maintainer", "someone", "--maintainer", "else")
    assert run.returncode == 0, run.stderr
    parsed: dict[str, Any] = yaml.safe_load(run.stdout)
    assert parsed["source"]["sha256"] == hashlib.sha256(b"an sdist").hexdigest()
    assert parsed["extra"]["recipe-maintainers"] == ["someone", "else"]
    return parsed


def test_the_conda_recipe_needs_what_the_core_needs(recipe: dict[str, Any]) -> None:
    core = PYPROJECT.split("\ndependencies = [")[1].split("\n]")[0]
    names_and_bounds = re.findall(r'^\s*"([\w.-]+)(>=[\d.]+)",', core, re.MULTILINE)
    assert len(names_and_bounds) == core.count('"') / 2 > 4
    python, *others = recipe["requirements"]["run"]
    assert python == "python >=${{ python_min }}"
    assert [tuple(one.split(" ")) for one in others] == names_and_bounds
    assert f'requires-python = ">={recipe["context"]["python_min"]}"' in PYPROJECT
    build = re.search(r'^requires = \["(hatchling)(.+)"\]$', PYPROJECT, re.MULTILINE)
    assert build is not None
    assert f"{build[1]} {build[2]}" in recipe["requirements"]["host"]


def test_the_conda_recipe_is_of_this_version_and_brings_the_command(recipe: dict[str, Any]) -> None:
    assert recipe["context"]["version"] == VERSION
    assert recipe["build"]["python"]["entry_points"] == ["mien = mien.__main__:main"]
    assert (recipe["package"]["name"], recipe["about"]["license"]) == ("mien", "Apache-2.0")
    assert all((ROOT / name).is_file() for name in recipe["about"]["license_file"])


def test_a_requirement_that_conda_cannot_express_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    from conda_recipe import conda_requirement

    assert conda_requirement("numpy>=1.26, <3") == "numpy >=1.26,<3"
    assert conda_requirement("rich") == "rich"
    for text in ("mien[video]", "tomli>=2; python_version < '3.11'", "mien @ https://example.org/mien.whl"):
        with pytest.raises(ValueError, match="has no form"):
            conda_requirement(text)


def test_actions_are_pinned_by_commit() -> None:
    used = [
        (path.name, value)
        for path in sorted(WORKFLOWS.glob("*.yml"))
        for value in re.findall(r"uses: (\S+)", path.read_text(encoding="utf-8"))
        if not value.startswith("./")
    ]
    assert len(used) > 8
    assert [one for one in used if not re.search(r"@[0-9a-f]{40}$", one[1])] == []


def test_a_release_has_the_notes_and_its_files_are_signed() -> None:
    jobs = yaml.safe_load((WORKFLOWS / "release.yml").read_text(encoding="utf-8"))["jobs"]
    # files of the release are those that were published, and notes come from the tag's changelog
    assert jobs["publish"]["needs"] == ["checks", "notes"]
    assert jobs["release"]["needs"] == ["publish", "notes"]
    calls = "\n".join(step.get("run", "") for step in jobs["notes"]["steps"])
    assert "tools/release_notes.py" in calls
    assert "--dated" in calls
    steps = jobs["release"]["steps"]
    attest = next(step for step in steps if step.get("uses", "").startswith("actions/attest-build-provenance@"))
    signed = attest["with"]["subject-path"].split()
    create = next(step["run"] for step in steps if "gh release create" in step.get("run", ""))
    assert "--verify-tag" in create
    assert set(signed) == {"dist/*", "notes/release-notes.md"}
    assert jobs["release"]["permissions"] == {
        "contents": "write",
        "id-token": "write",
        "attestations": "write",
    }
    # the index gets an attestation of each file
    publish = next(step for step in jobs["publish"]["steps"] if "gh-action-pypi-publish" in step.get("uses", ""))
    assert publish["with"]["attestations"] is True
