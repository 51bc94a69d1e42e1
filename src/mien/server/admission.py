"""What every request passes first: who asks, how often, how much; and what every answer carries."""

from __future__ import annotations

import asyncio
import logging
import time
import traceback
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mien.server.access import AccessPolicy
from mien.server.limits import ServiceLimits
from mien.server.metrics import ServiceMetrics
from mien.server.problems import INTERNAL, ProblemError, busy, too_large
from mien.server.uploads import ClientGoneError

log = logging.getLogger("mien.serve")

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; connect-src 'self'; "
        "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=(), display-capture=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
PUBLIC_PATHS = ("/", "/healthz", "/readyz", "/docs", "/openapi.json", "/favicon.ico", "/v1/limits")
"""What needs no key: nothing here tells anything of anybody."""
STATIC_PREFIX = "/static/"
UNMETERED_PATHS = ("/healthz", "/readyz", "/")
"""What the rate does not count, beside the files of the page: a supervisor must not take a busy service for a dead one,
and a page without one of its files is broken. They are answered from memory."""
_MAX_ADDRESSES = 10_000
_DRAIN_SECONDS, _DRAIN_BYTES = 2.0, 64 << 20
_VIDEOS_PATH = "/v1/videos"


class RateLimiter:
    """A bucket of tokens for each address; forgotten when it is full again, or when there are too many addresses."""

    def __init__(self, rate: float, burst: int) -> None:
        self._rate, self._burst = rate, burst
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, address: str, now: float) -> float:
        """Take one token: 0, or the seconds until there is one."""
        if self._rate <= 0:
            return 0.0
        tokens, then = self._buckets.pop(address, (float(self._burst), now))
        tokens = min(self._burst, tokens + (now - then) * self._rate)
        missing = max(0.0, 1.0 - tokens) / self._rate
        self._buckets[address] = (tokens if missing else tokens - 1.0, now)
        if len(self._buckets) > _MAX_ADDRESSES:
            self._buckets.popitem(last=False)
        return missing


@dataclass
class InFlight:
    """Requests that upload or work now."""

    total: int = 0
    held: int = 0
    by_client: dict[str, int] = field(default_factory=dict)


