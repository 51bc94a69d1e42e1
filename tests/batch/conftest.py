"""Inputs and analyzers that the tests of batches share."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from helpers.batch_runs import LIGHT, SIZE, parts
from helpers.clips import Pan, clip
from helpers.photos import write_photos
from mien import Analyzer
from mien.batch.run import BatchRun
from mien.batch.settings import AnalysisSettings, load_setup


@pytest.fixture(scope="session")
def analyzer() -> Analyzer:
    return load_setup(AnalysisSettings()).analyzer(threads=1)


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six pictures with a face, one without, one that is damaged, one that is empty."""
    folder = tmp_path_factory.mktemp("photos")
    write_photos(folder, 6, without=1)
    (folder / "damaged.jpg").write_bytes(b"\xff\xd8\xffnothing")
    (folder / "sub").mkdir()
    (folder / "sub" / "empty.png").touch()
    (folder / ".hidden.jpg").touch()
    (folder / "notes.md").write_text("not a picture")
    return folder


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """25 photos, one of them damaged, and a short video: eight shards."""
    folder = tmp_path_factory.mktemp("source")
    write_photos(folder, 22, without=2)
    (folder / "damaged.jpg").write_bytes(b"\xff\xd8\xffnothing")
    clip(folder / "video.mp4", size=(320, 240), frames=14, draw=Pan.astronaut((320, 240)))
    return folder


@pytest.fixture(scope="session")
def whole(source: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The parts that an uninterrupted run writes, with two workers."""
    target = tmp_path_factory.mktemp("whole") / "out"
    run = BatchRun(str(source), str(target), LIGHT, shard_size=SIZE, workers=2)
    assert len(list(run.results())) == 8
    return parts(target)


@pytest.fixture
def deadly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Puts lines of code in front of the decoding of every photo, in worker processes alone."""

    def arm(code: str) -> None:
        patch = (
            "import os, signal, sys, time\n"
            "if 'mien.batch.worker_process' in sys.orig_argv:\n"
            "    import mien.batch.shard_analysis as analyse\n"
            "    decode = analyse._decode\n"
            "    def deadly(content, source, reduce):\n"
            f"        {code}\n"
            "        return decode(content, source, reduce)\n"
            "    analyse._decode = deadly\n"
        )
        (tmp_path / "sitecustomize.py").write_text(patch)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)

    return arm
