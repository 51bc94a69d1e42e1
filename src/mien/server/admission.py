"""What every request passes first: host, origin, key, rate, size and pace; and the headers of every answer."""

from __future__ import annotations

import asyncio
import re
import secrets
import time
import traceback
from collections import OrderedDict
from dataclasses import dataclass, field

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mien.logger import get_logger
from mien.server.access import AccessPolicy
from mien.server.clients import client_address
from mien.server.limits import ServiceLimits
from mien.server.metrics import ServiceMetrics
from mien.server.problems import ProblemError
from mien.server.uploads import ClientGoneError

log = get_logger(__name__)

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; img-src 'self' blob: data:; media-src 'self' blob:; "
        "connect-src 'self'; "
        "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=(), display-capture=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
}
PUBLIC_PATHS = ("/", "/healthz", "/readyz", "/docs", "/openapi.json", "/favicon.ico", "/v1/limits")
"""What needs no key: nothing here holds data of anyone."""
STATIC_PREFIX = "/static/"
UNMETERED_PATHS = ("/healthz", "/readyz", "/")
"""What the rate limit does not count, besides the files of the page: a supervisor must not take a busy service for a
dead one, and a page without one of its files is broken. They are answered from memory."""
REQUEST_ID = "X-Request-Id"
"""Header with the id of a request."""
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_METHODS = frozenset({"GET", "HEAD", "POST", "DELETE", "OPTIONS", "PUT", "PATCH"})
_MAX_ADDRESSES = 10_000
_DRAIN_SECONDS, _DRAIN_BYTES = 2.0, 64 << 20
_VIDEOS_PATH = "/v1/videos"
_COPIES, _JSON_COPIES = 2, 6
"""Copies of a body in memory: while its pieces are joined; while JSON and base64 are parsed."""
_FORM_BYTES = 65_536
"""Bytes of a form around the video in it."""
_CLIENT_CLOSED_REQUEST = 499
"""Status in the log where the client closed the connection; the number that nginx uses."""


class RateLimiter:
    """A token bucket per address; forgotten when there are too many addresses.

    Args:
        rate: tokens per second; 0 for no limit.
        burst: tokens that a bucket holds at most.
    """

    def __init__(self, rate: float, burst: int) -> None:
        self._rate, self._burst = rate, burst
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def acquire(self, address: str, now: float) -> float:
        """Take one token: 0, or the seconds until there is one."""
        if self._rate <= 0:
            return 0.0
        tokens, then = self._buckets.pop(address, (float(self._burst), now))
        tokens = min(self._burst, tokens + (now - then) * self._rate)
        wait = max(0.0, 1.0 - tokens) / self._rate
        self._buckets[address] = (tokens if wait else tokens - 1.0, now)
        if len(self._buckets) > _MAX_ADDRESSES:
            self._buckets.popitem(last=False)
        return wait


@dataclass
class InFlight:
    """Requests that upload or compute now.

    Attributes:
        total: number of requests.
        held_bytes: bytes of their bodies in memory.
        by_client: number of requests per address.
    """

    total: int = 0
    held_bytes: int = 0
    by_client: dict[str, int] = field(default_factory=dict)


