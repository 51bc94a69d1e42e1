"""Whatever a caller names becomes an open source, or an error that names no password."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from helpers.clips import numbered
from mien.defaults import FRAME_RATE
from mien.errors import InputError
from mien.media.numbered_pictures import NumberedPictures
from mien.media.open import is_live, open_source
from mien.media.selection import FrameSelection
from mien.media.video import VideoFile


def test_files_and_folders(made: Callable[..., Path], tmp_path: Path) -> None:
    for i in range(6):
        Image.fromarray(numbered(i)).save(tmp_path / f"img{i}.png")
    with open_source(made("h264.mp4"), FrameSelection(every=7), after=7) as source:
        assert isinstance(source, VideoFile)
        assert [frame.index for frame in source] == [14, 21, 28, 35]
    for where in (tmp_path, str(tmp_path / "img%d.png")):
        with open_source(where, FrameSelection(every=2, fps=100)) as source:
            assert isinstance(source, NumberedPictures)
            assert [(frame.index, frame.time) for frame in source] == [(0, 0.0), (2, 0.02), (4, 0.04)]


@pytest.mark.parametrize("name", ["a%20b.mp4", "100%.mp4", "take%d.mp4", "%s%04d.mp4"])
def test_a_video_whose_name_has_a_per_cent_sign_is_no_counter(
    made: Callable[..., Path], tmp_path: Path, name: str
) -> None:
    (tmp_path / name).write_bytes(made("h264.mp4").read_bytes())
    with open_source(tmp_path / name) as source:
        assert isinstance(source, VideoFile)


def test_the_interval_between_frames_follows_from_the_selection(made: Callable[..., Path], tmp_path: Path) -> None:
    Image.fromarray(numbered(0)).save(tmp_path / "img0.png")
    for selection, interval in (
        (FrameSelection(), 1 / 25),
        (FrameSelection(every=5), 5 / 25),
        (FrameSelection(fps=4), 1 / 4),
        (FrameSelection(fps=100), 1 / 25),
    ):
        assert open_source(made("h264.mp4"), selection).info.interval == pytest.approx(interval)
    assert open_source(tmp_path).info.interval == 1 / FRAME_RATE
    assert open_source(tmp_path, FrameSelection(every=10, fps=200)).info.interval == pytest.approx(10 / 200)


def test_an_open_source_is_used_as_it_is(made: Callable[..., Path]) -> None:
    source = open_source(made("h264.mp4"), FrameSelection(every=10))
    assert open_source(source) is source
    with pytest.raises(InputError, match="an open source has a selection already; select frames when opening it"):
        open_source(source, FrameSelection(every=2))
    with pytest.raises(InputError, match="an open source has a selection already"):
        open_source(source, after=3)


@pytest.mark.parametrize("selection", [FrameSelection(every=2), FrameSelection(fps=5), FrameSelection(start=1)])
def test_a_live_source_has_no_selection(selection: FrameSelection) -> None:
    with pytest.raises(InputError, match="camera 0: a live source has no every, fps, start or end"):
        open_source(0, selection)
    with pytest.raises(InputError, match="a live source has no every") as caught:
        open_source("rtsp://user:secret@host/path?key=hidden", selection)
    assert caught.value.path == "rtsp://user@host/path?…"


def test_what_is_live() -> None:
    assert is_live(0)
    assert is_live("rtsp://host/path")
    assert is_live("HTTP://host/path")
    for path in ("film.mp4", "C:\\film.mp4", "folder/a:b.mp4", Path("film.mp4")):
        assert not is_live(path)
