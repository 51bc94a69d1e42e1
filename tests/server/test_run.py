"""``mien serve`` as a process: signals, slow and oversized requests on real sockets, what is left behind."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from helpers.clips import clip
from helpers.pictures import astronaut, noise
from helpers.serving import ServeProcess, blank, encoded, photo, workdirs
from helpers.waiting import PATIENCE, wait_until
from mien.errors import MienError

ROOT = Path(__file__).parents[2]
KEY = "k" * 40
IDLE = 1.0
"""Seconds that the service below waits for what a client sends."""
SLOW = {"MIEN_SERVE_HEADER_SECONDS": str(IDLE), "MIEN_SERVE_IDLE_SECONDS": str(IDLE), "MIEN_SERVE_HEADER_BYTES": "4096",
        "MIEN_SERVE_CONNECTIONS": "40", "MIEN_SERVE_BODY_BYTES": "2000000", "MIEN_SERVE_LIVE_BYTES": "100000",
        "MIEN_SERVE_KEEP_ALIVE_SECONDS": "1", "MIEN_SERVE_RATE": "0"}  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServeProcess]:
    """A service with little patience."""
    with ServeProcess(TMPDIR=str(tmp_path_factory.mktemp("temporary")), **SLOW) as process:
        yield process


def analysed(port: int, data: bytes = b"", timeout: float = PATIENCE) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    with contextlib.closing(connection):
        connection.request("POST", "/v1/analyze", data or blank(), {"Content-Type": "image/jpeg"})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


def raw(port: int, *pieces: bytes, pause: float = 0.0) -> bytes:
    """The whole answer to these bytes, until the service closes the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
        with contextlib.suppress(ConnectionError):
            for piece in pieces:
                connection.sendall(piece)
                time.sleep(pause)
        answer = b""
        with contextlib.suppress(ConnectionError):
            while chunk := connection.recv(65_536):
                answer += chunk
        return answer


def called(port: int, method: str, path: str, owner: str) -> tuple[int, Any]:
    """Status and document of the answer to a client of this id."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    with contextlib.closing(connection):
        connection.request(method, path, headers={"X-Client-Id": owner})
        answer = connection.getresponse()
        body = answer.read()
        return answer.status, json.loads(body) if body else None


def healthy(port: int) -> bool:
    """Whether a photo is analysed; it is sent again where this process was too slow for the service's patience."""

    def answered() -> bool:
        began = time.monotonic()
        try:
            status, body = analysed(port)
        except (OSError, http.client.HTTPException):
            if time.monotonic() - began < IDLE:
                raise
            return False
        assert status == 200 or (status == 408 and time.monotonic() - began >= IDLE), body
        return status == 200

    return bool(wait_until(answered))


HEAD = b"POST /v1/analyze HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/jpeg\r\n"


