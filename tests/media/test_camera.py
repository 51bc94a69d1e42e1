"""Cameras of this computer, through a fake of OpenCV's capture."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from helpers.clips import number_of, numbered
from mien.errors import VideoError
from mien.media.connection import ReconnectPolicy
from mien.media.live import open_live

QUICK = ReconnectPolicy(max_attempts=3, first_wait=0.05, max_wait=0.1)


class FakeCapture:
    """OpenCV's VideoCapture of a camera that gives ``pictures``, None for a miss."""

    pictures: list[int | None]
    opened: list[tuple[object, bool]]
    asked: list[tuple[int, float]]
    there: list[bool]

    def __init__(self, where: object) -> None:
        self.is_open = self.there.pop(0) if self.there else False
        self.opened.append((where, self.is_open))

    def isOpened(self) -> bool:
        return self.is_open

    def set(self, what: int, value: float) -> bool:
        self.asked.append((what, value))
        return True

    def get(self, what: int) -> float:
        return 30.0

    def read(self) -> tuple[bool, np.ndarray | None]:
        number = self.pictures.pop(0) if self.pictures else None
        if number is None:
            return False, None
        bgr = numbered(number).copy()
        bgr[0, 0] = (255, 0, 0)
        return True, bgr

    def release(self) -> None:
        self.is_open = False


@pytest.fixture
def camera(monkeypatch: pytest.MonkeyPatch) -> type[FakeCapture]:
    fake = type("Fake", (FakeCapture,), {"pictures": [], "opened": [], "asked": [], "there": [True]})
    monkeypatch.setattr(cv2, "VideoCapture", fake)
    return fake


def test_a_camera(camera: type[FakeCapture]) -> None:
    camera.pictures = [0, 1, None, 2]
    with open_live("0", size=(640, 480), reconnect=ReconnectPolicy(max_attempts=0)) as live:
        info = live.info
        frames = list(live)
    assert (info.name, info.codec, info.rate, info.live) == ("camera 0", "camera", 30.0, True)
    assert [(frame.index, number_of(frame.rgb)) for frame in frames] == [(0, 0), (1, 1), (2, 2)]
    assert frames[0].rgb[0, 0].tolist() == [0, 0, 255]
    assert camera.opened == [(0, True)]
    assert camera.asked == [(cv2.CAP_PROP_FRAME_WIDTH, 640), (cv2.CAP_PROP_FRAME_HEIGHT, 480)]
    assert live.problems[0].startswith("at 0.0 s the camera returns no picture any more; is it unplugged, or did")


def test_a_camera_that_is_plugged_in_again(camera: type[FakeCapture]) -> None:
    camera.pictures = [0, 1, *[None] * 5, 2, 3]
    camera.there = [True, False, True]
    with open_live(0, reconnect=QUICK) as live:
        assert [number_of(frame.rgb) for frame in live] == [0, 1, 2, 3]
    assert live.gaps == 2
    assert "connected again after 0." in live.problems[0]
    assert "given up after 3 attempts" in live.problems[1]
    assert "camera" in live.problems[1]


def test_no_camera(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(VideoError, match=r"^camera 97: is not there: (there are|this computer, or container, sees)"):
        open_live(97)
    assert capfd.readouterr() == ("", "")
    assert (cv2.utils.logging if hasattr(cv2.utils, "logging") else cv2).getLogLevel() > 0
    device = tmp_path / "video0"
    device.touch()
    monkeypatch.setattr("mien.media.live._DEVICES", str(tmp_path))
    with pytest.raises(VideoError, match="returns no pictures; close other programs that use it, or try the next"):
        open_live(str(device))
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(VideoError, match=r"may not be used; 'sudo usermod -aG video \$USER', then log in again"):
        open_live(str(device))
    for system, place in (("Darwin", "System Settings"), ("Windows", "Settings → Privacy"), ("Plan9", "the system's")):
        monkeypatch.setattr("platform.system", lambda system=system: system)
        with pytest.raises(VideoError, match=f"cannot be opened; plug it in, .* this one to use cameras in {place}"):
            open_live(97)
