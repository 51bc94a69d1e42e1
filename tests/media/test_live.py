"""Cameras, streams and the queue behind them: served by real sockets, broken in every way a network breaks."""

from __future__ import annotations

import contextlib
import http.server
import itertools
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from helpers.clips import clip, number_of, numbered
from mien.errors import InputError, MienError, VideoError
from mien.media.addresses import without_password
from mien.media.connection import ConnectionLostError, ReceivedFrame, ReconnectPolicy
from mien.media.frame import Frame
from mien.media.live import LiveSource, open_live
from mien.media.read_ahead import ReadAhead
from mien.media.selection import FrameSelection
from mien.media.source import FrameSource, SourceInfo
from mien.media.video import open_video

QUICK = ReconnectPolicy(max_attempts=3, first_wait=0.05, max_wait=0.1)


# ---------------------------------------------------------------- a camera on the network

Step = tuple[str, float]
"""("frames", n), ("pause", seconds), ("broken", n), ("status", code), ("silent", seconds)."""


@dataclass
class Sender:
    """An MJPEG camera: each connection goes through the next list of steps; with none left, it is refused (503)."""

    connections: list[list[Step]]
    rate: float = 50.0
    port: int = 0
    seen: list[str] = field(default_factory=list)
    sent: int = 0

    @property
    def address(self) -> str:
        return f"http://user:secret@127.0.0.1:{self.port}/cam?token=hidden"


class _Handler(http.server.BaseHTTPRequestHandler):
    sender: Sender

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        sender = self.sender
        sender.seen.append(self.path)
        steps = sender.connections.pop(0) if sender.connections else [("status", 503)]
        try:
            for what, value in steps:
                if what == "status":
                    self.send_error(int(value))
                    return
                if what == "silent":
                    time.sleep(value)
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            for what, value in steps:
                if what == "pause":
                    time.sleep(value)
                for _ in range(int(value) if what in ("frames", "broken") else 0):
                    self._send(what)
                    time.sleep(1 / sender.rate)
        except OSError:
            pass  # the receiver has gone

    def _send(self, what: str) -> None:
        picture = cv2.imencode(".jpg", numbered(self.sender.sent)[..., ::-1])[1].tobytes()
        self.sender.sent += 1
        data = picture if what == "frames" else picture[:2] + bytes(len(picture) - 2)
        head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
        self.wfile.write(head.encode() + data + b"\r\n")


@pytest.fixture
def sender() -> Iterator[Callable[..., Sender]]:
    servers = []

    def start(*connections: list[Step], **options: float) -> Sender:
        made = Sender(list(connections), **options)  # type: ignore[arg-type]
        handler = type("Handler", (_Handler,), {"sender": made})
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.daemon_threads = True
        server.block_on_close = False
        made.port = server.server_port
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        servers.append(server)
        return made

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_frames_of_a_network_camera(sender: Callable[..., Sender]) -> None:
    made = sender([("frames", 40)])
    with open_live(made.address, FrameSelection(end=0.5)) as live:
        info = live.info
        frames = list(live)
    assert (info.width, info.height, info.rate, info.codec, info.live) == (64, 48, None, "mjpeg", True)
    assert [frame.index for frame in frames] == [number_of(frame.rgb) for frame in frames] == list(range(len(frames)))
    assert 10 <= len(frames) <= 32
    times = [frame.time for frame in frames]
    assert times[0] == 0.0
    assert all(a < b < 0.5 for a, b in itertools.pairwise(times))
    assert (live.lost, live.dropped, live.gaps, live.problems) == (0, 0, 0, ())


def test_no_message_or_result_holds_the_password(sender: Callable[..., Sender]) -> None:
    made = sender([("frames", 3)])
    with open_live(made.address, reconnect=QUICK) as live:
        frames = list(live)
    told = [live.info.name, str(frames[0].source), *live.problems]
    with pytest.raises(VideoError) as caught:
        open_live(made.address)
    told.append(str(caught.value))
    assert live.problems
    assert not any("secret" in line or "hidden" in line for line in told)
    assert live.info.name == frames[0].source == f"http://user@127.0.0.1:{made.port}/cam?…"
    assert without_password("rtsp://a:b@c@host:1/p") == "rtsp://a@host:1/p"
    assert without_password("http://host/p") == "http://host/p"


