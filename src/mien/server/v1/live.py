"""``WS /v1/live``: frames in, results out; while one is analysed the newest of those that arrive meanwhile waits."""

from __future__ import annotations

import asyncio
import functools
import json
import math
import time
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, WebSocket
from pydantic import ValidationError
from starlette.status import (
    WS_1001_GOING_AWAY,
    WS_1006_ABNORMAL_CLOSURE,
    WS_1008_POLICY_VIOLATION,
    WS_1009_MESSAGE_TOO_BIG,
    WS_1013_TRY_AGAIN_LATER,
)
from starlette.websockets import WebSocketDisconnect

from mien.errors import MienError
from mien.media.frame import Frame
from mien.pipeline.video import VideoPipeline
from mien.results.video import VideoFrame
from mien.server.admission import REQUEST_ID, request_id
from mien.server.engine import InferenceEngine
from mien.server.limits import ServiceLimits
from mien.server.problems import ProblemError, problem_from
from mien.server.query_parameters import unknown_name
from mien.server.service_state import ServiceState, service_state
from mien.server.v1.schemas import LIVE_SCHEMA_ID, LiveParameters
from mien.server.worker_pool import TaskOrigin, WorkKind
from mien.smoothing.options import SmoothingOptions
from mien.tracking.options import TrackingOptions

router = APIRouter()

_KEY_SECONDS = 10.0
_TEXT_BYTES = 4096
_SEND_SECONDS = 10.0
"""Seconds after which a client that does not read is disconnected."""
_CANCEL_AGAIN_SECONDS = 1.0
"""Seconds after which a cancelled task that still runs is cancelled again."""
_MIN_STEP = 1e-3
"""Seconds between frames whose times do not increase."""
_MAX_TIME = 1e7
"""The latest time that a client may send, seconds."""


@dataclass(frozen=True, slots=True)
class UploadedFrame:
    """A frame as it arrived.

    Attributes:
        data: the bytes of the picture.
        index: its number among those that arrived, from 0.
        client_time: its time by the client's clock, None where the client did not send one.
        arrival: when it arrived, monotonic seconds.
    """

    data: bytes
    index: int
    client_time: float | None
    arrival: float


class ConnectionEnded(Exception):  # noqa: N818 - the end of a connection is not an error
    """The connection is to be closed.

    Args:
        close_code: of the WebSocket.
        problem: why.
    """

    def __init__(self, close_code: int, problem: ProblemError) -> None:
        super().__init__(problem.detail)
        self.close_code, self.problem = close_code, problem


class LatestFrame:
    """A queue of one frame: a newer one replaces it.

    Attributes:
        dropped: number of frames that were replaced.
    """

    def __init__(self) -> None:
        self._frame: UploadedFrame | None = None
        self._available = asyncio.Event()
        self.dropped = 0

    def put(self, frame: UploadedFrame) -> None:
        """Add a frame."""
        self.dropped += self._frame is not None
        self._frame = frame
        self._available.set()

    async def get(self) -> UploadedFrame:
        """Wait for a frame and remove it."""
        while self._frame is None:
            self._available.clear()
            await self._available.wait()
        frame, self._frame = self._frame, None
        return frame


class LiveSession:
    """Tracks and filters of one live connection; for one thread at a time.

    Args:
        engine: whose analyzer is used.
        parameters: how faces are followed and predictions smoothed.
    """

    def __init__(self, engine: InferenceEngine, parameters: LiveParameters) -> None:
        self._engine = engine
        tracking = TrackingOptions(detect_every=parameters.detect_every)
        smoothing = SmoothingOptions(time_constant=parameters.time_constant, window=parameters.window)
        self._pipeline: VideoPipeline = engine.analyzer.pipeline(tracking, smoothing, live=True)
        self._first_arrival: float | None = None
        self._last_time = -_MIN_STEP

    def analyze(self, received: UploadedFrame, picture: Frame) -> tuple[VideoFrame, float]:
        """The analysed frame and its time in seconds; runs in a worker.

        Args:
            received: the frame as it arrived.
            picture: its picture.

        Raises:
            ProblemError: it is too large.
        """
        if picture.full_size is not None:
            width, height = picture.full_size
            limit = self._engine.limits.live_pixels
            detail = f"the frame has {width} × {height} pixels; the limit is {limit:,}: send smaller ones"
            raise ProblemError("image-too-large", detail, facts={"pixels": width * height, "limit": limit})
        if self._first_arrival is None:
            self._first_arrival = received.arrival
        time_ = received.arrival - self._first_arrival if received.client_time is None else received.client_time
        # filters need increasing times
        self._last_time = max(time_, self._last_time + _MIN_STEP)
        frame = Frame(picture.rgb, None, received.index, self._last_time)
        detect = functools.partial(self._pipeline.detect, frame) if self._pipeline.detects(0) else None
        with self._engine.timed("live-frame"):
            return self._pipeline.step([frame], [detect])[0], self._last_time


