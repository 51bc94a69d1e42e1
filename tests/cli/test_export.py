"""``mien analyze --export`` and ``--blur`` on a clip, as from a shell."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import av
import pytest
from PIL import Image

from helpers.clips import Pan, clip
from helpers.commands import CommandRun
from helpers.pictures import astronaut
from mien.exchange.formats import FORMATS, read_coding
from mien.pipeline.analyzer import Analyzer

Mien = Callable[..., CommandRun]


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    draw = Pan.astronaut((192, 144), eye_distance=24.0, step=(0.5, 0.1))
    return clip(tmp_path_factory.mktemp("walk") / "walk.mp4", frames=20, draw=draw)


def test_every_format_of_a_clip(mien: Mien, walk: Path, tmp_path: Path) -> None:
    run = mien("analyze", walk, "--threads", 1, "--export", ",".join(FORMATS), "--export-to", tmp_path / "out")
    assert run.code == 0
    assert f"mien: exports are in {tmp_path / 'out'}" in run.err
    codings = [read_coding(tmp_path / "out" / f"walk{suffix}") for suffix in (".boris", ".eaf", ".TextGrid")]
    for coding in codings:
        labels = [(i.label, round(i.start * 25)) for t in coding.tiers if "emotion" in t.name for i in t.intervals]
        assert labels
        assert labels[0][0] == "happy"
    assert codings[0].source == str(walk)
    assert (tmp_path / "out" / "walk-openface.csv").read_text().count("\n") == 21
    sidecar = next((tmp_path / "out" / "bids").rglob("*_physio.json"))
    assert json.loads(sidecar.read_text())["SamplingFrequency"] == pytest.approx(25)


def test_a_corrected_file_ends_the_call_before_the_analysis(mien: Mien, walk: Path, tmp_path: Path) -> None:
    corrected = tmp_path / "walk.eaf"
    corrected.write_text("corrected by a person")
    run = mien("analyze", walk, "--models", "none", "--csv", tmp_path / "rows.csv", "--export", "eaf,openface",
               "--export-to", tmp_path)  # fmt: skip
    assert run.code == 1
    assert "may hold a person's corrections; move it, or choose another folder" in run.err
    assert corrected.read_text() == "corrected by a person"
    assert not (tmp_path / "rows.csv").exists()


def test_a_resumed_run_exports_what_is_left(mien: Mien, walk: Path, tmp_path: Path) -> None:
    call = ["analyze", walk, "--models", "none", "--report", tmp_path / "report", "--export", "openface,boris",
            "--export-to", tmp_path / "out"]  # fmt: skip
    assert mien(*call).code == 0
    before = (tmp_path / "out" / "walk.boris").read_bytes()
    run = mien(*call, "--resume")
    assert run.code == 0
    assert "1 of 1 videos were finished before" in run.err
    assert (tmp_path / "out" / "walk.boris").read_bytes() == before
    run = mien(*call[:-3], "eaf", *call[-2:], "--resume")
    assert run.code == 1
    assert "the exports" in run.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--export", "elan"], "no export format 'elan'"),
        (["--blur", "all"], "--blur is for the pictures of --save and --thumbnails"),
        (["--blur", "some"], "'some' is not one of 'all', 'others'"),
        (["--save", "x.mp4", "--blur", "others", "--keep", "zero"], "'zero' is not a list of numbers from 1"),
        (["--save", "x.mp4", "--blur", "others", "--keep", "0"], "'0' is not a list of numbers from 1"),
    ],
)
def test_calls_that_cannot_be(mien: Mien, walk: Path, arguments: list[str], message: str) -> None:
    run = mien("analyze", walk, *arguments)
    assert run.code in (1, 2)
    assert message in run.err


def test_exports_are_for_videos(mien: Mien, tmp_path: Path) -> None:
    Image.fromarray(astronaut()).save(tmp_path / "photo.png")
    run = mien("analyze", tmp_path / "photo.png", "--export", "eaf")
    assert run.code == 2
    assert "--export" in run.err


def test_blurred_photos_and_videos(mien: Mien, walk: Path, tmp_path: Path) -> None:
    Image.fromarray(astronaut()).save(tmp_path / "photo.png")
    detector = Analyzer(threads=1, models=())
    options = ("--models", "none", "--threads", 1, "--blur")
    assert mien("analyze", tmp_path / "photo.png", *options, "all", "--save", tmp_path / "all.png").code == 0
    assert len(detector.analyze(tmp_path / "all.png")) == 0
    assert mien("analyze", tmp_path / "photo.png", *options, "others", "--save", tmp_path / "others.png").code == 0
    assert len(detector.analyze(tmp_path / "others.png")) == 1
    run = mien("analyze", walk, *options, "all", "--blur-style", "solid", "--save", tmp_path / "walk.mp4")
    assert run.code == 0
    with av.open(str(tmp_path / "walk.mp4")) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(frames) == 20
    assert not any(len(detector.analyze(frame, color="rgb")) for frame in frames[::5])