def test_a_stream_that_breaks_is_connected_again(sender: Callable[..., Sender]) -> None:
    made = sender([("frames", 8)], [("status", 503)], [("frames", 5)], [("frames", 5)])
    with open_live(made.address, reconnect=QUICK) as live:
        frames = list(live)
    assert [number_of(frame.rgb) for frame in frames] == [frame.index for frame in frames] == list(range(18))
    assert (live.gaps, live.gave_up) == (3, True)
    first, second, third = live.problems
    assert re.match(r"at 0\.\d s the connection broke \(", first)
    assert "; connected again after 0." in first
    assert "; connected again after 0." in second
    assert "; given up after 3 attempts in 0." in third
    assert third.endswith("answers with an error; check the address")
    times = [frame.time for frame in frames]
    assert all(a < b for a, b in itertools.pairwise(times))
    assert times[8] - times[7] > 0.14  # two waits of 0.05 and 0.1 seconds


def test_a_stream_that_stalls_is_connected_again(sender: Callable[..., Sender]) -> None:
    made = sender([("frames", 5), ("pause", 3.0)], [("frames", 5), ("pause", 3.0)])
    begun = time.monotonic()
    with open_live(made.address, stall=0.3, reconnect=replace(QUICK, max_attempts=1)) as live:
        frames = list(live)
    assert time.monotonic() - begun < 2.0
    assert [number_of(frame.rgb) for frame in frames] == list(range(10))
    assert "no picture for 0.3 s; connected again after 0." in live.problems[0]
    assert "no picture for 0.3 s; given up after 1 attempt in 0." in live.problems[1]


def test_giving_up_after_a_time(sender: Callable[..., Sender]) -> None:
    made = sender([("frames", 3)])
    with open_live(
        made.address, reconnect=ReconnectPolicy(max_attempts=None, max_seconds=1.5, first_wait=0.05, max_wait=0.05)
    ) as live:
        assert len(list(live)) == 3
    assert len(made.seen) > 3
    assert live.gave_up
    told = re.search(r"given up after \d+ attempts in ([\d.]+) s", live.problems[-1])
    assert told is not None
    assert float(told[1]) >= 1.5


def test_never_connecting_again(sender: Callable[..., Sender]) -> None:
    made = sender([("frames", 3)], [("frames", 3)])
    with open_live(made.address, reconnect=ReconnectPolicy(max_attempts=0)) as live:
        assert len(list(live)) == 3
    (line,) = live.problems
    assert "; given up after 0 attempts in 0." in line
    assert len(made.seen) == 1


def test_a_slow_start_is_waited_for(sender: Callable[..., Sender]) -> None:
    made = sender([("silent", 0.5), ("frames", 3)])
    with open_live(made.address, stall=0.3, reconnect=ReconnectPolicy(max_attempts=0)) as live:
        assert len(list(live)) == 3


def test_broken_pictures_are_lost_ones(sender: Callable[..., Sender]) -> None:
    made = sender([("frames", 4), ("broken", 2), ("frames", 4)])
    with open_live(made.address, reconnect=ReconnectPolicy(max_attempts=0)) as live:
        numbers = [number_of(frame.rgb) for frame in live]
    assert numbers == [0, 1, 2, 3, 6, 7, 8, 9]
    assert live.lost == 2


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (401, "wants a user name and password; give them as scheme://user:password@host/"),
        (403, r"refuses access \(403\); check the user name, the password or the key"),
        (404, r"has nothing at this path \(404\); check the address"),
        (500, "answers with an error; check the address"),
    ],
)
def test_answers_that_are_no_stream(code: int, message: str, sender: Callable[..., Sender]) -> None:
    made = sender([("status", code)])
    with pytest.raises(VideoError, match=rf"^http://user@127.0.0.1:{made.port}/cam\?…: {message}$"):
        open_live(made.address)


