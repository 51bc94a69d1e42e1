"""``mien live`` on a network camera of this machine."""

from __future__ import annotations

import csv
import http.server
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import click
import numpy as np
import pytest
from PIL import Image

from helpers.clips import Pan
from helpers.commands import runner
from helpers.waiting import PATIENCE, wait_until
from mien.cli import cli
from mien.cli.error_output import ErrorOutput
from mien.cli.live import _print_coverage
from mien.cli.window import FrameWindow
from mien.media.frame import Frame
from mien.media.source import SourceInfo
from mien.results.faces import Faces
from mien.results.video import Coverage, VideoFrame

FACE = Pan.astronaut((192, 144), eye_distance=30.0, step=(0.3, 0.1))


def jpeg(rgb: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def camera() -> Iterator[str]:
    """Address of a camera that shows a portrait, 25 pictures per second, without end."""
    jpegs = [jpeg(FACE(i)) for i in range(50)]
    over = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            i = 0
            try:
                while not over.wait(0.04):
                    jpeg = jpegs[i % len(jpegs)]
                    head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                    self.wfile.write(head.encode() + jpeg + b"\r\n")
                    i += 1
            except OSError:
                pass  # the viewer has gone

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/video"
    over.set()
    server.shutdown()
    server.server_close()


def test_lines_rows_and_a_recording(camera: str, tmp_path: Path) -> None:
    for seconds in (2.5, 10, 40):  # a busy machine needs longer for three frames
        table, recording = tmp_path / f"{seconds}.csv", tmp_path / f"{seconds}.mp4"
        files = ["--csv", str(table), "--record", str(recording)]
        result = runner().invoke(
            cli, ["live", camera, "--json", "--seconds", str(seconds), *files], catch_exceptions=False
        )
        assert result.exit_code == 0, result.output
        lines = [json.loads(line) for line in result.stdout.splitlines()]
        if len(lines) >= 3:
            break
    assert len(lines) >= 3
    assert lines[-1]["faces"][0]["predictions"]["emotion"]["stable"] == "happy"
    assert [line["frame"] for line in lines] == sorted({line["frame"] for line in lines})
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == sum(max(len(line["faces"]), 1) for line in lines)
    with av.open(str(recording)) as container:
        assert sum(1 for _ in container.decode(video=0)) == len(lines)
    assert "dropped" in result.stderr


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly(number: signal.Signals, camera: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mien", "live", camera, "--json", "--record", str(tmp_path / "live.mp4")]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for _ in range(8):
        assert child.stdout is not None
        json.loads(child.stdout.readline())
    child.send_signal(number)
    _, errors = child.communicate(timeout=240)
    assert child.returncode == 0, errors
    assert "Traceback" not in errors
    with av.open(str(tmp_path / "live.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) >= 7


def test_q_in_the_window_ends_it(camera: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[float] = []

    class Fake:
        def show(self, frame: object) -> bool:
            shown.append(time.monotonic())
            return len(shown) == 4

        def is_closed(self) -> bool:
            return False

        def close(self) -> None:
            shown.append(-1.0)

    monkeypatch.setattr(FrameWindow, "open", classmethod(lambda cls, name: Fake()))
    result = runner().invoke(cli, ["live", camera], catch_exceptions=False)
    assert result.exit_code == 0
    assert result.stdout == ""
    assert len(shown) == 5
    assert shown[-1] == -1.0


def test_q_ends_a_camera_that_gives_no_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """The window is handled while no frame arrives, so that it does not freeze."""
    released = threading.Event()

    class Stalled:
        info = SourceInfo("stalled", 192, 144, live=True)
        lost, dropped, problems = 0, 0, ()

        def __iter__(self) -> Iterator[Frame]:
            yield Frame(FACE(0), "stalled", 0, 0.0)
            released.wait(120)

        def close(self) -> None:
            released.set()

    asked: list[float] = []

    class Fake:
        def show(self, frame: object) -> bool:
            return False

        def is_closed(self) -> bool:
            asked.append(time.monotonic())
            return len(asked) == 3

        def close(self) -> None:
            pass

    monkeypatch.setattr(FrameWindow, "open", classmethod(lambda cls, name: Fake()))
    monkeypatch.setattr("mien.media.open.open_source", lambda *args, **options: Stalled())
    start = time.monotonic()
    result = runner().invoke(cli, ["live", "0"], catch_exceptions=False)
    assert result.exit_code == 0
    assert len(asked) == 3
    assert time.monotonic() - start < PATIENCE


def test_there_is_no_window_without_a_display_or_without_tk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    if sys.platform.startswith("linux"):
        assert FrameWindow.open("x") is None
    monkeypatch.setenv("DISPLAY", ":987")  # nothing is there
    assert FrameWindow.open("x") is None
    monkeypatch.setitem(sys.modules, "tkinter", None)
    assert FrameWindow.open("x") is None


class FakeTk:
    """What `FrameWindow` uses of a Tk root, a label and a picture."""

    screen = 200, 160

    def __init__(self, *_: object, **options: object) -> None:
        self.bound: dict[str, Callable[..., None]] = {}
        self.options = options
        self.destroyed = False

    def bind(self, key: str, call: Callable[..., None]) -> None:
        self.bound[key] = call

    def protocol(self, name: str, call: Callable[..., None]) -> None:
        self.bound[name] = call

    def configure(self, **options: object) -> None:
        self.options |= options

    def winfo_screenwidth(self) -> int:
        return self.screen[0]

    def winfo_screenheight(self) -> int:
        return self.screen[1]

    def destroy(self) -> None:
        self.destroyed = True

    title = pack = update = lambda self, *_, **__: None


@pytest.mark.parametrize("key", ["<Key-q>", "<Key-Q>", "<Key-Escape>", "WM_DELETE_WINDOW"])
def test_q_escape_and_the_close_button_end_the_window(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    from PIL import ImageTk

    shown: list[tuple[int, int]] = []

    class Photo:
        def __init__(self, picture: Image.Image, master: object) -> None:
            self.size = picture.size
            shown.append(picture.size)

        def width(self) -> int:
            return self.size[0]

        def height(self) -> int:
            return self.size[1]

        def paste(self, picture: Image.Image) -> None:
            assert picture.size == self.size
            shown.append(picture.size)

    monkeypatch.setattr("tkinter.Label", FakeTk)
    monkeypatch.setattr(ImageTk, "PhotoImage", Photo)
    root = FakeTk()
    window = FrameWindow("camera 0", root)
    frame = VideoFrame(Frame(FACE(0), "x", 0, 0.0), replace(Faces.empty((192, 144)), tracks=np.zeros(0, np.int64)))
    assert [window.show(frame), window.show(frame), window.is_closed()] == [False] * 3
    # no larger than nine tenths of the screen
    assert shown == [(180, 135)] * 2
    root.bound[key](None) if key.startswith("<") else root.bound[key]()
    assert window.is_closed()
    assert window.show(frame)
    window.close()
    assert root.destroyed


@pytest.mark.parametrize(
    ("source", "code", "message"),
    [
        ("clip.mp4", 2, "mien analyze clip.mp4"),
        ("out.json", 2, "takes no file"),
        ("http://127.0.0.1:9/video", 1, "nothing listens"),
    ],
)
def test_what_cannot_be_opened(source: str, code: int, message: str) -> None:
    run = subprocess.run([sys.executable, "-m", "mien", "live", source, "--json"], capture_output=True, text=True)
    assert run.returncode == code
    assert message in run.stderr
    assert len([line for line in run.stderr.splitlines() if line.startswith("mien:")]) == code % 2


@pytest.mark.parametrize(
    ("lost", "problems"), [(True, ("a pause", "the camera is gone")), (True, ()), (False, ("a pause",))]
)
def test_a_stream_that_is_lost_for_good_is_an_error(
    lost: bool, problems: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    coverage = Coverage(frames=50, without_face=2, lost=0, dropped=7, seconds=2.0, problems=problems)
    stream: Any = SimpleNamespace(coverage=coverage, info=SimpleNamespace(name="camera 0"))
    with click.Context(cli, obj=ErrorOutput(as_json=True, command="live")):
        _print_coverage(stream, lost)
    *lines, summary = capsys.readouterr().err.splitlines()
    assert summary.startswith("mien: 50 frames in 2.0 s (25.0 per second), 7 dropped")
    if lost:
        error = json.loads(lines.pop())
        assert (error["code"], error["details"]) == ("stream-lost", {"source": "camera 0"})
        assert error["reason"] == (problems[-1] if problems else "the camera or stream was lost")
        problems = problems[:-1]
    assert lines == [f"mien: {problem}" for problem in problems]


@pytest.fixture
def desktop_without_tk(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """A display, no Tk, a camera with one frame, and a service that starts at once; the calls of it."""

    class Ended:
        info = SourceInfo("camera 0", 192, 144, live=True)
        lost, dropped, problems = 0, 0, ()

        def __iter__(self) -> Iterator[Frame]:
            yield Frame(FACE(0), "camera 0", 0, 0.0)

        def close(self) -> None:
            pass

    monkeypatch.setattr("mien.media.open.open_source", lambda *args, **options: Ended())
    started: list[dict[str, Any]] = []

    def run_service(*_: object, on_started: Callable[[str], None], **options: object) -> None:
        started.append(options)
        on_started("http://127.0.0.1:9")

    monkeypatch.setenv("DISPLAY", ":987")
    monkeypatch.setitem(sys.modules, "tkinter", None)
    monkeypatch.setattr("mien.cli.live_page.run_service", run_service)
    monkeypatch.setattr("webbrowser.get", lambda: None)
    monkeypatch.setattr("webbrowser.open", lambda url: started.append({"url": url}) or True)
    return started


def test_without_tk_the_camera_of_the_page_opens(desktop_without_tk: list[dict[str, Any]]) -> None:
    result = runner().invoke(cli, ["live", "--models", "emotion", "--threads", "1"], catch_exceptions=False)
    assert result.exit_code == 0
    assert result.stdout == ""
    options, opened = desktop_without_tk
    assert opened == {"url": "http://127.0.0.1:9/#camera"}
    assert options["models"] == ("emotion",)
    assert options["threads"] == 1


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["0", "--detect-every", "3"], "the page does not take --detect-every"),
        (["0", "--seconds", "2"], "the page does not take --seconds"),
        (["rtsp://127.0.0.1:9/stream"], "the page shows cameras alone"),
    ],
)
def test_what_the_page_cannot_do_is_printed_as_json_lines(
    desktop_without_tk: list[dict[str, Any]], arguments: list[str], reason: str
) -> None:
    result = runner().invoke(cli, ["live", *arguments], catch_exceptions=False)
    assert reason in result.stderr
    assert json.loads(result.stdout)["faces"]
    assert not desktop_without_tk


def test_without_tk_and_without_the_service_json_lines_follow(
    desktop_without_tk: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    result = runner().invoke(cli, ["live", "0"], catch_exceptions=False)
    assert json.loads(result.stdout)["faces"]
    assert "pip install 'mien[serve]'" in result.stderr
    assert not desktop_without_tk


@pytest.mark.usefixtures("interruptible")
def test_the_page_really_opens_in_the_browser(tmp_path: Path) -> None:
    browser, opened = tmp_path / "browser", tmp_path / "opened"
    browser.write_text(f"#!/bin/sh\necho \"$1\" > '{opened}.part' && mv '{opened}.part' '{opened}'\n")
    browser.chmod(0o755)
    code = "import sys; sys.modules['tkinter'] = None\nfrom mien.cli import main\nmain()"
    environment = os.environ | {"DISPLAY": ":987", "BROWSER": str(browser)}
    child = subprocess.Popen(
        [sys.executable, "-c", code, "live", "--threads", "1"], stderr=subprocess.PIPE, text=True, env=environment
    )
    try:
        wait_until(lambda: opened.exists() or child.poll() is not None, 120)
        url, _, tab = opened.read_text().strip().partition("#")
        assert tab == "camera"
        page = urllib.request.urlopen(url, timeout=60).read().decode()
        assert 'id="view-camera"' in page
        child.send_signal(signal.SIGINT)
        assert child.wait(240) == 0
    finally:
        child.kill()
        child.communicate()