def test_heads_that_do_not_arrive_time_out(server: ServeProcess) -> None:
    began = time.monotonic()
    assert raw(server.port).startswith(b"HTTP/1.1 408")
    assert b"urn:mien:problem:head-slow" in raw(server.port, b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ")
    assert time.monotonic() - began < PATIENCE
    drip = [b"GET / HTTP/1.1\r\n", *[b"X-A: b\r\n"] * 30]
    assert b"head-slow" in raw(server.port, *drip, pause=0.05)
    assert healthy(server.port)


def test_bodies_that_do_not_arrive_time_out(server: ServeProcess) -> None:
    answer = raw(server.port, HEAD + b"Content-Length: 1000\r\n\r\nabc")
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"urn:mien:problem:upload-slow" in answer
    chunked = raw(server.port, HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
    assert chunked.startswith(b"HTTP/1.1 408")
    assert healthy(server.port)


def test_answers_that_are_not_read_time_out(server: ServeProcess) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as deaf:
        ask = b"GET /openapi.json HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        with pytest.raises(ConnectionError):
            deaf.sendall(ask * 1_000_000)
    assert healthy(server.port)


def test_many_slow_clients_do_not_block_others(server: ServeProcess) -> None:
    slow = [socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) for _ in range(30)]
    try:
        for one in slow:
            one.sendall(HEAD + b"Content-Length: 1000\r\n\r\n")
        wait_until(lambda: healthy(server.port))
    finally:
        for one in slow:
            one.close()


def test_a_video_whose_answer_was_lost_is_found_by_its_own_client_alone(server: ServeProcess, tmp_path: Path) -> None:
    mine, theirs, chosen = "client-of-mine-00001", "client-of-theirs-001", "video-of-the-holiday-1"
    content = clip(tmp_path / "numbers.mp4", frames=6).read_bytes()
    head = (
        f"POST /v1/videos?id={chosen} HTTP/1.1\r\nHost: localhost\r\nX-Client-Id: {mine}\r\n"
        f"Content-Type: video/mp4\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as connection:
        connection.sendall(head.encode() + content)
        connection.shutdown(socket.SHUT_WR)
        # the answer is on its way, and no one reads it

    def listed(owner: str) -> list[str]:
        return [one["id"] for one in called(server.port, "GET", "/v1/videos", owner)[1]["videos"]]

    wait_until(lambda: listed(mine) == [chosen])
    assert listed(theirs) == []
    wait_until(lambda: called(server.port, "GET", f"/v1/videos/{chosen}", mine)[1]["status"] == "done")
    assert called(server.port, "GET", f"/v1/videos/{chosen}/result", mine)[1]["summary"]["coverage"]["frames"] == 6
    # what others remove is theirs
    assert called(server.port, "DELETE", "/v1/videos", theirs) == (204, None)
    assert listed(mine) == [chosen]
    assert called(server.port, "DELETE", "/v1/videos", mine) == (204, None)
    assert (listed(mine), called(server.port, "GET", f"/v1/videos/{chosen}", mine)[0]) == ([], 404)


def test_silent_connections_give_way_to_those_that_ask(server: ServeProcess) -> None:
    """Against more silent connections than there are places, kept alive and without a request alike."""
    with contextlib.ExitStack() as stack:
        for i in range(60):
            silent = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE))
            if i % 2:
                with contextlib.suppress(ConnectionError):
                    silent.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        wait_until(lambda: _answers(server.port))
        for _ in range(5):
            assert healthy(server.port)


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="ulimit is POSIX")
def test_few_open_files_are_reported_at_start_and_idle_connections_fill_no_log(tmp_path: Path) -> None:
    # the test itself may have no more than 256 open
    with ServeProcess(open_files=190, TMPDIR=str(tmp_path)) as server, contextlib.ExitStack() as stack:
        assert "at most 22 connections instead of 256" in server.wait_for("ulimit")
        for _ in range(150):
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE))
        wait_until(lambda: _answers(server.port))
        for _ in range(5):
            assert healthy(server.port)
        assert len("\n".join(server.log)) < 4000
        assert not any("Traceback" in line for line in server.log)


def test_too_few_open_files_prevent_the_start() -> None:
    command = ["sh", "-c", 'ulimit -n 100 && exec "$@"', "sh", sys.executable, "-m", "mien", "serve", "--port", "0"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert run.returncode == 1
    needed = re.search(r"ulimit -n (\d+)", run.stderr)
    assert needed is not None
    # no number of jobs would be small enough
    assert "--max-jobs" not in run.stderr
    assert len(run.stderr.splitlines()) == 1
    with ServeProcess(open_files=int(needed[1])) as server:
        assert healthy(server.port)


def test_the_soft_limit_of_open_files_is_raised(tmp_path: Path) -> None:
    code = (
        "import resource\n"
        "from mien.server.limits import ServiceLimits\n"
        "from mien.server.open_files import fit_open_files\n"
        "limits = ServiceLimits(connections=40, client_connections=40)\n"
        "assert fit_open_files(limits) == (limits, None)\n"
        "print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
    )
    command = ["sh", "-c", 'ulimit -S -n 100 && exec "$@"', "sh", sys.executable, "-c", code]
    run = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert run.stderr == ""
    assert int(run.stdout) > 200


def test_errors_of_the_event_loop_are_one_line_and_rare(caplog: pytest.LogCaptureFixture) -> None:
    import asyncio

    from mien.server.run import _LoopErrors

    loop, report = asyncio.new_event_loop(), _LoopErrors()
    for _ in range(300):
        report(loop, {"message": "socket.accept() out of system resource", "exception": OSError(24, "secret")})
    loop.close()
    (record,) = caplog.records
    assert record.getMessage() == "event loop: OSError EMFILE (1 in all)"


def test_connections_beyond_the_limit_are_closed(server: ServeProcess) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(50):
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE))
    wait_until(lambda: _answers(server.port))
    assert healthy(server.port)


def _answers(port: int) -> bool:
    try:
        return analysed(port)[0] == 200
    except (OSError, http.client.HTTPException):
        return False