def test_addresses_without_a_stream(
    sender: Callable[..., Sender], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        for scheme in ("http", "rtsp", "rtmp", "tcp"):
            with pytest.raises(VideoError, match=f"nothing listens at 127.0.0.1:{port}; check the address and that"):
                open_live(f"{scheme}://127.0.0.1:{port}/x")
    monkeypatch.setattr("mien.media.network_stream._CONNECT_TIMEOUT", 0.3)
    made = sender([("silent", 2.0)])
    begun = time.monotonic()
    with pytest.raises(VideoError, match=rf"127.0.0.1:{made.port} does not answer; check the address, the network and"):
        open_live(made.address, stall=0.2)
    assert time.monotonic() - begun < 1.5
    with pytest.raises(VideoError, match=r"cannot be opened \(.*\); check the address and the network"):
        open_live(sender([("pause", 0.0)]).address)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("where", "options", "message"),
    [
        ("film.mp4", {}, "film.mp4: is neither the number of a camera nor an address; open_video reads files"),
        ("file:///a.mp4", {}, "addresses begin with http, https, rtmp, .*; open_video reads files"),
        (-1, {}, "cameras are numbered from 0, got -1"),
        (True, {}, "cameras are numbered from 0, got True"),
        ("0", {"stall": 0}, "stall is a number of seconds above 0, got 0"),
        ("http://host/", {"size": (640, 480)}, "the sender determines the size; only a camera can be asked for one"),
    ],
)
def test_unusable_requests(where: int | str, options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        open_live(where, **options)  # type: ignore[arg-type]


# ---------------------------------------------------------------- other things that are sent


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    """The address under which the files of ``tmp_path`` are served, in bursts and with pauses where a name says so."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: object) -> None:
            super().__init__(*args, directory=str(tmp_path))  # type: ignore[arg-type]

        def log_message(self, *_: object) -> None:
            pass

        def copyfile(self, source: object, outputfile: object) -> None:
            bursts = "bursts" in self.path
            try:
                while data := source.read(4096):  # type: ignore[attr-defined]
                    outputfile.write(data)  # type: ignore[attr-defined]
                    if bursts:
                        time.sleep(0.05)
            except OSError:
                pass

        def send_header(self, keyword: str, value: str) -> None:
            if not ("bursts" in self.path and keyword == "Content-Length"):  # nobody knows how long a live stream is
                super().send_header(keyword, value)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads, server.block_on_close = True, False
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_recording_on_a_web_server_is_read_to_its_end(web: str, tmp_path: Path) -> None:
    clip(tmp_path / "a.mp4", frames=60, bframes=2)
    with ReadAhead(open_live(f"{web}/a.mp4"), max_frames=2) as frames:
        assert (frames.info.live, frames.info.seconds, frames.info.frames) == (False, pytest.approx(2.4), 60)
        got = []
        for frame in frames:
            time.sleep(0.002)
            got.append((frame.index, number_of(frame.rgb), frame.time))
    assert [(i, n) for i, n, _ in got] == [(i, i) for i in range(60)]
    assert [t for *_, t in got] == pytest.approx([i / 25 for i in range(60)], abs=0.005)
    assert (frames.dropped, frames.problems) == (0, ())


def test_a_live_transport_stream_keeps_the_senders_clock(web: str, tmp_path: Path) -> None:
    clip(tmp_path / "bursts.ts", frames=100, bframes=2, size=(160, 120))
    with open_live(f"{web}/bursts.ts", reconnect=ReconnectPolicy(max_attempts=0)) as live:
        assert live.info.live
        got = [(number_of(frame.rgb), frame.time) for frame in live]
    assert [number for number, _ in got] == list(range(100))
    assert [t for _, t in got] == pytest.approx([i / 25 for i in range(100)], abs=0.005)


def test_segments_listed_by_a_playlist(web: str, tmp_path: Path) -> None:
    listed = {"hls_time": "1", "hls_list_size": "0"}
    clip(tmp_path / "a.m3u8", frames=75, container="hls", container_options=listed, gop=25)
    with open_live(f"{web}/a.m3u8") as live:
        assert not live.info.live
        assert [number_of(frame.rgb) for frame in live] == list(range(75))


# ---------------------------------------------------------------- cameras


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


# ---------------------------------------------------------------- clocks and choices, without a network


class FakeConnection:
    """A link whose pictures come from a list of (number, stamp), with pauses."""

    codec, rate, rotation, has_audio = "fake", 10.0, 0, False

    def __init__(
        self, pictures: list[tuple[int | None, float | None]], *, seconds: float | None = None, bursty: bool = False,
        broken: str | None = None, pause: float = 0.0,
    ) -> None:  # fmt: skip
        self.list, self.seconds, self.bursty, self.broken, self.pause = pictures, seconds, bursty, broken, pause
        self.closed = False

    def frames(self) -> Iterator[ReceivedFrame]:
        for number, stamp in self.list:
            time.sleep(self.pause)
            yield ReceivedFrame(None if number is None else numbered(number), stamp)
        if self.broken:
            raise ConnectionLostError(self.broken)

    def close(self) -> None:
        self.closed = True


def live_of(*links: FakeConnection, first: float = 0.05, **selection: float) -> LiveSource:
    remaining = list(links)

    def connect() -> FakeConnection:
        if not remaining:
            raise ConnectionLostError("is gone")
        return remaining.pop(0)

    return LiveSource("fake", connect, FrameSelection(**selection), replace(QUICK, max_attempts=1, first_wait=first))  # type: ignore[arg-type]


def test_the_senders_stamps_are_followed_until_they_go_astray() -> None:
    stamps = [100.0, 100.1, 100.3, 9000.0, 9000.2, 3.0]
    live = live_of(FakeConnection(list(enumerate(stamps))))
    times = [frame.time for frame in live]
    assert times[:3] == pytest.approx([0.0, 0.1, 0.3], abs=0.01)
    assert times[3] - times[2] < 0.05  # a clock that jumps is set anew
    assert times[4] == pytest.approx(0.2, abs=0.11)
    assert all(a < b for a, b in itertools.pairwise(times))


def test_after_an_interruption_our_own_clock_goes_on() -> None:
    links = [FakeConnection([(0, 5.0), (1, 5.1)], broken="broke"), FakeConnection([(2, 77.0), (3, 77.1)])]
    live = live_of(*links)
    times = [frame.time for frame in live]
    assert times[:2] == pytest.approx([0.0, 0.1], abs=0.01)
    assert times[3] - times[2] == pytest.approx(0.1, abs=0.01) or times[2] - times[1] == pytest.approx(0.001, abs=0.1)
    assert all(link.closed for link in links)
    assert live.problems[0].startswith("at 0.1 s broke; connected again after 0.")


def test_what_comes_in_bursts_is_handed_out_by_its_stamps() -> None:
    live = live_of(FakeConnection([(i, i / 10) for i in range(5)], bursty=True))
    begun = time.monotonic()
    for frame in live:
        assert time.monotonic() - begun == pytest.approx(frame.time, abs=0.08)
    assert frame.index == 4


def test_a_recording_is_neither_bursty_nor_repeated() -> None:
    link = FakeConnection([(i, 50 + i / 10) for i in range(100)], seconds=10.0)
    live = live_of(link, link)
    frames = list(live)
    assert [frame.time for frame in frames] == pytest.approx([i / 10 for i in range(100)], abs=0.01)
    assert (live.info.live, live.info.frames, live.gaps, live.problems) == (False, 100, 0, ())
    broken = live_of(FakeConnection([(0, 0.0), (1, 0.1)], seconds=10.0, broken="the connection broke"))
    assert len(list(broken)) == 2
    assert broken.problems == ("at 0.1 s the connection broke; the rest of the recording is missing",)


def test_lost_and_chosen_frames() -> None:
    live = live_of(FakeConnection([(0, 0.0), (None, 0.1), *((i, i / 10) for i in range(2, 12))]), every=3)
    assert [(frame.index, number_of(frame.rgb)) for frame in live] == [(0, 0), (3, 4), (6, 7), (9, 10)]
    assert live.lost == 1
    live = live_of(FakeConnection([(i, i / 10) for i in range(30)], seconds=3.0), fps=2.0, end=2.0)
    assert [frame.time for frame in live] == pytest.approx([0.0, 0.5, 1.0, 1.5], abs=0.01)


def test_only_so_many_interruptions_are_told_one_by_one() -> None:
    live = live_of(*(FakeConnection([(i, None)], broken="broke") for i in range(30)), first=0.0)
    assert len(list(live)) == 30
    assert live.gaps == 30
    assert len(live.problems) == 22
    assert live.problems[-1] == "and 10 more interruptions"
    assert "given up" in live.problems[-2]


def test_waits_grow_to_a_limit() -> None:
    policy = ReconnectPolicy(first_wait=0.5, wait_factor=2.0, max_wait=30.0)
    assert [policy.wait_before(i) for i in range(8)] == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    assert policy.wait_before(10**6) == 30.0
    for options in ({"max_attempts": -1}, {"first_wait": -1.0}, {"wait_factor": 0.5}, {"max_wait": 0.1}):
        with pytest.raises(InputError):
            ReconnectPolicy(**options)  # type: ignore[arg-type]


def test_closing_a_live_source_lets_go_of_it(sender: Callable[..., Sender]) -> None:
    link = FakeConnection([(0, None), (1, None)])
    live = live_of(link)
    live.close()
    assert link.closed
    assert list(live) == []
    link = FakeConnection([(0, None), (1, None)])
    with live_of(link) as live:
        next(iter(live))
    assert link.closed
    live.close()


# ---------------------------------------------------------------- the queue


class Numbers:
    """A source that counts; a `FrameSource`."""

    def __init__(
        self, frames: int, *, live: bool = False, size: tuple[int, int] = (64, 48), pause: float = 0.0,
        fails: BaseException | None = None,
    ) -> None:  # fmt: skip
        self.info = SourceInfo("numbers", *size, live=live)
        self.lost, self.dropped, self.problems = 1, 2, ("a problem",)
        self.made, self.closed = 0, 0
        self._frames, self._size, self._pause, self._fails = frames, size, pause, fails
        self._stop = threading.Event()

    def __iter__(self) -> Iterator[Frame]:
        for i in range(self._frames):
            if self._stop.wait(self._pause):
                return
            self.made += 1
            yield Frame(np.full((self._size[1], self._size[0], 3), i % 256, np.uint8), index=i, time=i / 25)
        if self._fails is not None:
            raise self._fails

    def close(self) -> None:
        self.closed += 1
        self._stop.set()

    def __enter__(self) -> FrameSource:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def test_a_file_loses_nothing_and_is_read_ahead_only_so_far() -> None:
    source = Numbers(100)
    with ReadAhead(source, max_frames=4) as frames:
        seen = []
        for frame in frames:
            seen.append(frame.index)
            if len(seen) == 1:
                time.sleep(0.1)
                assert source.made <= 4 + 2  # the queue, the one that waits before it, the one in hand
    assert seen == list(range(100))
    assert (frames.lost, frames.dropped, frames.problems, frames.info) == (1, 2, ("a problem",), source.info)
    assert source.closed


def test_large_frames_count_by_their_bytes() -> None:
    source = Numbers(20, size=(1000, 500))
    with ReadAhead(source, max_frames=16, max_bytes=5_000_000) as frames:
        next(iter(frames))
        time.sleep(0.1)
        assert source.made == 1 + 3 + 1  # 1.5 megabytes each
    source = Numbers(20, size=(1000, 500))
    with ReadAhead(source, max_bytes=1000) as frames:
        next(iter(frames))
        time.sleep(0.1)
        assert source.made == 1 + 2 + 1


def test_a_live_source_drops_the_oldest_and_counts_it() -> None:
    source = Numbers(60, live=True, pause=0.005)
    with ReadAhead(source) as frames:
        seen = []
        for frame in frames:
            seen.append(frame.index)
            assert source.made - frame.index <= 2 + 2  # never older than the queue is long
            time.sleep(0.02)
    assert seen == sorted(seen)
    assert seen[-1] == 59
    assert len(seen) + frames.dropped - source.dropped == 60
    assert len(seen) < 40


def test_newest_can_be_asked_for_or_not() -> None:
    with ReadAhead(Numbers(50, pause=0.002), drop_oldest=True, max_frames=1) as frames:
        iterator = iter(frames)
        next(iterator)
        time.sleep(0.4)
        assert next(iterator).index == 49
    with ReadAhead(Numbers(30, live=True), drop_oldest=False) as frames:
        assert [frame.index for frame in frames] == list(range(30))


def test_errors_come_after_the_frames_before_them() -> None:
    for error in (VideoError("broken"), OSError("disk"), MemoryError()):
        seen = []
        frames = ReadAhead(Numbers(5, fails=error))
        raised = None
        try:
            for frame in frames:
                seen.append(frame.index)
                time.sleep(0.01)
        except type(error) as caught:
            raised = caught
        assert raised is error
        assert seen == list(range(5))
        assert list(frames) == []
        frames.close()


def test_closing_while_the_thread_waits_for_room() -> None:
    source = Numbers(1000)
    begun = time.monotonic()
    with ReadAhead(source, max_frames=2) as frames:
        assert next(iter(frames)).index == 0
        assert next(iter(frames)).index == 1
        time.sleep(0.05)
    assert time.monotonic() - begun < 1.0
    assert source.closed
    assert list(frames) == []
    assert not any(thread.name == "mien numbers" for thread in threading.enumerate())


def test_closing_while_a_read_stalls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mien.media.read_ahead._CLOSE_TIMEOUT", 0.2)
    free = threading.Event()

    class Stuck(Numbers):
        def __iter__(self) -> Iterator[Frame]:
            yield from super().__iter__()
            free.wait()

    source = Stuck(1)
    begun = time.monotonic()
    with ReadAhead(source) as frames:
        assert next(iter(frames)).index == 0
        time.sleep(0.05)
    assert time.monotonic() - begun < 1.0
    free.set()


def test_closing_a_stalled_network_stream(sender: Callable[..., Sender]) -> None:
    made = sender([("frames", 3), ("pause", 5.0)])
    begun = time.monotonic()
    with ReadAhead(open_live(made.address, stall=0.5)) as frames:
        next(iter(frames))
        time.sleep(0.2)
    assert time.monotonic() - begun < 2.5


def test_an_interrupt_in_the_middle_ends_everything() -> None:
    source = Numbers(1000)
    with contextlib.suppress(KeyboardInterrupt), ReadAhead(source) as frames:
        for frame in frames:
            if frame.index == 3:
                raise KeyboardInterrupt
    assert source.closed
    assert not any(thread.name == "mien numbers" for thread in threading.enumerate())


def test_closing_from_another_thread_ends_the_wait() -> None:
    source = Numbers(1, pause=0.0)
    source._fails = None
    hang = threading.Event()

    class Waiting(Numbers):
        def __iter__(self) -> Iterator[Frame]:
            hang.wait(5)
            return iter(())

    frames = ReadAhead(Waiting(0))
    threading.Timer(0.1, lambda: (hang.set(), frames.close())).start()
    begun = time.monotonic()
    assert list(frames) == []
    assert time.monotonic() - begun < 2.0


def test_a_buffer_that_was_never_read() -> None:
    source = Numbers(5)
    frames = ReadAhead(source)
    frames.close()
    frames.close()
    assert source.closed
    assert source.made == 0
    assert list(frames) == []
    with pytest.raises(InputError, match="max_frames is at least 1, got 0"):
        ReadAhead(source, max_frames=0)


def test_a_video_through_the_queue(tmp_path: Path) -> None:
    path = clip(tmp_path / "a.mp4", frames=80, bframes=2)
    with ReadAhead(open_video(path), max_frames=3) as frames:
        assert [number_of(frame.rgb) for frame in frames] == list(range(80))
    for stop in range(0, 80, 9):
        with ReadAhead(open_video(path), max_frames=3) as frames:
            for frame in frames:
                if frame.index == stop:
                    break
    with ReadAhead(open_video(path, after=50), max_frames=3) as frames:
        assert next(iter(frames)).index == 51


@pytest.mark.parametrize("how", ["forgotten", "interrupted"])
def test_a_program_that_ends_does_not_hang(how: str, tmp_path: Path) -> None:
    path = clip(tmp_path / "a.mp4", frames=300)
    script = """
import os, signal, sys, threading
from mien.media.read_ahead import ReadAhead
from mien.media.video import open_video
frames = ReadAhead(open_video(sys.argv[1]), max_frames=2)
for frame in frames:
    if frame.index == 5:
        if sys.argv[2] == "forgotten":
            break
        os.kill(os.getpid(), signal.SIGINT)
print("end")
"""
    done = subprocess.run([sys.executable, "-c", script, str(path), how], capture_output=True, text=True, timeout=20)
    assert done.returncode == (0 if how == "forgotten" else -2 if done.returncode < 0 else 1)
    assert ("KeyboardInterrupt" in done.stderr) == (how == "interrupted")


def test_errors_are_ours() -> None:
    assert issubclass(ConnectionLostError, VideoError)
    assert issubclass(VideoError, MienError)
    assert issubclass(VideoError, ValueError)
