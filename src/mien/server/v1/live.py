"""``WS /v1/live``: frames in, results out; while one is analysed the newest of those that came meanwhile waits."""

from __future__ import annotations

import asyncio
import functools
import json
import math
import time
from dataclasses import dataclass, replace
from typing import Any

from fastapi import APIRouter, WebSocket
from starlette.websockets import WebSocketDisconnect

from mien.errors import MienError
from mien.media.frame import Frame
from mien.pipeline.video import VideoPipeline
from mien.results.video import VideoFrame
from mien.server.engine import InferenceEngine
from mien.server.limits import ServiceLimits
from mien.server.problems import ProblemError, busy, too_large
from mien.server.service import ServiceState, service_state
from mien.server.v1.schemas import LIVE_SCHEMA_ID
from mien.server.worker_pool import URGENT
from mien.tracking.options import TrackingOptions

router = APIRouter()

_KEY_SECONDS = 10.0
_TEXT_BYTES = 4096
_SEND_SECONDS = 10.0
"""A client that does not read for so long is gone."""
_AGAIN_SECONDS = 1.0
"""After which a task that was cancelled and goes on is cancelled again."""
_TICK = 1e-3
"""Seconds between frames whose times do not grow."""
_LATEST = 1e7
"""Seconds that a client may claim."""
POLICY, TOO_BIG, GOING_AWAY, TRY_LATER = 1008, 1009, 1001, 1013


@dataclass(frozen=True, slots=True)
class ReceivedFrame:
    """A frame as it came: its number, its time as the client says, and when it was here."""

    data: bytes
    index: int
    told: float | None
    at: float


class ConnectionEnded(Exception):  # noqa: N818 - the end of a connection is no error
    """The connection is to be closed."""

    def __init__(self, code: int, problem: ProblemError) -> None:
        super().__init__(problem.detail)
        self.code, self.problem = code, problem


class LatestFrame:
    """The newest frame. One that is passed over is counted."""

    def __init__(self) -> None:
        self._frame: ReceivedFrame | None = None
        self._some = asyncio.Event()
        self.dropped = 0

    def put(self, frame: ReceivedFrame) -> None:
        """A frame has come."""
        self.dropped += self._frame is not None
        self._frame = frame
        self._some.set()

    async def get(self) -> ReceivedFrame:
        """The newest frame, when there is one."""
        while self._frame is None:
            self._some.clear()
            await self._some.wait()
        frame, self._frame = self._frame, None
        return frame


class LiveSession:
    """What one live connection remembers; for one thread at a time."""

    def __init__(self, engine: InferenceEngine, detect_every: int) -> None:
        self._engine = engine
        tracking = TrackingOptions(detect_every=detect_every)
        self._pipeline: VideoPipeline = engine.analyzer.pipeline(tracking, live=True)
        self._began: float | None = None
        self._last = -_TICK

    def analyse(self, arrived: ReceivedFrame) -> tuple[VideoFrame, float]:
        """The faces of a frame and its time in seconds; in a worker.

        Raises:
            Problem: it is no picture, or too large.
        """
        frame = self._engine.load_frame(arrived.data, self._engine.limits.live_pixels)
        if self._began is None:
            self._began = arrived.at
        told = arrived.at - self._began if arrived.told is None else arrived.told
        # filters need times that grow
        self._last = max(told, self._last + _TICK)
        frame = Frame(frame.rgb, None, arrived.index, self._last)
        detect = functools.partial(self._pipeline.detect, frame) if self._pipeline.detects(0) else None
        return self._pipeline.step([frame], [detect])[0], self._last


@router.websocket("/v1/live")
async def live(socket: WebSocket) -> None:
    """Frames in (binary: JPEG, PNG, WebP), results out (text: JSON).

    Text from the client is JSON as well: ``{"key": "…"}`` first, where a key is asked for and no header brought it, and
    ``{"t": seconds}`` before a frame, where the client knows its time better than the network.
    """
    service = service_state(socket)
    await socket.accept()
    try:
        detect_every = _detect_every(socket)
        if not service.ready or service.live >= service.limits.live:
            detail = f"{service.limits.live} live connections are open: close one, or try again later"
            raise ConnectionEnded(TRY_LATER, busy(detail, 5))
        if not getattr(socket.state, "key", False):
            await _key(socket, service)
    except ConnectionEnded as ended:
        await _close(socket, service, ended)
        return
    except WebSocketDisconnect:
        return
    service.live += 1
    service.metrics.live.set(service.live)
    try:
        await _follow(socket, service, detect_every)
    finally:
        service.live -= 1
        service.metrics.live.set(service.live)


async def _follow(socket: WebSocket, service: ServiceState, detect_every: int) -> None:
    inbox = LatestFrame()
    reading = asyncio.ensure_future(_read(socket, inbox, service.limits))
    answering = asyncio.ensure_future(_answer(socket, inbox, service, LiveSession(service.engine, detect_every)))
    try:
        await asyncio.wait(
            {reading, answering}, timeout=service.limits.live_seconds, return_when=asyncio.FIRST_COMPLETED
        )
    finally:
        await cancel_all({reading, answering})
        ends = [None if task.cancelled() else task.exception() for task in (reading, answering)]
        service.metrics.live_frames.labels("dropped").inc(inbox.dropped)
    for end in ends:
        if isinstance(end, ConnectionEnded):
            await _close(socket, service, end)
            return
        if isinstance(end, WebSocketDisconnect):
            return
        if isinstance(end, Exception):
            raise end
    problem = ProblemError(
        503, "live-over", f"a live connection lasts {service.limits.live_seconds:g} s: connect again"
    )
    await _close(socket, service, ConnectionEnded(GOING_AWAY, problem))