@router.get("/v1/live", include_in_schema=False)
async def live_without_upgrade() -> None:
    """What a request that opens no WebSocket is answered."""
    detail = "this is a WebSocket: connect to it with ws:// or wss:// and a client for WebSockets"
    raise ProblemError("upgrade-required", detail, headers={"Upgrade": "websocket"})


@router.websocket("/v1/live")
async def live(socket: WebSocket) -> None:
    """Frames in (binary: JPEG, PNG, WebP), results out (text: JSON).

    Text from the client is JSON as well: ``{"key": "…"}`` first, where a key is needed and no header had it, and
    ``{"t": seconds}`` before a frame, where the client knows its time better than the network.
    """
    service = service_state(socket)
    waits_for_key = None if getattr(socket.state, "key", False) else asyncio.Event()
    has_place = service.ready and _find_place(service)
    if has_place:
        # counted before anything is waited for, so that no more are open than allowed
        service.live[socket] = waits_for_key
        service.metrics.live.set(len(service.live))
    try:
        await socket.accept(headers=[(REQUEST_ID.lower().encode(), request_id(socket.scope).encode())])
        parameters = _parameters(socket)
        if not has_place:
            detail = f"{service.limits.live} live connections are open: close one, or try again later"
            raise ConnectionEnded(WS_1013_TRY_AGAIN_LATER, ProblemError("busy", detail, retry_after=5))
        if waits_for_key is not None:
            await _receive_key(socket, service, waits_for_key)
            service.live[socket] = None
        await _run(socket, service, parameters)
    except ConnectionEnded as ended:
        await _close(socket, service, ended)
    except WebSocketDisconnect:
        pass
    finally:
        service.live.pop(socket, None)
        service.metrics.live.set(len(service.live))


def _find_place(service: ServiceState) -> bool:
    """Whether one more live connection may be open; the oldest one that has sent no key gives way."""
    if len(service.live) < service.limits.live:
        return True
    for socket, waits_for_key in service.live.items():
        if waits_for_key is not None:
            waits_for_key.set()
            del service.live[socket]
            return True
    return False


async def _run(socket: WebSocket, service: ServiceState, parameters: LiveParameters) -> None:
    latest = LatestFrame()
    reading = asyncio.ensure_future(_read(socket, latest, service.limits))
    session = LiveSession(service.engine, parameters)
    answering = asyncio.ensure_future(_answer(socket, latest, service, session))
    try:
        await asyncio.wait(
            {reading, answering}, timeout=service.limits.live_seconds, return_when=asyncio.FIRST_COMPLETED
        )
    finally:
        await cancel_all({reading, answering})
        errors = [None if task.cancelled() else task.exception() for task in (reading, answering)]
        service.metrics.live_frames.labels("dropped").inc(latest.dropped)
    for error in errors:
        if isinstance(error, ConnectionEnded):
            await _close(socket, service, error)
            return
        if isinstance(error, WebSocketDisconnect):
            return
        if isinstance(error, Exception):
            raise error
    detail = f"a live connection lasts {service.limits.live_seconds:g} s: connect again"
    await _close(socket, service, ConnectionEnded(WS_1001_GOING_AWAY, ProblemError("live-over", detail)))


async def cancel_all(tasks: set[asyncio.Task[Any]]) -> None:
    """Cancel tasks until they have ended.

    Before Python 3.12 `asyncio.wait_for` loses a cancellation where what it waits for ends at the same moment; the task
    would run for ever, and its connection with it.
    """
    while tasks:
        for task in tasks:
            task.cancel()
        _, tasks = await asyncio.wait(tasks, timeout=_CANCEL_AGAIN_SECONDS)


async def _read(socket: WebSocket, latest: LatestFrame, limits: ServiceLimits) -> None:
    """Receive what the client sends, as fast as it arrives."""
    index, client_time = 0, None
    while True:
        try:
            message = await asyncio.wait_for(socket.receive(), limits.live_idle_seconds)
        except asyncio.TimeoutError:
            detail = f"no frame for {limits.live_idle_seconds:g} s: connect again"
            raise ConnectionEnded(WS_1001_GOING_AWAY, ProblemError("live-idle", detail)) from None
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1000))
        data, text = message.get("bytes"), message.get("text")
        if data is None:
            client_time = _parse_time(text or "")
            continue
        if len(data) > limits.live_bytes:
            detail = f"a frame of {len(data):,} bytes; the limit is {limits.live_bytes:,}: compress it more"
            raise ConnectionEnded(WS_1009_MESSAGE_TOO_BIG, ProblemError("too-large", detail))
        latest.put(UploadedFrame(data, index, client_time, time.monotonic()))
        index, client_time = index + 1, None