@pytest.mark.parametrize(
    "request_",
    [
        b"\r\n\r\n\0\0\0",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n" + b"X-A: " + b"b" * 100_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n" + b"X-A: b\r\n" * 20_000 + b"\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        HEAD + b"Content-Length: -1\r\n\r\n",
        HEAD + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
        HEAD + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        HEAD + b"Transfer-Encoding: gzip\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        HEAD + b"Content-Length: 99999999999999999999999\r\n\r\nabc",
    ],
    ids=["noise", "version", "TLS", "long header", "many headers", "long path", "two hosts", "no host",
         "negative length", "two lengths", "length and chunks", "coding", "chunk", "endless"],
)  # fmt: skip
def test_bytes_that_are_not_http(server: ServeProcess, request_: bytes) -> None:
    answer = raw(server.port, request_)
    assert re.match(rb"HTTP/1\.1 (4\d\d|501) ", answer), answer[:80]
    assert b"application/problem+json" in answer
    assert healthy(server.port)


def test_a_client_that_still_sends_gets_the_problem(server: ServeProcess) -> None:
    began = time.monotonic()
    answer = raw(server.port, HEAD + b"Content-Length: 8000000\r\n\r\n", *[b"x" * 1_000_000] * 8)
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"the limit is 2,000,000" in answer
    assert time.monotonic() - began < PATIENCE


def test_expect_100_continue_is_answered_before_the_body(server: ServeProcess) -> None:
    answer = raw(server.port, HEAD + b"Expect: 100-continue\r\nContent-Length: 3000000\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413")


