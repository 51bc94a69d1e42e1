"""Live frames over a WebSocket: the newest one counts, times increase, and errors end it with a reason."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import threading
from typing import Any

import pytest
from starlette.testclient import WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect

import mien
from helpers.hostile import bomb
from helpers.pictures import astronaut
from helpers.serving import HERE, PausableDetector, blank, encoded, photo, service
from helpers.waiting import PATIENCE, wait_until
from mien.server.access import AccessPolicy
from mien.server.v1 import live
from mien.server.v1.live import LatestFrame, UploadedFrame
from mien.server.v1.schemas import LiveFrame

KEY = "k" * 40
PATH = "ws://127.0.0.1/v1/live"


def ends(socket: Any) -> tuple[dict[str, Any], int]:
    """The problem that the service sends before it closes, and the code it closes with."""
    problem = socket.receive_json()["error"]
    with pytest.raises(WebSocketDisconnect) as closed:
        socket.receive_json()
    return problem, closed.value.code


def test_a_task_that_loses_its_cancellation_is_cancelled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "_CANCEL_AGAIN_SECONDS", 0.01)
    ignored = 0

    async def stubborn() -> None:
        nonlocal ignored
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                ignored += 1
                if ignored > 2:
                    raise

    async def run() -> None:
        task = asyncio.ensure_future(stubborn())
        await asyncio.sleep(0)
        await asyncio.wait_for(live.cancel_all({task}), PATIENCE)
        assert task.cancelled()

    asyncio.run(run())
    assert ignored == 3


def test_faces_are_followed_over_frames() -> None:
    with service() as client, client.websocket_connect(PATH) as socket:
        answers = []
        for i in range(8):
            socket.send_text(json.dumps({"t": i / 10}))
            socket.send_bytes(encoded(astronaut()[:256, 100 + 2 * i : 356 + 2 * i], quality=92))
            answers.append(socket.receive_json())
        for answer in answers:
            LiveFrame.model_validate(answer)
        assert [answer["t"] for answer in answers] == [i / 10 for i in range(8)]
        assert [answer["index"] for answer in answers] == list(range(8))
        assert {face["track"] for answer in answers for face in answer["faces"]} == {1}
        assert answers[0]["faces"][0]["predictions"]["emotion"]["stable"] is None
        assert answers[-1]["faces"][0]["predictions"]["emotion"]["stable"] == "happy"
        assert (answers[-1]["width"], answers[-1]["height"]) == (256, 256)
        assert answers[-1]["latency_ms"] > 0
        first = mien.analyze(encoded(astronaut()[:256, 100:356], quality=92))[0]
        assert answers[0]["faces"][0]["box"] == pytest.approx(list(first.box), abs=0.01)
        assert client.get("/metrics").text.count('mien_live_frames_total{outcome="analysed"} 8.0') == 1


def test_faces_are_propagated_between_detections() -> None:
    with service() as client, client.websocket_connect(f"{PATH}?detect_every=3") as socket:
        detected = []
        for _ in range(6):
            socket.send_bytes(photo())
            answer = socket.receive_json()
            assert len(answer["faces"]) == 1
            detected.append(answer["detected"])
    assert detected == [True, False, False, True, False, False]


def test_the_newest_frame_replaces_older_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    came: list[int] = []
    put = LatestFrame.put

    def counted(latest: LatestFrame, frame: UploadedFrame) -> None:
        put(latest, frame)
        came.append(frame.index)

    monkeypatch.setattr(LatestFrame, "put", counted)
    detector = PausableDetector(0, paused=True)
    with service(detector, with_models=False) as client, client.websocket_connect(PATH) as socket:
        socket.send_bytes(blank())
        detector.wait_for(1)
        for _ in range(5):
            socket.send_bytes(blank())
        wait_until(lambda: len(came) == 6)
        detector.resume.set()
        first, second = socket.receive_json(), socket.receive_json()
    assert (first["index"], second["index"], second["dropped"]) == (0, 5, 4)


def test_the_queue_holds_one_frame() -> None:
    async def five() -> tuple[UploadedFrame, int]:
        latest = LatestFrame()
        for i in range(5):
            latest.put(UploadedFrame(b"", i, None, 0.0))
        newest = await latest.get()
        waiting = asyncio.ensure_future(latest.get())
        await asyncio.sleep(0)
        assert not waiting.done()
        latest.put(UploadedFrame(b"", 9, None, 0.0))
        assert (await waiting).index == 9
        return newest, latest.dropped

    newest, dropped = asyncio.run(five())
    assert (newest.index, dropped) == (4, 4)


def test_times_increase_whatever_the_client_sends() -> None:
    with service(PausableDetector(0), with_models=False) as client, client.websocket_connect(PATH) as socket:
        times = []
        for seconds in (5.0, 5.0, 1.0, 7, None, 1e7):
            if seconds is not None:
                socket.send_text(json.dumps({"t": seconds}))
            socket.send_bytes(blank())
            times.append(socket.receive_json()["t"])
    assert times == [5.0, 5.001, 5.002, 7.0, 7.001, 1e7]


def test_an_unreadable_frame_is_reported_and_the_next_one_analysed() -> None:
    with (
        service(PausableDetector(1), with_models=False, live_pixels=5000) as client,
        client.websocket_connect(PATH) as socket,
    ):
        for data, status in ((b"no picture", 422), (b"", 422), (blank()[:900], 422), (bomb(), 413), (photo(), 413)):
            socket.send_bytes(data)
            answer = socket.receive_json()
            assert answer["error"]["status"] == status
        socket.send_bytes(blank())
        assert len(socket.receive_json()["faces"]) == 1


@pytest.mark.parametrize(
    "text", ["x", "[]", "{}", '{"t": "1"}', '{"t": NaN}', '{"t": -1}', '{"t": 1e300}', '{"t": true}', "[" * 4000,
             '{"t": ' + "1" * 5000 + "}", '{"t": ' + "1" * 400 + "}"],
)  # fmt: skip
def test_invalid_text_ends_the_connection(text: str) -> None:
    with service(PausableDetector(0), with_models=False) as client, client.websocket_connect(PATH) as socket:
        socket.send_text(text)
        problem, code = ends(socket)
        assert (problem["type"], code) == ("urn:mien:problem:message-unknown", 1008)


@pytest.mark.parametrize("form", ["{}", "data:image/jpeg;base64,{}", '{{"image": "{}"}}'])
def test_a_frame_sent_as_base64_is_answered_that_frames_are_binary(form: str) -> None:
    text = form.format(base64.b64encode(photo()).decode())
    with service(PausableDetector(0), with_models=False) as client, client.websocket_connect(PATH) as socket:
        socket.send_text(text)
        problem, code = ends(socket)
        assert (problem["code"], code) == ("message-unknown", 1008)
        assert "binary" in problem["detail"]


def test_a_frame_too_large_ends_the_connection() -> None:
    with (
        service(PausableDetector(0), with_models=False, live_bytes=5000) as client,
        client.websocket_connect(PATH) as socket,
    ):
        socket.send_bytes(b"x" * 5001)
        problem, code = ends(socket)
        assert (problem["status"], code) == (413, 1009)


def test_a_pause_ends_the_connection() -> None:
    with (
        service(PausableDetector(0), with_models=False, live_idle_seconds=0.1) as client,
        client.websocket_connect(PATH) as socket,
    ):
        problem, code = ends(socket)
        assert (problem["type"], code) == ("urn:mien:problem:live-idle", 1001)


def test_the_length_of_a_connection_is_limited() -> None:
    with (
        service(PausableDetector(0), with_models=False, live_seconds=1.0) as client,
        client.websocket_connect(PATH) as socket,
    ):
        problem, code = ends(socket)
        assert (problem["type"], code) == ("urn:mien:problem:live-over", 1001)


def test_connections_are_limited_and_counted() -> None:
    with service(PausableDetector(0), with_models=False, live=1) as client:
        with client.websocket_connect(PATH) as first:
            first.send_bytes(blank())
            first.receive_json()
            with client.websocket_connect(PATH) as second:
                problem, code = ends(second)
                assert (problem["status"], code) == (503, 1013)
            first.send_bytes(blank())
            assert first.receive_json()["index"] == 1
        wait_until(lambda: "mien_live_connections 0.0" in client.get("/metrics").text)
        with client.websocket_connect(PATH) as third:
            third.send_bytes(blank())
            assert third.receive_json()["index"] == 0


def test_connections_count_from_when_they_are_accepted_and_those_without_a_key_give_way() -> None:
    with service(PausableDetector(0), access=AccessPolicy(key=KEY), with_models=False, live=2) as client:

        def count() -> str:
            text = client.get("/metrics", headers={"X-API-Key": KEY}).text
            return str(re.findall(r"^mien_live_connections (\S+)", text, re.MULTILINE)[0])

        with client.websocket_connect(PATH) as silent, client.websocket_connect(PATH) as other:
            wait_until(lambda: count() == "2.0")
            with client.websocket_connect(PATH, headers={"X-API-Key": KEY}) as first:
                assert ends(silent)[0]["code"] == "key-missing"
                first.send_bytes(blank())
                assert first.receive_json()["index"] == 0
                assert count() == "2.0"
                other.send_json({"key": KEY})
                other.send_bytes(blank())
                assert other.receive_json()["index"] == 0
                # now both places are taken by clients with the key
                with client.websocket_connect(PATH) as third:
                    assert ends(third)[0]["code"] == "busy"
        wait_until(lambda: count() == "0.0")


def test_the_key_comes_as_a_header_or_as_the_first_message() -> None:
    with service(PausableDetector(0), access=AccessPolicy(key=KEY), with_models=False) as client:
        with client.websocket_connect(PATH, headers={"X-API-Key": KEY}) as socket:
            socket.send_bytes(blank())
            assert socket.receive_json()["index"] == 0
        with client.websocket_connect(PATH) as socket:
            socket.send_json({"key": KEY})
            socket.send_bytes(blank())
            assert socket.receive_json()["index"] == 0
        for wrong in ('{"key": "no"}', '{"key": 3}', "x", '{"t": 1}'):
            with client.websocket_connect(PATH) as socket:
                socket.send_text(wrong)
                problem, code = ends(socket)
                assert (problem["status"], code) == (401, 1008)
        with client.websocket_connect(PATH) as socket:
            socket.send_bytes(blank())
            assert ends(socket)[0]["status"] == 401


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"Origin": "https://evil.example"}, 403), ({"Origin": "null"}, 403), ({"Host": "evil.example"}, 421)],
)
def test_pages_of_other_sites_cannot_connect(headers: dict[str, str], status: int) -> None:
    with service(PausableDetector(0), with_models=False) as client:
        with pytest.raises(WebSocketDenialResponse) as denied, client.websocket_connect(PATH, headers=headers):
            pass
        assert denied.value.status_code == status
        with client.websocket_connect(PATH, headers={"Origin": HERE}) as socket:
            socket.send_bytes(blank())
            assert socket.receive_json()["index"] == 0


def test_an_invalid_parameter_ends_the_connection() -> None:
    with service(PausableDetector(0), with_models=False) as client:
        for text in ("0", "x", "-1", "1.5", "99999", "²"):
            with client.websocket_connect(f"{PATH}?detect_every={text}") as socket:
                assert ends(socket)[0]["type"] == "urn:mien:problem:input-invalid"


def test_unknown_parameters_end_the_connection_and_problems_have_its_id() -> None:
    with (
        service(PausableDetector(0), with_models=False) as client,
        client.websocket_connect(f"{PATH}?detect_evry=2", headers={"X-Request-Id": "trace-1"}) as socket,
    ):
        assert dict(socket.extra_headers or [])[b"x-request-id"] == b"trace-1"
        problem, code = ends(socket)
        assert (problem["code"], code) == ("input-invalid", 1008)
        assert "did you mean detect_every?" in problem["detail"]
        assert problem["instance"] == "urn:mien:request:trace-1"


def test_a_client_that_goes_away_frees_its_place() -> None:
    detector = PausableDetector(0, paused=True)
    with service(detector, with_models=False, live=1) as client:
        with client.websocket_connect(PATH) as socket:
            socket.send_bytes(blank())
            detector.wait_for(1)
        threading.Timer(0.05, detector.resume.set).start()
        wait_until(lambda: "mien_live_connections 0.0" in client.get("/metrics").text)