async def cancel_all(tasks: set[asyncio.Task[None]]) -> None:
    """Cancel tasks until they have ended.

    Before Python 3.12 `asyncio.wait_for` forgets that it was cancelled where what it waits for ends at the same moment;
    the task would go on for ever, and this connection with it.
    """
    while tasks:
        for task in tasks:
            task.cancel()
        _, tasks = await asyncio.wait(tasks, timeout=_AGAIN_SECONDS)


async def _read(socket: WebSocket, inbox: LatestFrame, limits: ServiceLimits) -> None:
    """Take what the client sends, as fast as it comes."""
    index, told = 0, None
    while True:
        try:
            message = await asyncio.wait_for(socket.receive(), limits.live_idle_seconds)
        except asyncio.TimeoutError:
            detail = f"no frame for {limits.live_idle_seconds:g} s: connect again"
            raise ConnectionEnded(GOING_AWAY, ProblemError(408, "live-idle", detail)) from None
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1000))
        data, text = message.get("bytes"), message.get("text")
        if data is None:
            told = _time(text or "")
            continue
        if len(data) > limits.live_bytes:
            problem = too_large(f"a frame of {len(data):,} bytes; the limit is {limits.live_bytes:,}: compress it more")
            raise ConnectionEnded(TOO_BIG, problem)
        inbox.put(ReceivedFrame(data, index, told, time.monotonic()))
        index, told = index + 1, None


async def _answer(socket: WebSocket, inbox: LatestFrame, service: ServiceState, session: LiveSession) -> None:
    """Analyse the newest frame, answer, and so on."""
    while True:
        arrived = await inbox.get()
        try:
            moment, at = await service.engine.pool.run(URGENT, session.analyse, arrived)
            answer = _told(moment, at, arrived, inbox.dropped)
            service.metrics.live_frames.labels("analysed").inc()
        except ProblemError as problem:
            answer = {"index": arrived.index, "error": problem.to_dict()}
            service.metrics.live_frames.labels("unreadable").inc()
        except MienError as error:
            answer = {"index": arrived.index, "error": ProblemError(422, "frame-unusable", str(error)).to_dict()}
            service.metrics.live_frames.labels("unreadable").inc()
        try:
            await asyncio.wait_for(socket.send_text(json.dumps(answer)), _SEND_SECONDS)
        except asyncio.TimeoutError:
            raise WebSocketDisconnect(1006) from None


def _told(moment: VideoFrame, at: float, arrived: ReceivedFrame, dropped: int) -> dict[str, Any]:
    width, height = moment.frame.size
    told = replace(moment).to_dict()
    del told["schema"], told["time"], told["frame"]
    head = {"schema": LIVE_SCHEMA_ID, "t": round(at, 6), "index": arrived.index, "width": width, "height": height}
    latency = round(1000 * (time.monotonic() - arrived.at), 1)
    return head | told | {"latency_ms": latency, "dropped": dropped}


async def _key(socket: WebSocket, service: ServiceState) -> None:
    """Wait for the key, which a browser cannot send as a header."""
    wrong = ConnectionEnded(
        POLICY, ProblemError(401, "key-missing", 'send the key of this service first: {"key": "…"}')
    )
    try:
        message = await asyncio.wait_for(socket.receive(), _KEY_SECONDS)
    except asyncio.TimeoutError:
        raise wrong from None
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1000))
    key = _json(message.get("text") or "").get("key")
    if not isinstance(key, str) or not service.access.fits(key):
        raise wrong


def _time(text: str) -> float | None:
    """The time in a message; None where it holds something else, such as a key that nobody asked for."""
    told = _json(text)
    if "t" not in told:
        if "key" in told:
            return None
        raise ConnectionEnded(
            POLICY, ProblemError(422, "message-unknown", 'text is {"t": seconds} before a frame, or {"key": "…"}')
        )
    seconds = told["t"]
    finite = isinstance(seconds, int) or (isinstance(seconds, float) and math.isfinite(seconds))
    if isinstance(seconds, bool) or not finite:
        raise ConnectionEnded(POLICY, ProblemError(422, "message-unknown", "t is a number of seconds"))
    if not 0 <= seconds <= _LATEST:
        raise ConnectionEnded(
            POLICY, ProblemError(422, "message-unknown", f"t is between 0 and {_LATEST:,.0f} seconds")
        )
    return float(seconds)


def _json(text: str) -> dict[str, Any]:
    try:
        told = json.loads(text) if len(text) <= _TEXT_BYTES else None
    except (ValueError, RecursionError):
        told = None
    return told if isinstance(told, dict) else {}


def _detect_every(socket: WebSocket) -> int:
    text = socket.query_params.get("detect_every", "1")
    if not (text.isdecimal() and text.isascii() and len(text) < 5 and int(text) >= 1):
        raise ConnectionEnded(
            POLICY, ProblemError(422, "parameter-invalid", "detect_every is a whole number from 1 to 9999")
        )
    return int(text)


async def _close(socket: WebSocket, service: ServiceState, ended: ConnectionEnded) -> None:
    """Say why, then close; the client may be gone already."""
    service.metrics.problems.labels(ended.problem.kind).inc()
    try:
        await socket.send_text(json.dumps({"error": ended.problem.to_dict()}))
        await socket.close(ended.code, ended.problem.kind)
    except (RuntimeError, WebSocketDisconnect):
        pass
