"""Numbered pictures are read as the frames of a video."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers.clips import number_of, numbered
from helpers.video_files import save_picture
from mien.errors import ImageError, InputError, MissingFileError
from mien.media.numbered_pictures import open_numbered_pictures
from mien.media.selection import FrameSelection


@pytest.fixture
def shots(tmp_path: Path) -> Path:
    from PIL import Image

    folder = tmp_path / "shots"
    folder.mkdir()
    for i in range(12):
        Image.fromarray(numbered(i)).save(folder / f"img{i}.png")
    (folder / "notes.txt").write_text("no picture")
    return folder


def test_numbered_pictures_in_natural_order(shots: Path) -> None:
    for where in (shots, f"{shots}/*.png", f"{shots}/img%d.png", f"{shots}/img%01d.png"):
        with open_numbered_pictures(where, FrameSelection(fps=10)) as source:
            frames = list(source)
        assert [frame.index for frame in frames] == [number_of(frame.rgb) for frame in frames] == list(range(12))
        assert [frame.time for frame in frames] == pytest.approx([i / 10 for i in range(12)])
        assert frames[3].source == str(shots / "img3.png")
    info = source.info
    assert (info.width, info.height, info.rate, info.frames, info.seconds) == (64, 48, 10.0, 12, 1.2)
    assert [frame.index for frame in open_numbered_pictures(f"{shots}/img%02d.png")] == [0, 1]  # img10 and img11


def test_numbered_pictures_chosen_and_resumed(shots: Path) -> None:
    def indices(after: int | None = None, **selection: float) -> list[int]:
        chosen = FrameSelection(fps=10, **selection)  # type: ignore[arg-type]
        return [frame.index for frame in open_numbered_pictures(shots, chosen, after=after)]

    assert indices(every=5) == [0, 5, 10]
    assert indices(start=0.3, end=0.6) == [3, 4, 5]
    assert indices(every=5, after=5) == [10]
    assert indices(after=11) == []
    assert open_numbered_pictures(shots, FrameSelection(fps=10, every=5)).info.frames == 3


def test_unreadable_pictures_are_lost_frames(shots: Path) -> None:
    from PIL import Image

    (shots / "img0.png").write_bytes(b"no picture")
    (shots / "img7.png").write_bytes((shots / "img7.png").read_bytes()[:100])
    Image.fromarray(numbered(9, (80, 60))).save(shots / "img9.png")
    with open_numbered_pictures(shots) as source:
        assert source.info.width == 64
        assert [frame.index for frame in source] == [1, 2, 3, 4, 5, 6, 8, 9, 10, 11]
    assert (source.lost, source.dropped) == (2, 0)
    first, second, third = source.problems
    assert "img0.png: holds text, not a picture" in first
    assert "img7.png: ends too early" in second
    assert third.endswith("img9.png: from here on pictures have other sizes")
    for i in range(12):
        (shots / f"img{i}.png").write_bytes(b"no picture")
    with pytest.raises(ImageError, match=r"none of the 12 pictures can be read; the first: .*img0\.png: holds text"):
        open_numbered_pictures(shots)


def test_folders_without_pictures(tmp_path: Path) -> None:
    for where, message in (
        (tmp_path / "gone", "no such file or folder"),
        (tmp_path, "no file ending in"),
        (f"{tmp_path}/x%d.png", "no file has such a name; check the pattern and the folder"),
        (f"{tmp_path}/gone/x%d.png", "cannot be read: No such file or directory"),
    ):
        with pytest.raises(MissingFileError, match=message):
            open_numbered_pictures(where)
    save_picture(tmp_path / "a.png", "PNG")
    with pytest.raises(InputError, match="is one file; give the folder of the pictures, or a pattern"):
        open_numbered_pictures(tmp_path / "a.png")
    with pytest.raises(InputError, match="fps is a number above 0, got 0"):
        open_numbered_pictures(tmp_path, FrameSelection(fps=0))