def test_live_frames_over_a_real_connection(server: ServeProcess) -> None:
    url = f"ws://127.0.0.1:{server.port}/v1/live"
    with connect(url, open_timeout=PATIENCE, close_timeout=PATIENCE) as live:
        for i in range(3):
            live.send(photo())
            answer = json.loads(live.recv(timeout=PATIENCE))
            assert (answer["index"], len(answer["faces"])) == (i, 1)
        live.send(b"x" * 200_000)
        with pytest.raises(ConnectionClosed) as closed:
            live.recv(timeout=PATIENCE)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009
    with pytest.raises(InvalidStatus) as refused:
        connect(url, origin="https://evil.example", open_timeout=PATIENCE)  # type: ignore[arg-type]
    assert refused.value.response.status_code == 403
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as broken:
        broken.sendall(b"GET /v1/live HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
        assert broken.recv(100).startswith(b"HTTP/1.1 4")
    assert healthy(server.port)
    assert [line for line in server.log if "ASGI" in line] == [], "a refusal is no fault of the service"


def test_the_process_stays_within_its_means(server: ServeProcess) -> None:
    """After everything above: few threads, few files, no upload left."""
    status = Path(f"/proc/{server.pid}/status")
    if not status.is_file():
        pytest.skip("needs Linux")
    assert int(re.findall(r"Threads:\s+(\d+)", status.read_text())[0]) < 20
    wait_until(lambda: len(list(Path(f"/proc/{server.pid}/fd").iterdir())) < 40)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_requests_in_progress_finish_after_the_signal_to_stop(tmp_path: Path, number: signal.Signals) -> None:
    big = encoded(noise(900, 1200, blur=3.0), quality=85)
    film = clip(tmp_path / "a.mp4", frames=300, size=(320, 240)).read_bytes()
    with ServeProcess(TMPDIR=str(tmp_path)) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
        connection.request("POST", "/v1/videos", film, {"Content-Type": "video/mp4"})
        assert connection.getresponse().status == 202
        connection.close()
        (root,) = workdirs(tmp_path)
        results: list[tuple[int, Any]] = []
        asking: list[threading.Thread] = []

        def both_in_progress() -> bool:
            if not any(thread.is_alive() for thread in asking):  # they were answered before anyone looked
                asking.extend(threading.Thread(target=lambda: results.append(analysed(server.port, big))) for _ in "ab")
                for thread in asking[-2:]:
                    thread.start()
            return b"mien_http_requests_in_flight 2.0" in _metrics(server.port)

        wait_until(both_in_progress)
        with connect(f"ws://127.0.0.1:{server.port}/v1/live", open_timeout=PATIENCE) as live:
            assert server.stop(number) == 0
            with pytest.raises(ConnectionClosed) as closed:
                live.recv(timeout=PATIENCE)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1012
        for thread in asking:
            thread.join(PATIENCE)
        assert [status for status, _ in results] == [200] * len(asking)
        assert not root.exists()
        server.wait_for("mien: stopped")
        with pytest.raises(OSError, match="refused"):
            analysed(server.port)


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_a_service_in_the_background_does_not_hear_ctrl_c(tmp_path: Path) -> None:
    ignored = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        server = ServeProcess(TMPDIR=str(tmp_path))
    finally:
        signal.signal(signal.SIGINT, ignored)
    with server:
        os.kill(server.pid, signal.SIGINT)
        assert healthy(server.port)
        assert server.stop() == 0


def _metrics(port: int) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    with contextlib.closing(connection):
        connection.request("GET", "/metrics")
        return connection.getresponse().read()


def test_a_misspelt_variable_is_reported_at_start(tmp_path: Path) -> None:
    with ServeProcess(TMPDIR=str(tmp_path), MIEN_SERVE_VIDEO_SECOND="3") as server:
        line = server.wait_for("MIEN_SERVE_VIDEO_SECOND")
        assert line == "mien: MIEN_SERVE_VIDEO_SECOND is not read; did you mean MIEN_SERVE_VIDEO_SECONDS?"
        assert server.log[0] == line


def test_head_is_get_without_the_body(server: ServeProcess) -> None:
    for path in (b"/", b"/v1/limits", b"/static/app.js", b"/openapi.json"):
        get, head = (
            raw(server.port, method + b" " + path + b" HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            for method in (b"GET", b"HEAD")
        )
        assert head.startswith(b"HTTP/1.1 200")
        assert head.endswith(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
        assert length is not None
        assert int(length[1]) == len(get.split(b"\r\n\r\n", 1)[1])


def test_what_prevents_the_start_is_one_line(server: ServeProcess) -> None:
    command = [sys.executable, "-W", "error", "-m", "mien", "serve", "--port", str(server.port)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert run.returncode == 1
    *notes, line = run.stderr.splitlines()
    assert line.startswith(f"mien: 127.0.0.1 port {server.port} cannot be listened on")
    assert all("ulimit -n" in note for note in notes), run.stderr


def curl_examples() -> list[str]:
    """The commands of README.md that ask a service, each on one line."""
    text = (ROOT / "README.md").read_text(encoding="utf-8") + (ROOT / "docs" / "serve.md").read_text(encoding="utf-8")
    blocks = "".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL)).replace("\\\n", " ")
    return [line for line in blocks.splitlines() if "curl " in line]


def test_the_curl_examples_run(tmp_path: Path) -> None:
    from PIL import Image

    Image.fromarray(astronaut()).save(tmp_path / "photo.jpg")
    (tmp_path / "other.jpg").write_bytes(photo())
    clip(tmp_path / "clip.mp4", frames=10)
    (tmp_path / "key.txt").write_text(KEY)
    examples = curl_examples()
    assert len(examples) >= 8
    with ServeProcess("--key-file", str(tmp_path / "key.txt"), TMPDIR=str(tmp_path)) as server:
        for line in examples:
            # the examples ask a service without a key on the usual port
            command = line.replace("localhost:8000", f"127.0.0.1:{server.port}").replace(
                "curl ", f"curl -sS --fail-with-body --max-time 60 -H 'X-API-Key: {KEY}' "
            )
            run = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", command], cwd=tmp_path, capture_output=True, text=True, timeout=90
            )
            assert run.returncode == 0, f"{line}: {run.stdout}{run.stderr}"
            assert "urn:mien:problem" not in run.stdout, f"{line}: {run.stdout}"
            assert shlex.split(line)
    assert (tmp_path / "faces.csv").read_text().startswith("source,frame,time")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--host", "0.0.0.0"], "needs a key"),
        (["--host", "256.1.1.1", "--insecure-no-key"], "cannot be listened on"),
        (["--key-file", "absent"], "no such file"),
        (["--key-file", "short"], "at least 16 characters"),
        (["--allow-origin", "lab.example"], "an origin is"),
        (["--max-images", "0"], "images is at least 1"),
        (["--models", "smile"], "no model 'smile'"),
    ],
)
def test_what_prevents_the_start_is_reported(
    options: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from click.testing import CliRunner

    from mien.cli.serve import command

    monkeypatch.chdir(tmp_path)
    Path("short").write_text("short")
    run = CliRunner().invoke(command, ["--port", "0", *options])
    assert isinstance(run.exception, MienError)
    assert words in str(run.exception)