class AdmissionMiddleware:
    """The outermost layer. Everything inside raises `ProblemError` and need not know of limits of requests.

    Args:
        app: what is inside.
        access: who may ask.
        limits: how much.
        metrics: where it is counted.
    """

    def __init__(self, app: ASGIApp, access: AccessPolicy, limits: ServiceLimits, metrics: ServiceMetrics) -> None:
        self._app, self._access, self._limits, self._metrics = app, access, limits, metrics
        self._rates = RateLimiter(limits.rate, limits.burst)
        self.flight = InFlight()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI has it."""
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        body = _LimitedBody(receive, self._limits, self.flight, _max_body_bytes(scope, self._limits))
        answer = _SecuredResponse(send, scope, body)
        try:
            self._admit(scope, Headers(scope=scope), body)
            if scope["method"] in ("GET", "HEAD", "OPTIONS"):
                await self._app(scope, body.receive, answer.send)
            else:
                await self._counted(scope, body, answer)
        except ProblemError as problem:
            self._metrics.problems.labels(problem.kind).inc()
            await problem.response()(scope, receive, answer.send)
        except ClientGoneError:
            pass
        except Exception as error:
            # the message may hold what the client sent, so only the place is told
            where = "".join(traceback.format_tb(error.__traceback__))
            log.error("%s while answering; this is a mistake in mien\n%s", type(error).__name__, where)
            if not answer.status:
                await INTERNAL.response()(scope, receive, answer.send)
        finally:
            body.let_go()
            # 499 as others log it: the client closed the connection
            self._tell(scope, answer.status or 499, time.perf_counter() - began)

    async def _counted(self, scope: Scope, body: _LimitedBody, answer: _SecuredResponse) -> None:
        """A request that uploads or works, if there is room for it."""
        flight, limits, address = self.flight, self._limits, _client_address(scope)
        mine = flight.by_client.get(address, 0)
        if flight.total >= limits.requests:
            raise busy(f"{limits.requests} requests are being answered: try again", 1)
        if mine >= limits.client_requests:
            detail = f"{mine} of your requests are being answered: wait for one of them"
            raise ProblemError(429, "too-many-requests", detail, retry_after=1)
        flight.total += 1
        flight.by_client[address] = mine + 1
        self._metrics.in_flight.inc()
        try:
            await self._app(scope, body.receive, answer.send)
        finally:
            flight.total -= 1
            flight.by_client[address] -= 1
            if not flight.by_client[address]:
                del flight.by_client[address]
            self._metrics.in_flight.dec()

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            headers = Headers(scope=scope)
            self._ask(scope, headers)
            scope.setdefault("state", {})["key"] = self._access.opens(headers)
            if len(headers.getlist("origin")) > 0 and not self._access.allows_origin(
                headers["origin"], headers.get("host", "")
            ):
                raise ProblemError(403, "origin-refused", "pages of other sites may not use this service")
        except ProblemError as problem:
            self._metrics.problems.labels(problem.kind).inc()
            await receive()  # the request to open
            if "websocket.http.response" not in scope.get("extensions", {}):
                await send({"type": "websocket.close", "code": 1008, "reason": problem.kind})
                return
            answer = problem.response()
            # the server counts the bytes itself, and uvicorn before 0.53 would tell their number twice
            told = [(name, value) for name, value in answer.raw_headers if name != b"content-length"]
            head = {"status": answer.status_code, "headers": told}
            await send({"type": "websocket.http.response.start", **head})
            await send({"type": "websocket.http.response.body", "body": answer.body})
            return
        await self._app(scope, receive, send)

    def _ask(self, scope: Scope, headers: Headers) -> None:
        """Head, host and rate."""
        size = len(scope.get("raw_path") or b"") + len(scope["query_string"])
        if size + sum(len(name) + len(value) for name, value in headers.raw) > self._limits.header_bytes:
            detail = f"the head of the request is too large; the limit is {self._limits.header_bytes:,} bytes"
            raise ProblemError(431, "head-too-large", detail)
        if "transfer-encoding" in headers and "content-length" in headers:
            # a proxy in front may take the other one, and another request for the rest of this one's body
            raise ProblemError(400, "head-malformed", "the request has Content-Length and Transfer-Encoding: send one")
        if not self._access.knows_host(headers.get("host", "")):
            detail = "this service does not go by that name: --allow-host NAME adds one"
            raise ProblemError(421, "host-unknown", detail)
        if scope["path"] not in UNMETERED_PATHS and not scope["path"].startswith(STATIC_PREFIX):
            wait = self._rates.wait(_client_address(scope), time.monotonic())
            if wait:
                detail = f"more than {self._limits.rate:g} requests a second from your address: wait a moment"
                raise ProblemError(429, "too-many-requests", detail, retry_after=wait)

    def _admit(self, scope: Scope, headers: Headers, body: _LimitedBody) -> None:
        self._ask(scope, headers)
        path, method = scope["path"], scope["method"]
        origin = headers.get("origin")
        preflight = method == "OPTIONS" and "access-control-request-method" in headers
        if (
            origin is not None
            and method not in ("GET", "HEAD", "OPTIONS")
            and not self._access.allows_origin(origin, headers.get("host", ""))
        ):
            raise ProblemError(403, "origin-refused", "pages of other sites may not use this service")
        if not (path in PUBLIC_PATHS or path.startswith(STATIC_PREFIX) or preflight or self._access.opens(headers)):
            detail = "send the key of this service as X-API-Key, or as Authorization: Bearer"
            raise ProblemError(401, "key-missing", detail, headers={"WWW-Authenticate": "Bearer"})
        length = headers.get("content-length", "")
        if length.isdecimal() and len(length) < 20 and int(length) > body.most:
            raise too_large(f"the request has {int(length):,} bytes; the limit is {body.most:,}: send less at once")

    def _tell(self, scope: Scope, status: int, seconds: float) -> None:
        # the route, not the path: that may hold the number of a video, which opens its result
        own = scope["path"] if scope["path"] in PUBLIC_PATHS else "other"
        route = getattr(scope.get("route"), "path", "") or own
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self._metrics.requests.labels(method, route, str(status)).inc()
        self._metrics.seconds.labels(route).observe(seconds)
        log.info("%s %s %d %.0f ms", method, route, status, 1000 * seconds)


_METHODS = frozenset({"GET", "HEAD", "POST", "DELETE", "OPTIONS", "PUT", "PATCH"})


class _LimitedBody:
    """The body of a request, as long as it keeps to the limits."""

    def __init__(self, receive: Receive, limits: ServiceLimits, flight: InFlight, most: int) -> None:
        self._receive, self._limits, self._flight, self.most = receive, limits, flight, most
        self._seen = self._held = 0
        self._begun = time.monotonic()
        self.ended = self.stalled = False

    async def receive(self) -> Message:
        if self.ended:
            return await self._receive()
        left = self._begun + self._limits.upload_seconds - time.monotonic()
        try:
            message = await asyncio.wait_for(self._receive(), max(0.0, min(left, self._limits.idle_seconds)))
        except asyncio.TimeoutError:
            self.stalled = True
            detail = f"the upload paused for {self._limits.idle_seconds:g} s, or took more than "
            detail += f"{self._limits.upload_seconds:g} s in all: send it again"
            raise ProblemError(408, "upload-slow", detail) from None
        if message["type"] != "http.request":
            return message
        size = len(message.get("body", b""))
        self._seen += size
        self.ended = not message.get("more_body", False)
        if self._seen > self.most:
            raise too_large(f"the request has more than {self.most:,} bytes: send less at once")
        if self.most == self._limits.body_bytes:  # what goes into a file is not held
            self._held += size
            self._flight.held += size
            if self._flight.held > self._limits.memory_bytes:
                raise busy("too much is being uploaded at once: try again", 2)
        return message

    async def drain(self) -> None:
        """Read on for a while: a client that is still sending when the connection closes may never see the answer."""
        if self.stalled:
            return
        stop, seen = time.monotonic() + _DRAIN_SECONDS, 0
        while not self.ended and seen < _DRAIN_BYTES:
            try:
                message = await asyncio.wait_for(self._receive(), max(0.0, stop - time.monotonic()))
            except asyncio.TimeoutError:
                return
            seen += len(message.get("body", b""))
            self.ended = not message.get("more_body", False)

    def let_go(self) -> None:
        self._flight.held -= self._held
        self._held = 0


class _SecuredResponse:
    """What is sent, with the headers that every answer has."""

    def __init__(self, send: Send, scope: Scope, body: _LimitedBody) -> None:
        self._send, self._scope, self._body = send, scope, body
        self._unread = False
        self.status = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            for name, value in SECURITY_HEADERS.items():
                headers[name] = value
            if "cache-control" not in headers:
                headers["Cache-Control"] = "no-store"
            if not self._body.ended and self._scope["method"] not in ("GET", "HEAD"):
                headers["Connection"] = "close"
                # a client that waits for leave to send will not send any more
                self._unread = "expect" not in Headers(scope=self._scope)
        elif self._unread and not message.get("more_body", False):
            await self._send({**message, "more_body": True})
            await self._body.drain()
            message = {"type": "http.response.body", "body": b""}
        await self._send(message)


def _client_address(scope: Scope) -> str:
    client: Any = scope.get("client")
    return client[0] if client else ""


def _max_body_bytes(scope: Scope, limits: ServiceLimits) -> int:
    """Bytes that the body may have; the forms of videos have a little besides."""
    return limits.video_bytes + 65_536 if scope["path"] == _VIDEOS_PATH else limits.body_bytes
