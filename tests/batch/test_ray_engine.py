"""The Ray engine; collected only where Ray is installed, which the extra `dev` does not do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.clips import Pan, clip
from helpers.photos import write_photos

pytest.importorskip("ray")
pytestmark = pytest.mark.slow
LIMIT = 240


def call(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mien", "batch", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, env=os.environ | {"RAY_ADDRESS": ""})


def parts(target: Path) -> dict[str, bytes]:
    return {path.relative_to(target).as_posix(): path.read_bytes() for path in sorted(target.glob("*/part-*"))}


def test_ray_gives_what_the_local_engine_gives(tmp_path: Path) -> None:
    source = tmp_path / "source"
    write_photos(source, 9, without=1)
    (source / "damaged.jpg").write_bytes(b"\xff\xd8\xffnothing")
    clip(source / "video.mp4", size=(320, 240), frames=8, draw=Pan.astronaut((320, 240)))
    for engine in ("local", "ray"):
        run = call(source, tmp_path / engine, "--shard-size", 3, "--engine", engine, "--workers", 2)
        assert run.returncode == 1, run.stderr  # one photo is damaged
        assert len(run.stderr.splitlines()) <= 4, run.stderr
    assert len(parts(tmp_path / "local")) == 10
    assert parts(tmp_path / "ray") == parts(tmp_path / "local")
    again = call(source, tmp_path / "ray", "--shard-size", 3, "--engine", "ray", "--resume")
    assert "5 of 5 shards were finished before" in again.stderr


def test_a_cluster_that_is_not_there(tmp_path: Path) -> None:
    write_photos(tmp_path / "source", 1)
    run = call(tmp_path / "source", tmp_path / "out", "--engine", "ray", "--address", "127.0.0.1:1")
    assert run.returncode == 1
    assert run.stderr.splitlines()[-1].startswith("mien: Ray at 127.0.0.1:1: no cluster answers")
    assert not (tmp_path / "out").exists()