class AdmissionMiddleware:
    """The outermost layer. Everything inside raises `ProblemError` and need not know of limits of requests.

    Args:
        app: what is inside.
        access: who may use the service.
        limits: how much.
        metrics: where it is counted.
    """

    def __init__(self, app: ASGIApp, access: AccessPolicy, limits: ServiceLimits, metrics: ServiceMetrics) -> None:
        self._app, self._access, self._limits, self._metrics = app, access, limits, metrics
        self._rate_limiter = RateLimiter(limits.rate, limits.burst)
        self.in_flight = InFlight()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or pass on a WebSocket."""
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        headers = Headers(scope=scope)
        _set_request_id(scope, headers)
        if scope["method"] == "HEAD":
            # answered as GET, without the body; endpoints need not know
            scope = {**scope, "method": "GET", "state": {**scope["state"], "head": True}}
        copies = _copies(headers.get("content-type", ""))
        body = _LimitedBody(receive, self._limits, self.in_flight, _max_body_bytes(scope, self._limits), copies)
        response = _SecuredResponse(send, scope, body)
        try:
            self._check_request(scope, headers, body)
            if scope["method"] in ("GET", "HEAD", "OPTIONS"):
                await self._app(scope, body.receive, response.send)
            else:
                await self._run_counted(scope, body, response)
        except ProblemError as problem:
            self._metrics.problems.labels(problem.code).inc()
            await problem.response(request_id(scope))(scope, receive, response.send)
        except ClientGoneError:
            pass
        except Exception as error:
            # the message may hold what the client sent, so only the place is logged
            where = "".join(traceback.format_tb(error.__traceback__))
            kind = type(error).__name__
            log.error("%s while answering %s; this is a bug in mien\n%s", kind, request_id(scope), where)
            if not response.status:
                await ProblemError("internal").response(request_id(scope))(scope, receive, response.send)
        finally:
            body.release()
            self._record(scope, response.status or _CLIENT_CLOSED_REQUEST, time.perf_counter() - began)

    async def _run_counted(self, scope: Scope, body: _LimitedBody, response: _SecuredResponse) -> None:
        """Run a request that uploads or computes, if there is room for it."""
        in_flight, limits, address = self.in_flight, self._limits, client_address(scope)
        of_client = in_flight.by_client.get(address, 0)
        if in_flight.total >= limits.requests:
            raise ProblemError("busy", f"{limits.requests} requests are in progress: try again", retry_after=1)
        if of_client >= limits.client_requests:
            detail = f"{of_client} of your requests are in progress: wait for one of them"
            raise ProblemError("too-many-requests", detail, retry_after=1)
        in_flight.total += 1
        in_flight.by_client[address] = of_client + 1
        self._metrics.in_flight.inc()
        try:
            await self._app(scope, body.receive, response.send)
        finally:
            in_flight.total -= 1
            in_flight.by_client[address] -= 1
            if not in_flight.by_client[address]:
                del in_flight.by_client[address]
            self._metrics.in_flight.dec()

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        began, headers = time.perf_counter(), Headers(scope=scope)
        _set_request_id(scope, headers)
        opening = _OpeningWebSocket(receive, send, scope, self._metrics)
        try:
            self._check_head(scope, headers)
            scope["state"]["key"] = self._access.accepts_headers(headers)
            if len(headers.getlist("origin")) > 0 and not self._access.accepts_origin(
                headers["origin"], headers.get("host", "")
            ):
                raise ProblemError("origin-refused", "pages of other sites may not use this service")
            await self._app(scope, opening.receive, opening.send)
        except ProblemError as problem:
            if opening.status:
                raise
            await opening.refuse(problem)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            seconds = 1000 * (time.perf_counter() - began)
            log.info("WS %s %d %.0f ms %s", route, opening.status, seconds, request_id(scope))

    def _check_head(self, scope: Scope, headers: Headers) -> None:
        """Check size of the head, host and rate."""
        size = len(scope.get("raw_path") or b"") + len(scope["query_string"])
        if size + sum(len(name) + len(value) for name, value in headers.raw) > self._limits.header_bytes:
            detail = f"the head of the request is too large; the limit is {self._limits.header_bytes:,} bytes"
            raise ProblemError("head-too-large", detail)
        if "transfer-encoding" in headers and "content-length" in headers:
            # a proxy in front may take the other one, and another request for the rest of this one's body
            detail = "the request has Content-Length and Transfer-Encoding: send one"
            raise ProblemError("head-malformed", detail)
        if not self._access.accepts_host(headers.get("host", "")):
            raise ProblemError("host-unknown", "this service does not have that name: --allow-host NAME adds one")
        if scope["path"] not in UNMETERED_PATHS and not scope["path"].startswith(STATIC_PREFIX):
            wait = self._rate_limiter.acquire(client_address(scope), time.monotonic())
            if wait:
                detail = f"more than {self._limits.rate:g} requests per second from your address: wait a moment"
                raise ProblemError("too-many-requests", detail, retry_after=wait)

    def _check_request(self, scope: Scope, headers: Headers, body: _LimitedBody) -> None:
        """Check the head, origin, key and the declared size of the body."""
        self._check_head(scope, headers)
        path, method = scope["path"], scope["method"]
        origin = headers.get("origin")
        preflight = method == "OPTIONS" and "access-control-request-method" in headers
        if (
            origin is not None
            and method not in ("GET", "HEAD", "OPTIONS")
            and not self._access.accepts_origin(origin, headers.get("host", ""))
        ):
            raise ProblemError("origin-refused", "pages of other sites may not use this service")
        public = path in PUBLIC_PATHS or path.startswith(STATIC_PREFIX)
        if not (public or preflight or self._access.accepts_headers(headers)):
            detail = "send the key of this service as X-API-Key, or as Authorization: Bearer"
            raise ProblemError("key-missing", detail, headers={"WWW-Authenticate": "Bearer"})
        length = headers.get("content-length", "")
        if length.isdecimal() and len(length) < 20 and int(length) > body.max_bytes:
            detail = f"the request has {int(length):,} bytes; the limit is {body.max_bytes:,}: send less at once"
            raise ProblemError("too-large", detail)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        """Count and log one answer."""
        # the route, not the path: that may hold the number of a video, which opens its result
        known = scope["path"] if scope["path"] in PUBLIC_PATHS else "other"
        route = getattr(scope.get("route"), "path", "") or known
        method = "HEAD" if _is_head(scope) else scope["method"] if scope["method"] in _METHODS else "other"
        self._metrics.requests.labels(method, route, str(status)).inc()
        self._metrics.seconds.labels(route).observe(seconds)
        log.info("%s %s %d %.0f ms %s", method, route, status, 1000 * seconds, request_id(scope))


class _LimitedBody:
    """The body of a request, as long as it keeps to the limits."""

    def __init__(
        self, receive: Receive, limits: ServiceLimits, in_flight: InFlight, max_bytes: int, copies: int
    ) -> None:
        self._copies = copies
        self._receive, self._limits, self._in_flight, self.max_bytes = receive, limits, in_flight, max_bytes
        self._received_bytes = self._held_bytes = 0
        self._started = time.monotonic()
        self.ended = self.stalled = False

    async def receive(self) -> Message:
        if self.ended:
            return await self._receive()
        left = self._started + self._limits.upload_seconds - time.monotonic()
        try:
            message = await asyncio.wait_for(self._receive(), max(0.0, min(left, self._limits.idle_seconds)))
        except asyncio.TimeoutError:
            self.stalled = True
            detail = f"the upload paused for {self._limits.idle_seconds:g} s, or took more than "
            detail += f"{self._limits.upload_seconds:g} s in all: send it again"
            raise ProblemError("upload-slow", detail) from None
        if message["type"] != "http.request":
            return message
        size = len(message.get("body", b""))
        self._received_bytes += size
        self.ended = not message.get("more_body", False)
        if self._received_bytes > self.max_bytes:
            raise ProblemError("too-large", f"the request has more than {self.max_bytes:,} bytes: send less at once")
        if self.max_bytes == self._limits.body_bytes:  # what goes into a file is not held
            self._held_bytes += size * self._copies
            self._in_flight.held_bytes += size * self._copies
            # one request alone is always read: its size is limited, and it could never be answered otherwise
            if self._held_bytes < self._in_flight.held_bytes > self._limits.memory_bytes:
                raise ProblemError("busy", "too much is being uploaded at once: try again", retry_after=2)
        return message

    async def drain(self) -> None:
        """Read on for a while: a client that is still sending when the connection closes may never get the answer."""
        if self.stalled:
            return
        stop, drained = time.monotonic() + _DRAIN_SECONDS, 0
        while not self.ended and drained < _DRAIN_BYTES:
            try:
                message = await asyncio.wait_for(self._receive(), max(0.0, stop - time.monotonic()))
            except asyncio.TimeoutError:
                return
            drained += len(message.get("body", b""))
            self.ended = not message.get("more_body", False)

    def release(self) -> None:
        """The body is no longer in memory."""
        self._in_flight.held_bytes -= self._held_bytes
        self._held_bytes = 0


class _SecuredResponse:
    """What is sent, with the headers that every answer has."""

    def __init__(self, send: Send, scope: Scope, body: _LimitedBody) -> None:
        self._send, self._scope, self._body = send, scope, body
        self._drains = False
        self.status = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            for name, value in SECURITY_HEADERS.items():
                headers[name] = value
            headers[REQUEST_ID] = request_id(self._scope)
            if "cache-control" not in headers:
                headers["Cache-Control"] = "no-store"
            if not self._body.ended and self._scope["method"] not in ("GET", "HEAD"):
                headers["Connection"] = "close"
                # a client that waits for 100 Continue will not send any more
                self._drains = "expect" not in Headers(scope=self._scope)
        elif _is_head(self._scope):
            message = {**message, "body": b""}
        elif self._drains and not message.get("more_body", False):
            await self._send({**message, "more_body": True})
            await self._body.drain()
            message = {"type": "http.response.body", "body": b""}
        await self._send(message)


class _OpeningWebSocket:
    """A WebSocket until it is open: refused, it is answered with a problem over HTTP."""

    def __init__(self, receive: Receive, send: Send, scope: Scope, metrics: ServiceMetrics) -> None:
        self._receive, self._send, self._scope, self._metrics = receive, send, scope, metrics
        self._asked = False
        self.status = 0

    async def receive(self) -> Message:
        self._asked = True
        return await self._receive()

    async def send(self, message: Message) -> None:
        if message["type"] == "websocket.accept":
            self.status = 101
        elif message["type"] == "websocket.close" and not self.status:
            # the router closes what no route answers
            await self.refuse(ProblemError("not-found", "there is no WebSocket here: /docs lists what there is"))
            return
        await self._send(message)

    async def refuse(self, problem: ProblemError) -> None:
        self._metrics.problems.labels(problem.code).inc()
        self.status = problem.status
        if not self._asked:
            await self._receive()  # the request to open
        if "websocket.http.response" not in self._scope.get("extensions", {}):
            await self._send({"type": "websocket.close", "code": 1008, "reason": problem.code})
            return
        response = problem.response(request_id(self._scope))
        response.headers[REQUEST_ID] = request_id(self._scope)
        # the server counts the bytes itself, and uvicorn before 0.53 would send their number twice
        raw_headers = [(name, value) for name, value in response.raw_headers if name != b"content-length"]
        head = {"status": response.status_code, "headers": raw_headers}
        await self._send({"type": "websocket.http.response.start", **head})
        await self._send({"type": "websocket.http.response.body", "body": response.body})


def _set_request_id(scope: Scope, headers: Headers) -> None:
    """Keep the id that the client or a proxy gave, if it is one, or make one."""
    given = headers.get(REQUEST_ID, "")
    scope.setdefault("state", {})["request_id"] = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)


def request_id(scope: Scope) -> str:
    """The id of a request: in the header `REQUEST_ID` of the answer, in problems, and in the log."""
    return str(scope["state"]["request_id"])


def _is_head(scope: Scope) -> bool:
    return bool(scope["state"].get("head"))


def _copies(content_type: str) -> int:
    """How many bytes are in memory at once for each byte of a body, at most."""
    # the text of JSON takes four bytes a character when one of them is outside the first planes
    return _JSON_COPIES if "json" in content_type.lower() else _COPIES


def _max_body_bytes(scope: Scope, limits: ServiceLimits) -> int:
    return limits.video_bytes + _FORM_BYTES if scope["path"] == _VIDEOS_PATH else limits.body_bytes
