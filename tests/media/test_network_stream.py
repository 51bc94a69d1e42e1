"""Video from addresses, served by real sockets."""

from __future__ import annotations

import http.server
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from helpers.clips import clip, number_of
from helpers.network_camera import Sender
from helpers.waiting import PATIENCE
from mien.errors import VideoError
from mien.media.connection import ReconnectPolicy
from mien.media.live import open_live
from mien.media.read_ahead import ReadAhead


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
    made = sender([("silent", PATIENCE)])
    begun = time.monotonic()
    with pytest.raises(VideoError, match=rf"127.0.0.1:{made.port} does not answer; check the address, the network and"):
        open_live(made.address, stall=0.2)
    assert time.monotonic() - begun < PATIENCE / 2
    with pytest.raises(VideoError, match=r"cannot be opened \(.*\); check the address and the network"):
        open_live(sender([("pause", 0.0)]).address)
    assert capfd.readouterr() == ("", "")


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    """The address under which the files of ``tmp_path`` are served, in bursts and with pauses where a name has them."""

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
            if not ("bursts" in self.path and keyword == "Content-Length"):  # no one knows how long a live stream is
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


def test_a_live_transport_stream_keeps_the_senders_clock(
    web: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mien.media.live_clock._MAX_DRIFT", PATIENCE)  # however long a busy machine takes to send it
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
