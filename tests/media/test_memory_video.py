"""The bytes of a video, open files and arrays have the frames that the file has; nothing stays behind."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from helpers.clips import number_of, numbered
from mien.errors import InputError, OutputError, VideoError
from mien.media.frame import Frame
from mien.media.memory_video import ARRAY_NAME, TemporaryVideo
from mien.media.open import open_source
from mien.media.selection import FrameSelection


@pytest.fixture
def empty_temporary_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.mark.parametrize("form", [bytes, bytearray, memoryview, io.BytesIO])
def test_bytes_have_the_frames_of_the_file(
    made: Callable[..., Path], empty_temporary_folder: Path, form: Callable[[bytes], bytes]
) -> None:
    path = made("h264.mp4")
    with open_source(path, FrameSelection(every=7)) as source:
        expected = [(frame.index, frame.time, number_of(frame.rgb)) for frame in source]
    with open_source(form(path.read_bytes()), FrameSelection(every=7)) as source:
        name = "<file object>" if form is io.BytesIO else "<bytes>"
        assert source.info.name == name
        frames = list(source)
        assert {frame.source for frame in frames} == {name}
        assert [(frame.index, frame.time, number_of(frame.rgb)) for frame in frames] == expected
    assert not list(empty_temporary_folder.iterdir())


def test_an_open_file_is_read_from_its_start_and_named(made: Callable[..., Path], empty_temporary_folder: Path) -> None:
    path = made("h264.mp4")
    with path.open("rb") as file:
        file.seek(100)
        with open_source(file) as source:
            assert source.info.name == str(path)
            assert number_of(next(iter(source)).rgb) == 0
    assert not list(empty_temporary_folder.iterdir())


@pytest.mark.parametrize("content", [b"", b"no video", b"\xff\xd8\xff\xe0 a photo"])
def test_other_bytes_are_refused_by_their_own_name(empty_temporary_folder: Path, content: bytes) -> None:
    with pytest.raises((VideoError, InputError)) as caught:
        open_source(content)
    assert caught.value.path == "<bytes>"
    assert str(empty_temporary_folder) not in str(caught.value)
    assert not list(empty_temporary_folder.iterdir())


def test_a_file_opened_as_text_is_refused(made: Callable[..., Path], empty_temporary_folder: Path) -> None:
    with made("h264.mp4").open(encoding="latin-1") as file, pytest.raises(InputError, match="is opened as text"):
        open_source(file)  # type: ignore[arg-type]
    assert not list(empty_temporary_folder.iterdir())


def test_a_full_disk_is_named(monkeypatch: pytest.MonkeyPatch, made: Callable[..., Path]) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/dev/full")
    with pytest.raises(OutputError, match="cannot be written"):
        open_source(made("h264.mp4").read_bytes())


def test_closing_early_removes_the_file(made: Callable[..., Path], empty_temporary_folder: Path) -> None:
    source = TemporaryVideo(made("h264.mp4").read_bytes())
    next(iter(source))
    assert list(empty_temporary_folder.iterdir())
    source.close()
    source.close()
    assert not list(empty_temporary_folder.iterdir())


@pytest.mark.parametrize("color", ["rgb", "bgr"])
def test_an_array_of_frames(color: str) -> None:
    pictures = np.stack([numbered(i) for i in range(10)])
    given = pictures if color == "rgb" else pictures[..., ::-1]
    with open_source(given, FrameSelection(every=3, fps=20), color=color) as source:  # type: ignore[arg-type]
        assert (source.info.rate, source.info.frames, source.info.seconds) == (20, 4, 0.5)
        frames = list(source)
    assert [(f.index, f.time, f.source) for f in frames] == [(i, i / 20, ARRAY_NAME) for i in (0, 3, 6, 9)]
    for frame in frames:
        np.testing.assert_array_equal(frame.rgb, pictures[frame.index])


def test_gray_frames_need_no_color() -> None:
    frames = list(open_source(np.full((3, 8, 6), 7, np.uint8)))
    assert [frame.rgb.shape for frame in frames] == [(8, 6, 3)] * 3


@pytest.mark.parametrize(
    ("source", "color", "words"),
    [
        (np.zeros((2, 4, 4, 3), np.uint8), None, "add color"),
        (np.zeros((4, 4, 3), np.uint8), "rgb", "is one picture, .* pass it to analyze"),
        (np.zeros((0, 4, 4, 3), np.uint8), "rgb", r"a video is \(frames, height, width, 3\)"),
        (np.zeros((2, 4, 4, 3), np.float32), "rgb", "is float32"),
        (Frame(np.zeros((4, 4, 3), np.uint8)), None, "one picture: pass it to analyze"),
        ([np.zeros((4, 4, 3), np.uint8)], None, r"pass numpy\.stack"),
        (None, None, "expected a path, .* got NoneType"),
    ],
)
def test_what_is_no_video_is_refused_with_advice(source: object, color: str | None, words: str) -> None:
    with pytest.raises(InputError, match=words):
        open_source(source, color=color)  # type: ignore[arg-type]
