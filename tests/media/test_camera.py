"""Cameras of this computer, through a picture generator of FFmpeg in the place of a device."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from mien.errors import VideoError
from mien.media import camera
from mien.media.connection import ReconnectPolicy
from mien.media.live import open_live

QUICK = ReconnectPolicy(max_attempts=3, first_wait=0.05, max_wait=0.1)
NEVER = ReconnectPolicy(max_attempts=0)
RED = "color=red:size=64x48:rate=30,format=rgb24"


class Device:
    """What `av.open` is asked for, and what it opens instead: ``None`` for a camera that is not there."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, sources: list[str | None]) -> None:
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        self.sources = sources
        self.takes_size = True
        real = av.open

        def opened(address: str, *, options: dict[str, str], **kwargs: str) -> Any:
            self.asked.append((address, kwargs["format"], options))
            if options and not self.takes_size:
                raise OSError("no such size")
            source = self.sources.pop(0) if self.sources else None
            if source is None:
                raise OSError("no such device")
            return real(source, format="lavfi")

        monkeypatch.setattr(av, "open", opened)
        monkeypatch.setattr("platform.system", lambda: "Linux")


def test_a_camera(monkeypatch: pytest.MonkeyPatch) -> None:
    device = Device(monkeypatch, [f"{RED},trim=end_frame=4"])
    with open_live("0", size=(640, 480), reconnect=NEVER) as live:
        info = live.info
        frames = list(live)
    assert (info.name, info.codec, info.rate, info.live) == ("camera 0", "camera", 30.0, True)
    assert [frame.index for frame in frames] == [0, 1, 2, 3]
    np.testing.assert_allclose(frames[0].rgb, np.tile(np.array([255, 0, 0], np.uint8), (48, 64, 1)), atol=1)
    assert device.asked == [("/dev/video0", "video4linux2,v4l2", {"video_size": "640x480"})]
    assert live.problems[0].startswith("at 0.0 s the camera returns no picture any more; is it unplugged, or did")


def test_a_camera_that_does_not_take_the_size_is_opened_with_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    device = Device(monkeypatch, [f"{RED},trim=end_frame=1"])
    device.takes_size = False
    with open_live(0, size=(9999, 1), reconnect=NEVER) as live:
        assert [frame.size for frame in live] == [(64, 48)]
    assert [options for _, _, options in device.asked] == [{"video_size": "9999x1"}, {}]


def test_a_camera_that_is_plugged_in_again(monkeypatch: pytest.MonkeyPatch) -> None:
    Device(monkeypatch, [f"{RED},trim=end_frame=2", None, f"{RED},trim=end_frame=2"])
    with open_live(0, reconnect=QUICK) as live:
        assert len(list(live)) == 4
    assert live.gaps == 2
    assert "connected again after 0." in live.problems[0]
    assert "given up after 3 attempts" in live.problems[1]
    assert "camera" in live.problems[1]


@pytest.mark.parametrize(
    ("system", "where", "address"),
    [
        ("Linux", 2, ("/dev/video2", "video4linux2,v4l2")),
        ("Linux", "/dev/video9", ("/dev/video9", "video4linux2,v4l2")),
        ("Darwin", 1, ("1:none", "avfoundation")),
        ("Windows", "USB Camera", ("video=USB Camera", "dshow")),
    ],
)
def test_every_system_has_its_device(
    monkeypatch: pytest.MonkeyPatch, system: str, where: int | str, address: tuple[str, str]
) -> None:
    monkeypatch.setattr("platform.system", lambda: system)
    assert camera._device(where) == address


def test_cameras_of_windows_are_counted_among_devices_with_video(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.system", lambda: "Windows")
    kinds = [("Microphone", ["audio"]), ("Front", ["video"]), ("Back", ["video"])]
    found = [type("Info", (), {"name": name, "media_types": media}) for name, media in kinds]
    monkeypatch.setattr(av, "enumerate_input_devices", lambda form: found if form == "dshow" else [])
    assert camera._device(1) == ("video=Back", "dshow")
    with pytest.raises(VideoError, match="cannot be opened; plug it in"):
        open_live(2)


def test_no_camera(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(VideoError, match=r"^camera 97: is not there: (there are|this computer, or container, sees)"):
        open_live(97)
    assert capfd.readouterr() == ("", "")
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