async def _answer(socket: WebSocket, latest: LatestFrame, service: ServiceState, session: LiveSession) -> None:
    """Analyse the newest frame and answer it, again and again."""
    task = TaskOrigin(WorkKind.LIVE, f"{id(socket):x}")
    while True:
        received = await latest.get()
        problem: ProblemError | None = None
        try:
            work = functools.partial(session.analyze, received)
            frame, at = await service.engine.run_on_frame(task, received.data, service.limits.live_pixels, work)
        except ProblemError as error:
            problem = error
        except MienError as error:
            problem = problem_from(error)
        if problem is None:
            answer = _frame_dict(frame, at, received, latest.dropped)
        else:
            answer = {"index": received.index, "error": problem.to_dict()}
        service.metrics.live_frames.labels("analysed" if problem is None else "unreadable").inc()
        try:
            await asyncio.wait_for(socket.send_text(json.dumps(answer)), _SEND_SECONDS)
        except asyncio.TimeoutError:
            raise WebSocketDisconnect(WS_1006_ABNORMAL_CLOSURE) from None


def _frame_dict(frame: VideoFrame, at: float, received: UploadedFrame, dropped: int) -> dict[str, Any]:
    width, height = frame.frame.size
    document = frame.to_dict()
    del document["schema"], document["time"], document["frame"]
    head = {"schema": LIVE_SCHEMA_ID, "t": round(at, 6), "index": received.index, "width": width, "height": height}
    latency = round(1000 * (time.monotonic() - received.arrival), 1)
    return head | document | {"latency_ms": latency, "dropped": dropped}


async def _receive_key(socket: WebSocket, service: ServiceState, give_way: asyncio.Event) -> None:
    """Wait for the key, which a browser cannot send as a header; not for long, and less where others need the place."""
    problem = ProblemError("key-missing", 'send the key of this service first: {"key": "…"}')
    ended = ConnectionEnded(WS_1008_POLICY_VIOLATION, problem)
    waits = {asyncio.ensure_future(socket.receive()), asyncio.ensure_future(give_way.wait())}
    try:
        done, _ = await asyncio.wait(waits, timeout=_KEY_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await cancel_all(waits)
    message = next((result for result in (task.result() for task in done) if isinstance(result, dict)), None)
    if message is None or give_way.is_set():
        raise ended
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1000))
    key = _parse_object(message.get("text") or "").get("key")
    if not isinstance(key, str) or not service.access.accepts_key(key):
        raise ended


def _parse_time(text: str) -> float | None:
    """The time in a message; None where it holds something else, such as a key that is not needed."""
    message = _parse_object(text)
    if "t" not in message:
        if "key" in message:
            return None
        raise _message_unknown(
            "frames are binary messages, the bytes of a JPEG, PNG or WebP, not base64 or JSON; "
            'text is {"t": seconds} before a frame, or {"key": "…"}'
        )
    seconds = message["t"]
    finite = isinstance(seconds, int) or (isinstance(seconds, float) and math.isfinite(seconds))
    if isinstance(seconds, bool) or not finite:
        raise _message_unknown("t is a number of seconds")
    if not 0 <= seconds <= _MAX_TIME:
        raise _message_unknown(f"t is between 0 and {_MAX_TIME:,.0f} seconds")
    return float(seconds)


def _parse_object(text: str) -> dict[str, Any]:
    try:
        document = json.loads(text) if len(text) <= _TEXT_BYTES else None
    except (ValueError, RecursionError):
        document = None
    return document if isinstance(document, dict) else {}


def _parameters(socket: WebSocket) -> LiveParameters:
    try:
        return LiveParameters.model_validate_strings(dict(socket.query_params))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        name = str(first["loc"][0])
        unknown = first["type"] == "extra_forbidden"
        detail = unknown_name(name, LiveParameters.model_fields) if unknown else f"{name}: {first['msg']}"
        problem = ProblemError("input-invalid", detail)
        raise ConnectionEnded(WS_1008_POLICY_VIOLATION, problem) from None


def _message_unknown(detail: str) -> ConnectionEnded:
    return ConnectionEnded(WS_1008_POLICY_VIOLATION, ProblemError("message-unknown", detail))


async def _close(socket: WebSocket, service: ServiceState, ended: ConnectionEnded) -> None:
    """Send the reason, then close; the client may be gone already."""
    service.metrics.problems.labels(ended.problem.code).inc()
    try:
        await socket.send_text(json.dumps({"error": ended.problem.to_dict(request_id(socket.scope))}))
        await socket.close(ended.close_code, ended.problem.code)
    except (RuntimeError, WebSocketDisconnect):
        pass
